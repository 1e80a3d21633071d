/**
 * What a codec and an exchange say to each other. One request and its response are a stream on either side; an HTTP/1
 * connection is itself the stream of its current message, so that nothing is allocated for it.
 */
import type { Socket } from "node:net";
import type { HeaderMap } from "../../core/header-map.ts";
import type { TimerWheel } from "../../core/timer-wheel.ts";
import type { RequestHead, ResponseHead } from "../http/message.ts";

/** How a body is delimited where it came from. */
export const Body = {
  none: 0,
  /** `Content-Length` */
  length: 1,
  /** Chunked; its bytes are handed on with their framing while both sides are HTTP/1. */
  chunked: 2,
  /** Of unknown length, without framing: ends with its stream, or with the connection (HTTP/1 responses). */
  unbounded: 3,
} as const;

export type BodyKind = (typeof Body)[keyof typeof Body];

/** The caller's side, as the exchange sees it. */
export interface DownstreamStream {
  /** True if chunk framing must be taken off before bytes are given to `sendData`. */
  readonly wantsUnframed: boolean;
  /** True if nothing else can be asked on the connection while this stream lives (HTTP/1). */
  readonly ownsConnection: boolean;
  /** True if bytes of the response wait for the caller's window: `onDownstreamEnded` tells when its end was written. */
  readonly hasPending: boolean;
  /** Sends an informational head (1xx, but not 101) at once. False: stop until `onDownstreamWritable`. */
  sendInformational(head: ResponseHead): boolean;
  /** Takes the final head; it leaves with the first body bytes or at `flush`. `body` tells how bytes will be given. */
  sendHead(head: ResponseHead, body: BodyKind): void;
  /** `bytes` includes chunk framing if `body` was `chunked`. False: stop until `onDownstreamWritable`. */
  sendData(bytes: Buffer): boolean;
  /** Ends the response. */
  sendEnd(trailers: HeaderMap | null): void;
  /** Writes what is held back, at the end of an upstream read. */
  flush(): void;
  /** Ends the connection without finishing the response, so that the caller sees that it is cut. */
  abort(): void;
  /** Stops and resumes the delivery of request bytes. */
  pauseRequest(): void;
  resumeRequest(): void;
  /** After a 101 (or CONNECT 2xx) head: bytes pass both ways unread. */
  startTunnel(): void;
  /** `Expect: 100-continue` was asked for: let the caller send its body. */
  sendContinue(): void;
  /** The current response is the connection's last, where a connection carries one at a time. */
  closeAfterResponse(): void;
}

/** Why a request is not taken, for logs. */
export interface Refusal {
  /** Of model/flags.ts. */
  readonly flag: number;
  /** Envoy's %RESPONSE_CODE_DETAILS%. */
  readonly details: string;
  /** In words. */
  readonly sentence: string;
}

/** The caller has closed its connection: what Envoy's logs say of it. */
export const DISCONNECTED = "downstream_remote_disconnect";

/** What a server connection asks of the connection manager above it. */
export interface ServerHandler {
  /** A place to parse the next request into. */
  nextRequest(): { readonly head: RequestHead; readonly handler: DownstreamHandler };
  /** The head is complete. `body` is how the request's body is delimited. */
  onRequest(
    stream: DownstreamStream,
    handler: DownstreamHandler,
    body: BodyKind,
    expectContinue: boolean,
    upgrade: boolean,
  ): void;
  /** The request can't be served: answer with a local reply and close. `error` is a `HeadError` (HTTP/1). */
  onMalformed(stream: DownstreamStream, handler: DownstreamHandler, error: number): void;
  /** The request can't be taken and its stream ends without an answer (HTTP/2). */
  onRefused(handler: DownstreamHandler, refusal: Refusal): void;
  /** A head or body did not arrive in time. */
  onRequestTimeout(stream: DownstreamStream, handler: DownstreamHandler): void;
  /** The connection is over, whichever way. */
  onClose(): void;
}

/** An accepted connection, as its listener sees it. */
export interface ServerConnection {
  readonly socket: Socket;
  /** True while no request is being served. */
  readonly idle: boolean;
  /** Feeds bytes that were read before this connection took the socket over. */
  feed(bytes: Buffer): void;
  /** Announces the end, and ends after what is under way; `graceMs` for a request that may be on its way already. */
  drain(graceMs: number): void;
}

