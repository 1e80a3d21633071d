/** The HTTP/2 half of the test bench's upstream: every stream is a call, answered as its case's script says. */
import type net from "node:net";
import type { Http2UpstreamStep } from "../case.ts";
import type { HttpText } from "../http-text.ts";
import type { UpstreamCall, UpstreamLedger } from "../upstream.ts";
import { Http2Peer, type StreamRecord } from "./peer.ts";
import { runStep } from "./steps.ts";

export interface Http2Service {
  readonly name: string;
  readonly socket: net.Socket;
  readonly tls: string;
  readonly ledger: UpstreamLedger;
  /** What has been read already. */
  readonly first: Buffer;
}

/** Longer than any case. */
const REQUEST_LIMIT_MS = 60_000;

interface OpenCall {
  readonly call: UpstreamCall;
  echo: boolean;
}

export function serveHttp2({ name, socket, tls, ledger, first }: Http2Service): void {
  const calls = new Map<number, OpenCall>();
  const enter = (record: StreamRecord): void => {
    const notes = [`settings: ${peer.settings.join(" ")}`];
    const call: UpstreamCall = { upstream: name, request: requestOf(record), tunnel: "", notes, tls, connection: peer };
    const open: OpenCall = { call, echo: false };
    calls.set(record.id, open);
    const answer = ledger.enter(call);
    void serve(record, open, answer.http2 ?? [{ reset: "INTERNAL_ERROR" }], answer.early ?? false);
  };
  const serve = async (
    record: StreamRecord,
    open: OpenCall,
    steps: readonly Http2UpstreamStep[],
    early: boolean,
  ): Promise<void> => {
    if (!early) await peer.until(() => record.ended || record.reset !== null, REQUEST_LIMIT_MS);
    const context = {
      peer,
      socket,
      stream: record.id,
      fill: (text: string) => text,
      resetConnection: () => socket.resetAndDestroy(),
    };
    for (const step of steps) {
      if (!("echo" in step)) await runStep(step, context);
      else {
        open.echo = true;
        if (record.body.length > 0) peer.data(record.id, record.body, record.ended);
      }
    }
  };
  const onStream = (record: StreamRecord): void => {
    const open = calls.get(record.id);
    if (open === undefined) {
      if (record.head !== null) enter(record);
      return;
    }
    open.call.request = requestOf(record);
    if (record.reset !== null) open.call.notes.push(`reset ${record.reset}`);
  };
  const onData = (record: StreamRecord, bytes: Buffer): void => {
    const open = calls.get(record.id);
    if (open === undefined) return;
    open.call.request = requestOf(record);
    if (open.echo) peer.data(record.id, bytes, record.ended);
  };
  const onGoaway = (code: string): void => {
    if (code !== "NO_ERROR") ledger.noteConnection(peer, `GOAWAY ${code}`);
  };
  const peer: Http2Peer = new Http2Peer(socket, { side: "server", onStream, onData, onGoaway });
  peer.receive(first);
}

function requestOf({ head, body, trailers, ended }: StreamRecord): HttpText {
  const headers = head ?? [];
  const method = headers.find(([name]) => name === ":method")?.[1] ?? "?";
  const startLine = `${method} over HTTP/2`;
  return { startLine, headers, body, trailers, framing: "http2", complete: ended };
}
