/** The caller of the test bench: raw bytes on a socket, in the order that a case says, and what came back. */
import type net from "node:net";
import { setTimeout as wait } from "node:timers/promises";
import type { ClientTls, Step } from "./case.ts";
import { connect } from "./connect.ts";
import { type HttpText, readMessage } from "./http-text.ts";
import type { Http2Peer } from "./http2/peer.ts";
import { PROBE_CASE } from "./upstream.ts";

const ANSWER_LIMIT_MS = 6000;
const PROBE_LIMIT_MS = 2500;

/** Its answer, whatever it is, shows that the connection still serves requests. */
export const PROBE_PATH = "/connection-probe";
const PROBE = `GET ${PROBE_PATH} HTTP/1.1\r\nhost: probe.invalid\r\nx-case: ${PROBE_CASE}\r\n\r\n`;

export interface ConnectionReport {
  readonly localPort: number;
  /** Both ends, as access logs of the test bench write them. */
  readonly ports: string;
  /** Server certificate, protocol and ALPN; "refused" where the handshake failed; "" in plaintext. */
  readonly tls: string;
  readonly responses: readonly (HttpText | "no answer")[];
  /** What came over a connection of HTTP/2. */
  readonly http2?: Http2Peer;
  /** What became of the connection: kept for further requests, or closed, or neither in time. */
  readonly outcome: string;
}

class ClientConnection {
  readonly socket: net.Socket;
  #bytes = Buffer.alloc(0);
  #ended = false;
  #wake: () => void = () => undefined;

  constructor(socket: net.Socket) {
    this.socket = socket;
    socket.on("data", (chunk: Buffer) => {
      this.#bytes = Buffer.concat([this.#bytes, chunk]);
      this.#wake();
    });
    const ended = (): void => {
      this.#ended = true;
      this.#wake();
    };
    socket.on("end", ended);
    socket.on("close", ended);
    socket.on("error", ended);
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Calls `take` on what has arrived until it returns something, or time is up (null). */
  async until<T>(take: (bytes: Buffer, ended: boolean) => { value: T; end: number } | null, limitMs: number) {
    const deadline = performance.now() + limitMs;
    for (;;) {
      const taken = take(this.#bytes, this.#ended);
      if (taken !== null) {
        this.#bytes = this.#bytes.subarray(taken.end);
        return taken.value;
      }
      const left = deadline - performance.now();
      if (this.#ended || left <= 0) return null;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }
}

/** Runs a case's steps on a new connection. `fill` replaces placeholders in what is sent. */
export async function runConnection(
  port: number,
  security: ClientTls | undefined,
  steps: readonly Step[],
  fill: (text: string) => string,
): Promise<ConnectionReport> {
  const { raw, socket, ...ends } = await connect(port, security);
  if (socket === null) return { ...ends, responses: [], outcome: "closed" };
  const connection = new ClientConnection(socket);
  const responses: (HttpText | "no answer")[] = [];
  let outcome = "";
  for (const step of steps) {
    if ("send" in step) {
      connection.socket.write(typeof step.send === "string" ? Buffer.from(fill(step.send), "latin1") : step.send);
    } else if ("read" in step) {
      const isFinal = await readResponses(connection, step.read === "head", responses);
      if (!isFinal) break;
    } else if ("bytes" in step) {
      const value = await connection.until(
        (bytes, ended) =>
          bytes.length >= step.bytes || ended ? { value: bytes.subarray(0, step.bytes), end: step.bytes } : null,
        ANSWER_LIMIT_MS,
      );
      responses.push(tunnelled(value));
    } else if ("waitMs" in step) await wait(step.waitMs);
    else {
      outcome = `${step.end} by the client`;
      if (step.end === "half") connection.socket.end();
      else if (step.end === "close") connection.socket.destroy();
      else raw.resetAndDestroy();
    }
  }
  if (outcome === "" || outcome.startsWith("half")) outcome = await probe(connection, responses, outcome !== "");
  connection.socket.destroy();
  return { ...ends, responses, outcome };
}

/** Reads up to a final response; false if none came. */
async function readResponses(
  connection: ClientConnection,
  head: boolean,
  responses: (HttpText | "no answer")[],
): Promise<boolean> {
  for (;;) {
    const message = await connection.until((bytes, ended) => {
      const read = readMessage(bytes, ended, { side: "response", head });
      return read === null ? null : { value: read.message, end: read.end };
    }, ANSWER_LIMIT_MS);
    if (message === null) {
      responses.push("no answer");
      return false;
    }
    responses.push(message);
    const status = Number(message.startLine.split(" ")[1]);
    if (!(status >= 100 && status < 200 && status !== 101)) return message.complete;
  }
}

function tunnelled(bytes: Buffer | null): HttpText {
  const body = bytes ?? Buffer.alloc(0);
  return { startLine: "(tunnel)", headers: [], body, trailers: [], framing: "tunnel", complete: bytes !== null };
}

async function probe(
  connection: ClientConnection,
  responses: readonly (HttpText | "no answer")[],
  halfClosed: boolean,
): Promise<string> {
  const last = responses.at(-1);
  const tunnel = last !== undefined && last !== "no answer" && last.framing === "tunnel";
  if (!tunnel && !halfClosed && !connection.ended) connection.socket.write(PROBE);
  const seen = await connection.until(
    (bytes, ended) => {
      const answer = readMessage(bytes, ended, { side: "response" });
      if (answer !== null) return { value: outcomeOf(answer.message), end: answer.end };
      return ended ? { value: bytes.length > 0 ? `closed after ${bytes.length} more bytes` : "closed", end: 0 } : null;
    },
    tunnel ? 150 : PROBE_LIMIT_MS,
  );
  if (seen === null) return connection.ended ? "closed" : tunnel ? "open" : "neither kept nor closed";
  return seen;
}

/** The connection serves requests; unless what came is the refusal of something that was sent before. */
function outcomeOf(answer: HttpText): string {
  if (!answer.startLine.startsWith("HTTP/")) return "closed";
  const closes = answer.headers.some(([name, value]) => name.toLowerCase() === "connection" && value === "close");
  return closes ? `closed after ${answer.startLine}` : "kept";
}