/** How long an accepted connection and its parts may take; ms, 0 for no limit. */
export interface ServerTimes {
  readonly idleTimeoutMs: number;
  readonly requestTimeoutMs: number;
  /** How long a closing connection waits for the peer to take what was written. */
  readonly closeDelayMs: number;
  /** How long a connection whose time is over still takes a request that was on its way. */
  readonly drainMs: number;
  /** 0: no limit. */
  readonly maxRequests: number;
  /** How long the connection may live before it is drained. */
  readonly maxDurationMs: number;
}

/** The exchange, as the downstream codec sees it. */
export interface DownstreamHandler {
  onRequestData(bytes: Buffer, payload: number): void;
  onRequestEnd(trailers: HeaderMap | null): void;
  /**
   * The caller went away, gave the request up or broke the protocol before the response was over. `flag` (of
   * model/flags.ts, 0 for none) and `details` are for logs, as Envoy has them.
   */
  onDownstreamReset(flag: number, details: string): void;
  onDownstreamWritable(): void;
  /** The end of the response was written; only told if bytes were waiting as it was given. */
  onDownstreamEnded(): void;
}

/** Why an upstream attempt failed before or while it answered; Envoy's `StreamResetReason`. */
export type UpstreamFailure =
  | "connect_failure"
  | "connect_timeout"
  | "overflow"
  /** The connection ended under the stream. */
  | "connection_termination"
  /** The peer reset the stream (RST_STREAM). */
  | "remote_reset"
  /** The peer says that it did not process the request (REFUSED_STREAM, or above the last stream of a GOAWAY). */
  | "refused_stream"
  /** The peer's own connection for the request failed (CONNECT_ERROR). */
  | "connect_error"
  | "protocol_error"
  | "local_close";

/** One attempt's side of an upstream connection, as the exchange sees it. */
export interface UpstreamStream {
  /** Requests that this stream's connection has carried, this one included. */
  readonly requests: number;
  /** True once a byte of the current response has arrived. */
  readonly answered: boolean;
  /** Own end of the connection, `host:port`; "" on a pipe. */
  readonly localAddress: string;
  /** The other end, which is asked of the system each time. */
  readonly remoteAddress: string;
  /** Of the connection, unique in the process. */
  readonly connectionId: number;
  /** What the connection speaks: `HTTP/1.1` or `HTTP/2`. */
  readonly protocol: string;
  /** Begins an exchange. `unframe`: response bytes of a chunked body are wanted without their framing. */
  begin(handler: UpstreamHandler, unframe: boolean): void;
  /** The request's head, final. It leaves with the first body bytes, with `sendEnd` or at `flush`. */
  sendHead(request: RequestHead, body: BodyKind, upgrading: boolean): void;
  /** Sends the head without waiting for body bytes. */
  flush(): void;
  /** `bytes` includes chunk framing if the body is chunked. False: stop until `onUpstreamWritable`. */
  sendData(bytes: Buffer): boolean;
  sendEnd(trailers: HeaderMap | null): void;
  /** Gives the attempt up; a connection that carries nothing else is closed unless the exchange on it was over. */
  cancel(): void;
  /** Gives the exchange up but lets a short response end, so that the connection can be used again. */
  discard(wheel: TimerWheel): void;
  /** Returns what was taken from a pool and not used. */
  giveBack(): void;
  /** Half-closes a tunnel towards the upstream. */
  endTunnel(): void;
  pauseResponse(): void;
  resumeResponse(): void;
}

/** The exchange, as the upstream codec sees it. */
export interface UpstreamHandler {
  readonly response: ResponseHead;
  /** True for HEAD, whose responses have no body whatever they say. */
  readonly headRequest: boolean;
  onInformational(head: ResponseHead): void;
  onResponseHead(body: BodyKind): void;
  onResponseData(bytes: Buffer, payload: number): void;
  onResponseEnd(trailers: HeaderMap | null): void;
  /** All of one upstream read was handed on. */
  onResponseFlush(): void;
  onUpstreamReset(failure: UpstreamFailure, detail: string): void;
  onUpstreamWritable(): void;
}
