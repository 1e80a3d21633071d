/** Joins one accepted HTTP/1 connection to its connection manager: exchanges are lent to it, errors become replies. */
import type { Socket } from "node:net";
import { Flag } from "../../model/flags.ts";
import type { ConnectionInfo } from "../../telemetry/stream-info.ts";
import { HeadError } from "../codec/http1/fields.ts";
import { Http1ServerConnection, type ServerHandler, type ServerOptions } from "../codec/http1/server-connection.ts";
import type { BodyKind, DownstreamHandler } from "../codec/stream.ts";
import { Exchange } from "./exchange.ts";
import { type Failure, failures } from "./failures.ts";
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

export class HttpConnection implements ServerHandler {
  readonly connection: Http1ServerConnection;
  readonly #runtime: () => HttpRuntime;
  readonly #info: ConnectionInfo;
  readonly #onClosed: () => void;
  /** Lent for the next request, while its head is arriving. */
  #next: Exchange | null = null;

  constructor(
    socket: Socket,
    options: ServerOptions,
    info: ConnectionInfo,
    runtime: () => HttpRuntime,
    onClosed: () => void,
  ) {
    this.#runtime = runtime;
    this.#info = info;
    this.#onClosed = onClosed;
    this.connection = new Http1ServerConnection(socket, options, this, runtime().context);
  }

  nextRequest(): { readonly head: RequestHead; readonly handler: DownstreamHandler } {
    this.#next ??= free.pop() ?? new Exchange(this.#info, recycle);
    return { head: this.#next.request, handler: this.#next };
  }

  onRequest(
    handler: DownstreamHandler,
    body: BodyKind,
    _length: number,
    expectContinue: boolean,
    upgrade: boolean,
  ): void {
    const exchange = handler as Exchange;
    this.#next = null;
    exchange.begin(this.#runtime(), this.connection, this.#info, body, expectContinue, upgrade);
  }

  onMalformed(handler: DownstreamHandler, error: number): void {
    this.#reject(handler, MALFORMED.get(error) ?? OTHER);
  }

  onRequestTimeout(handler: DownstreamHandler): void {
    this.#reject(handler, handler === this.#next ? failures.headTimeout : failures.requestTimeout);
  }

  onClose(): void {
    const unfinished = this.#next;
    this.#next = null;
    unfinished?.abandon(this.#runtime(), this.connection, this.#info);
    this.#onClosed();
  }

  #reject(handler: DownstreamHandler, failure: Failure): void {
    const exchange = handler as Exchange;
    if (exchange === this.#next) this.#next = null;
    exchange.reject(this.#runtime(), this.connection, this.#info, failure);
  }
}
