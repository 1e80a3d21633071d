/** Joins one accepted connection to its connection manager: exchanges are lent to it, errors become replies. */
import type { Socket } from "node:net";
import { Flag } from "../../model/flags.ts";
import type { ConnectionInfo } from "../../telemetry/stream-info.ts";
import { owned } from "../codec/blocks.ts";
import { HeadError } from "../codec/http1/fields.ts";
import { Http1ServerConnection } from "../codec/http1/server-connection.ts";
import { Http2ServerConnection } from "../codec/http2/server-connection.ts";
import type {
  BodyKind,
  DownstreamHandler,
  DownstreamStream,
  Refusal,
  ServerConnection,
  ServerHandler,
} from "../codec/stream.ts";
import { HTTP2, isNoHttp, looksLikeHttp2, MORE } from "../sniff/http-version.ts";
import type { HttpServerOptions } from "./compile-runtime.ts";
import { Exchange } from "./exchange.ts";
import { type Failure, failures } from "./failures.ts";
import type { HttpStats } from "./http-stats.ts";
import type { RequestHead } from "./message.ts";
import type { HttpRuntime } from "./runtime.ts";

/** Exchanges kept for reuse; more than this were needed at once only in a burst. */
const MAX_FREE = 1024;
const free: Exchange[] = [];

function recycle(exchange: Exchange): void {
  if (free.length < MAX_FREE) free.push(exchange);
}

function malformed(status: number, body: string, details: string): Failure {
  return {
    status,
    flags: Flag.DPE,
    body,
    details,
    sentence: `the request is malformed: ${details}`,
    overloaded: false,
  };
}

function badRequest(details: string): Failure {
  return malformed(400, "Bad Request", details);
}

const TOO_LARGE = "Request Header Fields Too Large";

/** Envoy's answers to heads that can't be served. */
const MALFORMED = new Map<number, Failure>([
  [HeadError.tooLarge, malformed(431, TOO_LARGE, "http1.headers_too_large")],
  [HeadError.tooManyFields, malformed(431, TOO_LARGE, "http1.too_many_headers")],
  [HeadError.http10, malformed(426, "Upgrade Required", "low_version")],
  // The message is sound, only nobody knows whom it is for.
  [HeadError.missingHost, { ...malformed(400, "", "missing_host_header"), flags: 0 }],
  [HeadError.transferEncoding, malformed(501, "Not Implemented", "http1.invalid_transfer_encoding")],
  [HeadError.lengthAndChunked, badRequest("http1.content_length_and_chunked_not_allowed")],
  [HeadError.invalidValue, badRequest("http1.invalid_characters")],
  [HeadError.invalidUrl, badRequest("http1.invalid_url")],
  [HeadError.invalidScheme, badRequest("http1.invalid_scheme")],
  [HeadError.invalidAuthority, badRequest("http.invalid_authority")],
  [HeadError.underscore, badRequest("http1.unexpected_underscore")],
]);
const OTHER = badRequest("http1.codec_error");

/** What a connection speaks; `auto`: its first bytes tell. */
export type HttpVersion = "http1" | "http2" | "multiplexed" | "auto";

export class HttpConnection implements ServerHandler {
  #connection: ServerConnection;
  /** -1: not asked to end. */
  #drainMs = -1;
  readonly #runtime: () => HttpRuntime;
  readonly #info: ConnectionInfo;
  readonly #onClosed: () => void;
  /** Where it is counted once it is known to speak HTTP/1. */
  #http1: HttpStats | null = null;
  /** Lent for the next request, while its head is arriving. */
  #next: Exchange | null = null;

