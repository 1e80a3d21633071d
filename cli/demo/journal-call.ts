/** Calls to the journal, whose server speaks first, measured: what went wrong is part of the result. */
import { connect, type Socket } from "node:net";
import { systemClock } from "../../core/clock.ts";
import { messageOf } from "../../core/errors.ts";

export interface JournalResult {
  /** The server's first line; "" where none came. */
  readonly greeting: string;
  /** What it answered to each line. */
  readonly answers: readonly string[];
  /** Until the greeting, ms. */
  readonly greetedMs: number;
  /** The server ended the connection after the caller had. */
  readonly ended: boolean;
  readonly error: string | null;
}

const TIMEOUT_MS = 5000;

/** Waits for the greeting, says the lines, and ends its own side: what still comes is heard to the end. Never rejects. */
export function writeJournal(
  to: { readonly host: string; readonly port: number },
  lines: readonly string[],
): Promise<JournalResult> {
  const startedAt = systemClock.now();
  let text = "";
  let greetedMs = 0;
  return new Promise((resolve) => {
    const socket: Socket = connect({ host: to.host, port: to.port, allowHalfOpen: true });
    const timer = systemClock.after(TIMEOUT_MS, () => socket.destroy(new Error(`not over after ${TIMEOUT_MS} ms`)));
    let error: string | null = null;
    let ended = false;
    socket.setEncoding("utf8").on("data", (chunk: string) => {
      const greeted = text.includes("\n");
      text += chunk;
      if (greeted || !text.includes("\n")) return;
      greetedMs = systemClock.now() - startedAt;
      socket.end(lines.map((line) => `${line}\n`).join(""));
    });
    socket.on("end", () => {
      ended = text.includes("\n");
      socket.end();
    });
    socket.on("error", (reason) => {
      error = messageOf(reason);
    });
    socket.on("close", () => {
      timer.cancel();
      const [greeting = "", ...answers] = text.split("\n").slice(0, -1);
      resolve({ greeting, answers, greetedMs, ended, error });
    });
  });
}

/** Rejects where nobody greets. */
export async function readGreeting(to: { readonly host: string; readonly port: number }): Promise<string> {
  const { greeting, error } = await writeJournal(to, []);
  if (greeting === "") throw new Error(error ?? "the connection was closed without a greeting");
  return greeting;
}
