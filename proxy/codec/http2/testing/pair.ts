/** A client's and a server's connection over one wire, on simulated time, with calls that write down what happens to them. */
import { EventClock, SimulatedClock } from "../../../../core/clock.ts";
import { HeaderMap } from "../../../../core/header-map.ts";
import { TimerWheel } from "../../../../core/timer-wheel.ts";
import { DEFAULT_HTTP2, type Http2Options } from "../../../../model/http.ts";
import { RequestHead, ResponseHead } from "../../../http/message.ts";
import type { RequestHeadLimits } from "../../http1/request-head.ts";
import {
  Body,
  type BodyKind,
  type DownstreamHandler,
  type DownstreamStream,
  type Refusal,
  type ServerHandler,
  type UpstreamFailure,
  type UpstreamHandler,
  type UpstreamStream,
} from "../../stream.ts";
import { Http2ClientConnection } from "../client-connection.ts";
import { Http2ServerConnection, type Http2ServerOptions } from "../server-connection.ts";
import { Http2Stats } from "../stats.ts";
import { type WireSocket, wirePair } from "./wire.ts";

/** How heads are read that travel as text. */
export const TEXT_LIMITS: RequestHeadLimits = {
  maxFields: 100,
  acceptHttp10: false,
  defaultHostForHttp10: "",
  allowAbsoluteUrl: true,
  allowChunkedLength: false,
  allowCustomMethods: false,
  underscores: "allow",
};

export const SERVER_OPTIONS: Http2ServerOptions = {
  http2: DEFAULT_HTTP2,
  maxHeadBytes: 60 * 1024,
  maxFields: 100,
  underscores: "allow",
  text: null,
  idleTimeoutMs: 0,
  headTimeoutMs: 0,
  requestTimeoutMs: 0,
  closeDelayMs: 100,
  drainMs: 500,
  maxRequests: 0,
  maxDurationMs: 0,
};

/** One side of a call: what it was told. */
abstract class Told {
  readonly parts: Buffer[] = [];
  trailers: HeaderMap | null = null;
  ends = 0;
  resets: string[] = [];
  writable = true;
  /** It wants nothing for now. */
  paused = false;

  get content(): Buffer {
    return Buffer.concat(this.parts);
  }

  protected take(bytes: Buffer): void {
    if (this.over) throw new Error("content after the end");
    if (this.paused) throw new Error("content for a reader that has stopped");
    this.parts.push(Buffer.from(bytes));
  }

  protected end(trailers: HeaderMap | null): void {
    if (this.over) throw new Error("an end after the end");
    this.ends++;
    this.trailers = trailers;
  }

  get over(): boolean {
    return this.ends + this.resets.length > 0;
  }
}

/** The server's side of a call. */
export class ServerCall extends Told implements DownstreamHandler {
  readonly head = new RequestHead();
  stream: DownstreamStream | null = null;
  body: BodyKind = Body.none;
  refusal: Refusal | null = null;
  timedOut = false;
  /** The end of the response was written, later than it was given. */
  endedLater = 0;

  onRequestData(bytes: Buffer): void {
    this.take(bytes);
  }

  onRequestEnd(trailers: HeaderMap | null): void {
    this.end(trailers);
  }

  onDownstreamReset(_flag: number, details: string): void {
    this.resets.push(details);
  }

  onDownstreamWritable(): void {
    this.writable = true;
  }

  onDownstreamEnded(): void {
    this.endedLater++;
  }
}

/** The client's. */
export class ClientCall extends Told implements UpstreamHandler {
  readonly response = new ResponseHead();
  readonly headRequest: boolean;
  readonly informational: number[] = [];
  head: ResponseHead | null = null;
  failure: UpstreamFailure | null = null;
  stream: UpstreamStream | null = null;

  constructor(headRequest = false) {
    super();
    this.headRequest = headRequest;
  }

  onInformational(head: ResponseHead): void {
    this.informational.push(head.status);
  }

  onResponseHead(): void {
    if (this.head !== null) throw new Error("a second head");
    this.head = this.response;
  }

  onResponseData(bytes: Buffer): void {
    this.take(bytes);
  }

  onResponseEnd(trailers: HeaderMap | null): void {
    this.end(trailers);
  }

  onResponseFlush(): void {}

  onUpstreamReset(failure: UpstreamFailure, detail: string): void {
    this.failure = failure;
    this.resets.push(detail);
  }

  onUpstreamWritable(): void {
    this.writable = true;
  }
}

