/**
 * The journal service: a protocol of lines, in which the server speaks first, as mail and database servers do. It greets,
 * and then answers each line with its number, until the caller has said all.
 */
import { createServer } from "node:net";
import { createInterface } from "node:readline";

export const JOURNAL_PORT = 7000;

/** What a caller reads before it says anything. */
export function greeting(instance: string): string {
  return `journal ${instance} ready`;
}

/** What it answers the `number`th line with, counted from 1. */
export function entered(number: number, line: string): string {
  return `${number} ${line}`;
}

export function journal(port: number, instance: string): void {
  createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => undefined);
    socket.write(`${greeting(instance)}\n`);
    let number = 0;
    const lines = createInterface({ input: socket });
    lines.on("line", (line) => socket.write(`${entered(++number, line)}\n`));
    lines.on("close", () => socket.end());
  }).listen(port, "127.0.0.1");
}
