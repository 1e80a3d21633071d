/** Doing what a case says on one end of an HTTP/2 connection. */
import type net from "node:net";
import { setTimeout as wait } from "node:timers/promises";
import type { Http2Step } from "../case.ts";
import type { Http2Peer, StreamRecord } from "./peer.ts";

const LIMIT_MS = 6000;

export interface StepContext {
  readonly peer: Http2Peer;
  readonly socket: net.Socket;
  /** The stream of steps that name none. */
  readonly stream: number;
  readonly fill: (text: string) => string;
  /** Cuts the connection so that the other end sees a reset. */
  readonly resetConnection: () => void;
}

export async function runStep(step: Http2Step, context: StepContext): Promise<void> {
  const { peer, socket, fill } = context;
  const stream = ("stream" in step ? step.stream : undefined) ?? context.stream;
  if ("headers" in step) {
    const fields = step.headers.map(([name, value]) => [fill(name), fill(value)] as const);
    peer.headers(stream, fields, step.end ?? false);
  } else if ("data" in step) {
    const bytes = typeof step.data === "string" ? Buffer.from(fill(step.data), "latin1") : step.data;
    peer.data(stream, bytes, step.end ?? false);
  } else if ("reset" in step) peer.reset(stream, step.reset);
  else if ("goaway" in step) peer.goaway(step.goaway, step.last ?? stream);
  else if ("frame" in step) peer.frame(step.frame);
  else if ("waitMs" in step) await wait(step.waitMs);
  else if ("until" in step) await peer.until(() => happened(step.until, peer, stream), LIMIT_MS);
  else {
    peer.flush();
    if (step.end === "half") socket.end();
    else if (step.end === "close") socket.destroySoon();
    else context.resetConnection();
  }
}

function happened(event: (Http2Step & { until: unknown })["until"], peer: Http2Peer, stream: number): boolean {
  if (event === "goaway") return peer.goaways.length > 0;
  if (event === "closed" || peer.ended || peer.otherProtocol !== null) return peer.ended;
  const record: StreamRecord | undefined = peer.streams.get(stream);
  if (record === undefined) return false;
  if (record.reset !== null) return true;
  if (event === "end") return record.ended;
  if (event === "head") return record.head !== null;
  if (event === "informational") return record.informational.length > 0;
  return typeof event === "number" && record.body.length >= event;
}