export interface PairOptions {
  readonly client?: Partial<Http2Options>;
  readonly server?: Partial<Http2Options>;
  readonly options?: Partial<Http2ServerOptions>;
  /** Heads travel as text. */
  readonly text?: boolean;
}

export class Pair implements ServerHandler {
  readonly clock = new SimulatedClock();
  readonly #events = new EventClock(this.clock);
  readonly wheel: TimerWheel = new TimerWheel(this.#events);
  readonly clientSocket: WireSocket;
  readonly serverSocket: WireSocket;
  readonly client: Http2ClientConnection;
  readonly server: Http2ServerConnection;
  readonly clientStats = new Http2Stats();
  readonly serverStats = new Http2Stats();
  /** What the server was asked, in order. */
  readonly served: ServerCall[] = [];
  readonly refused: ServerCall[] = [];
  serverClosed = 0;
  clientClosed = 0;
  clientDraining = 0;

  constructor({ client = {}, server = {}, options = {}, text = false }: PairOptions = {}) {
    const time = { clock: this.#events, wheel: this.wheel, random: () => 0 };
    [this.clientSocket, this.serverSocket] = wirePair();
    const serverOptions = {
      ...SERVER_OPTIONS,
      http2: { ...DEFAULT_HTTP2, ...server },
      text: text ? TEXT_LIMITS : null,
      ...options,
    };
    this.server = new Http2ServerConnection(this.serverSocket.socket, serverOptions, this, this.serverStats, time);
    this.client = new Http2ClientConnection(
      this.clientSocket.socket,
      { http2: { ...DEFAULT_HTTP2, ...client }, maxHeadBytes: 60 * 1024, maxFields: 100 },
      text,
      {
        onCapacity: () => undefined,
        onDraining: () => this.clientDraining++,
        onClosed: () => this.clientClosed++,
      },
      this.clientStats,
      time,
    );
  }

  nextRequest(): { readonly head: RequestHead; readonly handler: ServerCall } {
    const handler = new ServerCall();
    return { head: handler.head, handler };
  }

  onRequest(stream: DownstreamStream, handler: DownstreamHandler, body: BodyKind): void {
    const call = handler as ServerCall;
    call.stream = stream;
    call.body = body;
    if (body === Body.none) call.ends++;
    this.served.push(call);
  }

  onMalformed(stream: DownstreamStream, handler: DownstreamHandler): void {
    this.onRequest(stream, handler, Body.none);
    respond(handler as ServerCall, 400);
  }

  onRefused(handler: DownstreamHandler, refusal: Refusal): void {
    const call = handler as ServerCall;
    call.refusal = refusal;
    this.refused.push(call);
  }

  onRequestTimeout(stream: DownstreamStream, handler: DownstreamHandler): void {
    const call = handler as ServerCall;
    call.stream = stream;
    call.timedOut = true;
    respond(call, 408);
  }

  onClose(): void {
    this.serverClosed++;
  }

  /** Sends a head; the body, if there is to be one, is the test's to send. */
  call(
    path: string,
    body: BodyKind = Body.none,
    more: Readonly<Record<string, string>> = {},
    method = "GET",
  ): ClientCall {
    const call = new ClientCall(method === "HEAD");
    const stream = this.client.open();
    call.stream = stream;
    stream.begin(call);
    const head = new RequestHead();
    Object.assign(head, { method, path, authority: "a.test" });
    for (const [name, value] of Object.entries(more)) head.headers.append(name, value);
    stream.sendHead(head, body, false);
    if (body === Body.none) stream.sendEnd(null);
    return call;
  }

  /** Time goes by, and something happens that lets connections look at the clock. */
  pass(ms: number): void {
    this.clock.advance(ms);
    this.#events.refresh();
  }

  /** Gives what was written to the sockets. */
  flush(): void {
    this.client.outbox.flush();
    this.server.outbox.flush();
  }

  /** Moves all that is on the wire, and what comes of it, until nothing is left. */
  settle(most = 1_000_000): void {
    for (let moved = true; moved; ) {
      this.flush();
      moved = this.clientSocket.move(most);
      this.flush();
      moved = this.serverSocket.move(most) || moved;
    }
  }
}

/** Answers with a head, and a body if there is one. */
export function respond(call: ServerCall, status: number, body = "", trailers: HeaderMap | null = null): void {
  const head = new ResponseHead();
  head.status = status;
  call.stream?.sendHead(head, body === "" && trailers === null ? Body.none : Body.unbounded);
  if (body !== "") call.stream?.sendData(Buffer.from(body));
  call.stream?.sendEnd(trailers);
}

export const trailersOf = (fields: Readonly<Record<string, string>>): HeaderMap => HeaderMap.of(fields);