  constructor(
    socket: Socket,
    version: HttpVersion,
    options: HttpServerOptions,
    info: ConnectionInfo,
    runtime: () => HttpRuntime,
    onClosed: () => void,
  ) {
    this.#runtime = runtime;
    this.#info = info;
    this.#onClosed = onClosed;
    const { context, stats } = runtime();
    if (version === "http2" || version === "multiplexed") {
      this.#connection = new Http2ServerConnection(socket, options[version], this, stats[version], context);
      return;
    }
    const http1 = new Http1ServerConnection(socket, options.http1, this, context);
    this.#connection = http1;
    if (version === "http1") {
      this.#isHttp1(stats);
      return;
    }
    let held: Buffer | null = null;
    http1.divert = (bytes) => {
      const begun: Buffer = held === null ? bytes : Buffer.concat([held, bytes]);
      const seen = looksLikeHttp2(begun);
      if (seen === MORE) {
        held = owned(begun);
        return;
      }
      held = null;
      http1.divert = null;
      if (seen === HTTP2) {
        http1.detach();
        const http2 = new Http2ServerConnection(socket, options.http2, this, stats.http2, context, true);
        this.#connection = http2;
        http1.divert = (rest) => http2.feed(rest);
        if (this.#drainMs >= 0) http2.drain(this.#drainMs);
      } else if (isNoHttp(begun)) {
        // An answer in HTTP/1 would tell such a peer nothing.
        socket.destroySoon();
        return;
      } else this.#isHttp1(stats);
      this.#connection.feed(begun);
    };
  }

  /** For the listener's log: what was spoken, "" before the first bytes have told. */
  get protocol(): string {
    if (this.#connection instanceof Http2ServerConnection) return "HTTP/2";
    return this.#http1 === null ? "" : "HTTP/1.1";
  }

  #isHttp1(stats: HttpStats): void {
    this.#http1 = stats;
    stats.downstream_cx_http1_total++;
    stats.downstream_cx_http1_active++;
  }

  /** Bytes that were read before this took the socket over. */
  feed(bytes: Buffer): void {
    const connection = this.#connection;
    if (connection instanceof Http1ServerConnection && connection.divert !== null) connection.divert(bytes);
    else connection.feed(bytes);
  }

  /** Ends after what is under way; `graceMs` for a request that may be on its way already. */
  drain(graceMs: number): void {
    this.#drainMs = graceMs;
    this.#connection.drain(graceMs);
  }

  get socket(): Socket {
    return this.#connection.socket;
  }

  nextRequest(): { readonly head: RequestHead; readonly handler: DownstreamHandler } {
    let next = this.#next;
    if (next === null) {
      next = free.pop() ?? new Exchange(this.#info, recycle);
      this.#next = next;
      if (this.#http1 !== null) this.#http1.downstream_rq_http1_total++;
    }
    return { head: next.request, handler: next };
  }

  onRequest(
    stream: DownstreamStream,
    handler: DownstreamHandler,
    body: BodyKind,
    expectContinue: boolean,
    upgrade: boolean,
  ): void {
    const exchange = handler as Exchange;
    this.#next = null;
    exchange.begin(this.#runtime(), stream, this.#info, body, expectContinue, upgrade);
  }

  onMalformed(stream: DownstreamStream, handler: DownstreamHandler, error: number): void {
    // As in Envoy, not what the parser takes and the connection manager does not.
    const broken = error !== HeadError.missingHost && error !== HeadError.http10;
    if (this.#http1 !== null && broken) this.#http1.http1_protocol_errors++;
    this.#reject(stream, handler, MALFORMED.get(error) ?? OTHER);
  }

  onRefused(handler: DownstreamHandler, refusal: Refusal): void {
    this.#next = null;
    (handler as Exchange).refuse(this.#runtime(), this.#info, refusal);
  }

  onRequestTimeout(stream: DownstreamStream, handler: DownstreamHandler): void {
    this.#reject(stream, handler, handler === this.#next ? failures.headTimeout : failures.requestTimeout);
  }

  onClose(): void {
    const unfinished = this.#next;
    this.#next = null;
    unfinished?.abandon(this.#runtime(), this.#info);
    if (this.#http1 !== null) this.#http1.downstream_cx_http1_active--;
    this.#onClosed();
  }

  #reject(stream: DownstreamStream, handler: DownstreamHandler, failure: Failure): void {
    const exchange = handler as Exchange;
    if (exchange === this.#next) this.#next = null;
    exchange.reject(this.#runtime(), stream, this.#info, failure);
  }
}
