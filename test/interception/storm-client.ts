/**
 * `node storm-client.ts URL COUNT MS LONGEST`: COUNT requests in MS, each over a connection of its own, which take the
 * server up to LONGEST milliseconds, and as many more at that rate as it takes until a line on stdin has come and a little
 * longer. A connection that is refused, before a byte was sent, is tried once more when that line is there. Prints what
 * became of all of them as JSON.
 */
import net from "node:net";
import { createInterface } from "node:readline";

export interface StormReport {
  /** At the first attempt. */
  readonly answered: number;
  /** Refused, and answered at the second attempt. */
  readonly answeredLater: number;
  /** What happened to each of the others. */
  readonly lost: readonly string[];
  /** The longest that a request took, from its (last) connect to its answer, without the time that the server was to take. */
  readonly slowestMs: number;
}

const [target = "", ...numbers] = process.argv.slice(2);
const [count = 0, overMs = 0, longestMs = 0] = numbers.map(Number);
const url = new URL(target);
const host = url.hostname.replace(/^\[|\]$/g, "");
const GIVE_UP_MS = 40_000;
/** In which those who were refused try once more. */
const RETRY_MS = 2000;
/** How long it goes on after it has been told. */
const AFTER_MS = 800;
/** In which it is told in any case. */
const UNTOLD_MS = 60_000;

let end = UNTOLD_MS;
const mayRetry = new Promise<void>((resolve) => {
  createInterface({ input: process.stdin }).once("line", () => {
    end = performance.now() - begin + AFTER_MS;
    resolve();
  });
});
let slowestMs = 0;

/** Resolves with null once it was answered, and with what happened instead. */
function request(index: number): Promise<string | null> {
  return new Promise((resolve) => {
    const begin = performance.now();
    const wait = Math.floor((longestMs * ((index * 7919) % 1000)) / 1000);
    const path = `/wait/${wait}?${index}`;
    const socket = net.connect({ host, port: Number(url.port) });
    let text = "";
    let connected = false;
    socket.setTimeout(GIVE_UP_MS, () => socket.destroy(new Error("no answer")));
    socket.once("connect", () => {
      connected = true;
      socket.write(`GET ${path} HTTP/1.1\r\nhost: ${url.host}\r\nconnection: close\r\n\r\n`);
    });
    socket.on("data", (bytes: Buffer) => {
      text += bytes.toString("latin1");
    });
    socket.once("error", ({ message, code }: NodeJS.ErrnoException) => {
      resolve(connected ? `${message} after ${text.length} bytes` : (code ?? message));
    });
    socket.once("close", () => {
      const right = text.startsWith("HTTP/1.1 200") && text.includes(` ${path} `);
      if (right) slowestMs = Math.max(slowestMs, performance.now() - begin - wait);
      resolve(right ? null : `wrong answer: ${JSON.stringify(text)}`);
    });
  });
}

async function call(index: number): Promise<string | null | "later"> {
  const first = await request(index);
  if (first !== "ECONNREFUSED") return first;
  await mayRetry;
  // As callers do who don't want to make a storm of their own.
  await new Promise((resolve) => setTimeout(resolve, Math.random() * RETRY_MS));
  return (await request(index)) ?? "later";
}

const calls: Promise<string | null>[] = [];
const begin = performance.now();
for (let elapsed = 0; calls.length < count || elapsed < end; elapsed = performance.now() - begin) {
  const due = Math.ceil(((elapsed + 1) / overMs) * count);
  while (calls.length < due) calls.push(call(calls.length));
  await new Promise((resolve) => setTimeout(resolve, 5));
}
const outcomes = await Promise.all(calls);
const report: StormReport = {
  answered: outcomes.filter((outcome) => outcome === null).length,
  answeredLater: outcomes.filter((outcome) => outcome === "later").length,
  lost: outcomes.flatMap((outcome) => (outcome === null || outcome === "later" ? [] : [outcome])),
  slowestMs: Math.round(slowestMs),
};
process.stdout.write(`REPORT ${JSON.stringify(report)}\n`, () => process.exit(0));
