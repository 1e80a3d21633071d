/**
 * The client side of HTTP/1 (RFC 9112) on one upstream connection: one request at a time, its response parsed in place
 * and handed on. When an exchange is over the connection tells its owner (a pool) whether it can be used again.
 */
import type { Socket } from "node:net";
import type { EventClock } from "../../../core/clock.ts";
import type { HeaderMap } from "../../../core/header-map.ts";
import type { TimerWheel, WheelTimer } from "../../../core/timer-wheel.ts";
import { type RequestHead, ResponseHead } from "../../http/message.ts";
import { owned } from "../blocks.ts";
import { nextConnectionId } from "../connection-id.ts";
import { localAddressOf, remoteAddressOf } from "../local-address.ts";
import { readSocket } from "../socket-reader.ts";
import { Body, type BodyKind, type UpstreamFailure, type UpstreamHandler, type UpstreamStream } from "../stream.ts";
import { ChunkedDecoder } from "./chunked.ts";
import { Framing, HeadError } from "./fields.ts";
import { parseResponseHead } from "./response-head.ts";
import { joinHead, LAST_CHUNK, lastChunk, requestHead, writeBody, writeChunk } from "./writer.ts";

export interface ClientOptions {
  readonly maxHeadBytes: number;
  readonly maxFields: number;
}

/** The pool that owns the connection. */
export interface ClientOwner {
  /** The exchange is over and the connection is free. */
  onIdle(connection: Http1ClientConnection): void;
  /** The connection is gone. `reusedIdleMs` ≥ 0: it was closed by the peer while idle, after so long. */
  onClosed(connection: Http1ClientConnection): void;
}

const State = { idle: 0, head: 1, length: 2, chunked: 3, untilClose: 4, tunnel: 5, closed: 6 } as const;

const framing = new Framing();

const MAX_DISCARDED_BYTES = 65_536;

/** A response that is not wanted gets this long for its rest: the connection is worth no more waiting. */
const DISCARD_TIMEOUT_MS = 1000;

/** Swallows the rest of a response that nobody wants any more. */
class DiscardedResponse implements UpstreamHandler {
  readonly response = new ResponseHead();
  readonly headRequest = false;
  readonly #connection: Http1ClientConnection;
  readonly #wheel: TimerWheel;
  readonly #deadline: WheelTimer;
  #bytes = 0;

  constructor(connection: Http1ClientConnection, wheel: TimerWheel) {
    this.#connection = connection;
    this.#wheel = wheel;
    this.#deadline = wheel.after(DISCARD_TIMEOUT_MS, () => connection.cancel());
  }

  onInformational(): void {}
  onResponseHead(): void {}
  onResponseFlush(): void {}
  onUpstreamWritable(): void {}

  onResponseEnd(): void {
    this.#wheel.cancel(this.#deadline);
  }

  onUpstreamReset(): void {
    this.#wheel.cancel(this.#deadline);
  }

  onResponseData(bytes: Buffer): void {
    this.#bytes += bytes.length;
    if (this.#bytes <= MAX_DISCARDED_BYTES) return;
    this.#wheel.cancel(this.#deadline);
    this.#connection.cancel();
  }
}

/** RFC 9110, section 8.6: 1xx and 204 have no length; one of nothing is dropped. False if a body is announced. */
function settleBodiless({ headers }: ResponseHead): boolean {
  if (framing.chunked || framing.contentLength > 0) return false;
  if (framing.lengths > 0) headers.remove("content-length");
  return true;
}

export class Http1ClientConnection implements UpstreamStream {
  readonly protocol = "HTTP/1.1";
  readonly connectionId = nextConnectionId();
  readonly socket: Socket;
  /** Requests sent on this connection so far. */
  requests = 0;
  /** Monotonic ms of the last time it became idle; the pool's. */
  idleSince = 0;
  readonly #options: ClientOptions;
  readonly #owner: ClientOwner;
  #state: number = State.idle;
  #handler: UpstreamHandler | null = null;
  #held: Buffer | null = null;
  #left = 0;
  #chunks: ChunkedDecoder | null = null;
  #reusable = true;
  #requestDone = true;
  #pendingHead = "";
  /** The request's body is chunked; `#frame`: from bytes that come without framing. */
  #chunked = false;
  #frame = false;
  #sawBytes = false;
  #unframe = false;
  #paused = false;
  #error = "";
  #localAddress: string | null = null;

