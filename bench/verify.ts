/** Before anything is measured: does the proxy do what the case says? A wrong answer may be a fast one. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import http2 from "node:http2";
import type { Protocol } from "./cases.ts";
import { ANSWER_BYTES, GRPC_REQUEST } from "./h2load.ts";

const LIMIT_MS = 5000;

/** Throws unless one call through the proxy is answered as the backend answers it. */
export async function verifyAnswer(url: string, protocol: Protocol): Promise<void> {
  if (protocol === "h2") await verifyCall(url);
  else {
    const response = await fetch(url, { signal: AbortSignal.timeout(LIMIT_MS) });
    const body = await response.arrayBuffer();
    assert.deepEqual([response.status, body.byteLength > 0], [200, true], "answer through the proxy");
  }
}

/** A gRPC-shaped call: head, message and trailers have to arrive. */
async function verifyCall(url: string): Promise<void> {
  const { origin, pathname } = new URL(url);
  const session = http2.connect(origin);
  session.on("error", () => undefined);
  const signal = AbortSignal.timeout(LIMIT_MS);
  try {
    const stream = session.request(
      { ":method": "POST", ":path": pathname, "content-type": "application/grpc", te: "trailers" },
      { signal },
    );
    const head = once(stream, "response", { signal });
    const trailers = once(stream, "trailers", { signal });
    stream.end(GRPC_REQUEST);
    const [[headers], [last], chunks] = await Promise.all([head, trailers, stream.toArray() as Promise<Buffer[]>]);
    const found = {
      status: headers[":status"],
      type: headers["content-type"],
      body: Buffer.concat(chunks).length,
      grpcStatus: last["grpc-status"],
    };
    const expected = { status: 200, type: "application/grpc", body: ANSWER_BYTES, grpcStatus: "0" };
    assert.deepEqual(found, expected, "gRPC answer through the proxy");
  } finally {
    session.destroy();
  }
}

/** Throws unless the calls of many callers travel on few connections to `port`; of few callers nothing can be said. */
export function verifyMultiplexed(port: number, callers: number): void {
  const used = establishedTo(readFileSync("/proc/net/tcp", "utf8"), port);
  if (callers <= 4 || used <= callers / 4) return;
  throw new Error(`not multiplexed: ${used} connections between the hops for ${callers} callers`);
}

const ESTABLISHED = "01";

/** Connections to a port of IPv4, counted at their clients' end, in the text of `/proc/net/tcp`. */
export function establishedTo(table: string, port: number): number {
  const remote = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  return table.split("\n").filter((line) => {
    const [, , to, state] = line.trim().split(/\s+/);
    return state === ESTABLISHED && to?.endsWith(remote);
  }).length;
}