  constructor(socket: Socket, options: ClientOptions, owner: ClientOwner, clock: EventClock) {
    this.socket = socket;
    this.#options = options;
    this.#owner = owner;
    readSocket(socket, (chunk) => {
      clock.refresh();
      this.#onData(chunk);
    });
    socket.on("end", () => {
      clock.refresh();
      this.#onEnd();
    });
    socket.on("drain", () => this.#handler?.onUpstreamWritable());
    socket.on("error", (error: Error) => {
      this.#error = error.message;
    });
    socket.on("close", () => {
      clock.refresh();
      this.#onClose();
    });
  }

  get idle(): boolean {
    return this.#state === State.idle;
  }

  /** Asked of the system once. */
  get localAddress(): string {
    this.#localAddress ??= localAddressOf(this.socket);
    return this.#localAddress;
  }

  get remoteAddress(): string {
    return remoteAddressOf(this.socket);
  }

  get answered(): boolean {
    return this.#sawBytes;
  }

  begin(handler: UpstreamHandler, unframe: boolean): void {
    this.#handler = handler;
    this.#state = State.head;
    this.#requestDone = false;
    this.#reusable = true;
    this.#sawBytes = false;
    this.#unframe = unframe;
    this.requests++;
  }

  sendHead(request: RequestHead, body: BodyKind, upgrading: boolean): void {
    // A body of unknown length whose request names one is cut by that length; else it is chunked here.
    this.#frame = body === Body.unbounded && !upgrading && !request.headers.has("content-length");
    this.#chunked = this.#frame || body === Body.chunked;
    this.#pendingHead = requestHead(request, body, this.#chunked, upgrading);
  }

  sendData(bytes: Buffer): boolean {
    const head = this.#pendingHead;
    this.#pendingHead = "";
    if (this.#frame) return writeChunk(this.socket, head, bytes);
    return head === "" ? writeBody(this.socket, bytes) : joinHead(this.socket, head, bytes);
  }

  sendEnd(trailers: HeaderMap | null): void {
    this.#requestDone = true;
    if (this.#chunked) {
      const end = trailers === null ? LAST_CHUNK : lastChunk(trailers);
      this.socket.write(this.#pendingHead + end, "latin1");
      this.#pendingHead = "";
    } else this.flush();
  }

  flush(): void {
    if (this.#pendingHead === "") return;
    const head = this.#pendingHead;
    this.#pendingHead = "";
    this.socket.write(head, "latin1");
  }

  discard(wheel: TimerWheel): void {
    if (this.#handler === null) return;
    if (!this.#requestDone || this.#state === State.head || this.#left > MAX_DISCARDED_BYTES) this.cancel();
    else this.#handler = new DiscardedResponse(this, wheel);
  }

  cancel(): void {
    this.#handler = null;
    if (this.#state !== State.idle) {
      this.#state = State.closed;
      this.socket.destroy();
    }
  }

  giveBack(): void {
    this.#owner.onIdle(this);
  }

  /** Closes an idle connection, or marks a busy one as not to be used again. */
  retire(): void {
    this.#reusable = false;
    if (this.#state === State.idle) {
      this.#state = State.closed;
      this.socket.end();
      this.socket.destroySoon();
    }
  }

  pauseResponse(): void {
    if (this.#paused) return;
    this.#paused = true;
    this.socket.pause();
  }

  resumeResponse(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.socket.resume();
  }

  /** Bytes pass unread both ways from now on. */
  startTunnel(): void {
    this.#state = State.tunnel;
  }

  endTunnel(): void {
    this.socket.end();
  }

  #onData(chunk: Buffer): void {
    if (this.#state === State.idle) {
      // Nobody asked: a peer that speaks out of turn can't be trusted with the next request.
      this.#state = State.closed;
      this.socket.destroy();
      return;
    }
    this.#sawBytes = true;
    if (this.#held === null) this.#process(chunk);
    else {
      const held = this.#held;
      if (
        this.#state === State.head &&
        held.length + chunk.length <= this.#options.maxHeadBytes &&
        !chunk.includes(0x0a)
      ) {
        this.#held = Buffer.concat([held, chunk]);
        return;
      }
      this.#held = null;
      this.#process(Buffer.concat([held, chunk]));
    }
  }

  #process(buf: Buffer): void {
    let pos = 0;
    while (pos < buf.length) {
      switch (this.#state) {
        case State.head: {
          const next = this.#readHead(buf, pos);
          if (next <= 0) return;
          pos = next;
          break;
        }
        case State.length: {
          const take = Math.min(this.#left, buf.length - pos);
          this.#left -= take;
          this.#handler?.onResponseData(take === buf.length ? buf : buf.subarray(pos, pos + take), take);
          pos += take;
          if (this.#left === 0 && this.#state === State.length) this.#finish(null, buf.length - pos);
          break;
        }
        case State.chunked: {
          const chunks = this.#chunks as ChunkedDecoder;
          const next = chunks.feed(buf, pos, buf.length, this);
          if (next < 0) {
            this.#fail("protocol_error", "the upstream's chunked body is malformed");
            return;
          }
          pos = next;
          if (chunks.done && this.#state === State.chunked) this.#finish(chunks.trailers, buf.length - pos);
          break;
        }
        case State.untilClose:
        case State.tunnel: {
          const slice = pos === 0 ? buf : buf.subarray(pos);
          pos = buf.length;
          this.#handler?.onResponseData(slice, slice.length);
          break;
        }
        default:
          return;
      }
    }
    this.#handler?.onResponseFlush();
  }

  /** Called by the chunk decoder. */
  onChunk(bytes: Buffer, payload: number): void {
    this.#handler?.onResponseData(bytes, payload);
  }

  #readHead(buf: Buffer, start: number): number {
    const handler = this.#handler;
    if (handler === null) return 0;
    const head = handler.response;
    head.clear();
    framing.clear();
    const limit = this.#options.maxHeadBytes;
    const end = Math.min(buf.length, start + limit + 1);
    let after = parseResponseHead(buf, start, end, this.#options.maxFields, head, framing);
    if (after > start + limit || (after === 0 && end - start > limit)) after = HeadError.tooLarge;
    if (after === 0) {
      this.#held = owned(start === 0 ? buf : buf.subarray(start));
      return 0;
    }
    if (after < 0) {
      this.#fail(
        "protocol_error",
        after === HeadError.tooLarge
          ? "the upstream's response head is too large"
          : "the upstream's response head is malformed",
      );
      return 0;
    }
    if ((head.status < 200 || head.status === 204) && !settleBodiless(head)) {
      this.#fail("protocol_error", `the upstream sent a ${head.status} with a body, which has none`);
      return 0;
    }
    if (head.status < 200) {
      if (head.status === 101) {
        this.#reusable = false;
        this.#state = State.tunnel;
        handler.onResponseHead(Body.none);
        return after;
      }
      const informational = new ResponseHead();
      informational.status = head.status;
      informational.reason = head.reason;
      head.headers.forEach((name, value) => {
        informational.headers.append(name, value);
      });
      handler.onInformational(informational);
      return after;
    }
    const http10 = head.protocol === "HTTP/1.0";
    if (framing.close || (http10 && !framing.keepAlive)) this.#reusable = false;
    if (handler.headRequest || head.status === 204 || head.status === 304) {
      this.#left = 0;
      this.#state = State.length;
      handler.onResponseHead(Body.none);
      if (this.#handler === null) return 0;
      this.#finish(null, buf.length - after);
      return after;
    }
    if (framing.chunked) {
      this.#chunks ??= new ChunkedDecoder();
      this.#chunks.reset(!this.#unframe);
      this.#state = State.chunked;
      handler.onResponseHead(this.#unframe ? Body.unbounded : Body.chunked);
    } else if (framing.contentLength >= 0) {
      this.#left = framing.contentLength;
      this.#state = State.length;
      handler.onResponseHead(this.#left === 0 ? Body.none : Body.length);
      if (this.#left === 0 && this.#handler !== null) this.#finish(null, buf.length - after);
    } else {
      this.#reusable = false;
      this.#state = State.untilClose;
      handler.onResponseHead(Body.unbounded);
    }
    return after;
  }

  #finish(trailers: HeaderMap | null, surplus: number): void {
    const handler = this.#handler;
    this.#handler = null;
    // A response that came before the request was sent whole, or bytes beyond it, leave the connection unusable.
    if (!this.#requestDone || surplus > 0) this.#reusable = false;
    this.#state = State.idle;
    // The caller may be behind with the last bytes; the next response is not to wait for it.
    this.resumeResponse();
    // Given back first: the answer may make its caller send the next request at once.
    if (this.#reusable) this.#owner.onIdle(this);
    else {
      this.#state = State.closed;
      this.socket.destroySoon();
    }
    handler?.onResponseEnd(trailers);
  }

  #fail(failure: UpstreamFailure, detail: string): void {
    const handler = this.#handler;
    this.#handler = null;
    this.#state = State.closed;
    this.socket.destroy();
    handler?.onUpstreamReset(failure, detail);
  }

  #onEnd(): void {
    if (this.#state === State.untilClose) {
      this.#reusable = false;
      this.#finish(null, 0);
    } else if (this.#state === State.tunnel) {
      const handler = this.#handler;
      this.#handler = null;
      this.#state = State.closed;
      this.socket.end();
      handler?.onResponseEnd(null);
    } else if (this.#state === State.idle || this.#state === State.closed) this.socket.destroy();
    // Like Envoy: an end in the middle of a message breaks the protocol, an end instead of one is a reset.
    else if (this.#sawBytes) this.#fail("protocol_error", "the upstream closed in the middle of its response");
    else this.#fail("connection_termination", "the upstream closed without answering");
  }

  #onClose(): void {
    const handler = this.#handler;
    const framed = this.#sawBytes && this.#state !== State.untilClose && this.#state !== State.tunnel;
    this.#handler = null;
    this.#state = State.closed;
    // Like Envoy: an end in the middle of a message breaks the protocol, an end instead of one is a reset.
    const failure = framed ? "protocol_error" : "connection_termination";
    handler?.onUpstreamReset(failure, this.#error || "the upstream's connection was cut");
    this.#owner.onClosed(this);
  }
}
