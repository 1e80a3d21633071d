/**
 * The server side of HTTP/1 (RFC 9112) on one accepted connection: requests one after another, pipelined ones held back
 * until their turn, responses written so that a head and the first bytes of its body leave together.
 */
import type { Socket } from "node:net";
import type { EventClock } from "../../../core/clock.ts";
import type { HeaderMap } from "../../../core/header-map.ts";
import type { TimerWheel } from "../../../core/timer-wheel.ts";
import { WheelTimer } from "../../../core/timer-wheel.ts";
import { Flag } from "../../../model/flags.ts";
import type { ResponseHead } from "../../http/message.ts";
import { owned } from "../blocks.ts";
import { readSocket } from "../socket-reader.ts";
import {
  Body,
  type BodyKind,
  DISCONNECTED,
  type DownstreamHandler,
  type DownstreamStream,
  type ServerConnection,
  type ServerHandler,
  type ServerTimes,
} from "../stream.ts";
import { ChunkedDecoder } from "./chunked.ts";
import { Framing, HeadError } from "./fields.ts";
import { parseRequestHead, type RequestHeadLimits } from "./request-head.ts";
import {
  CHUNKED,
  cut,
  joinHead,
  LAST_CHUNK,
  lastChunk,
  statusLine,
  unwritten,
  writeBody,
  writeChunk,
} from "./writer.ts";

/** The clock and timers of the thread that serves a connection. */
export interface ConnectionTime {
  readonly clock: EventClock;
  readonly wheel: TimerWheel;
}

export interface ServerOptions extends RequestHeadLimits, ServerTimes {
  readonly maxHeadBytes: number;
  readonly headTimeoutMs: number;
}

const State = { head: 0, length: 1, chunked: 2, waiting: 3, tunnel: 4, closed: 5, draining: 6 } as const;

/** Parsing is synchronous and its results are copied, so that all connections share one. */
const framing = new Framing();

const CONTINUE = "HTTP/1.1 100 Continue\r\n\r\n";

/** How much a request that is not wanted any more may still send while its connection closes. */
const MAX_DRAINED_BYTES = 1 << 20;

/** Pipelined bytes that are held. A socket that is not read would not tell either that its caller has gone. */
const MAX_HELD_BYTES = 65_536;

/** How long a peer may take nothing of what was written, where Envoy would wait for ever. */
const UNWRITTEN_TIMEOUT_MS = 60_000;

export class Http1ServerConnection implements DownstreamStream, ServerConnection {
  readonly ownsConnection = true;
  /** What waits here is the kernel's to take. */
  readonly hasPending = false;
  readonly socket: Socket;
  /** Who is given what arrives instead, while it is not certain that the peer speaks HTTP/1. */
  divert: ((bytes: Buffer) => void) | null = null;
  readonly #options: ServerOptions;
  readonly #handler: ServerHandler;
  readonly #wheel: TimerWheel;
  #state: number = State.head;
  /** The current request's exchange, null between requests. */
  #current: DownstreamHandler | null = null;
  /** Bytes not yet parsed: the start of a head, or pipelined requests. */
  #held: Buffer | null = null;
  #left = 0;
  #chunks: ChunkedDecoder | null = null;
  #requestDone = true;
  #responseDone = true;
  #expectContinue = false;
  #keepAlive = true;
  #http10 = false;
  #drain = false;
  #drainGraceMs = 0;
  #requests = 0;
  #outHead = "";
  #outBody: BodyKind = Body.none;
  #paused = false;
  #drained = 0;
  #idleSince = 0;
  /** Bytes that the peer had not taken when the closing connection was last looked at. */
  #unwritten = 0;
  #busy = false;
  /** Body bytes come without framing and must be given chunks of their own. */
  #frame = false;
  #gone = false;
  readonly #idleTimer: WheelTimer;
  #requestTimer: WheelTimer | null = null;
  /** When the first byte of the request came, while its timer runs. */
  #requestSince = 0;
  #closeTimer: WheelTimer | null = null;
  #durationTimer: WheelTimer | null = null;

  constructor(socket: Socket, options: ServerOptions, handler: ServerHandler, time: ConnectionTime) {
    this.socket = socket;
    this.#options = options;
    this.#handler = handler;
    const { wheel, clock } = time;
    this.#wheel = wheel;
    this.#idleTimer = new WheelTimer(() => this.#onIdle());
    readSocket(socket, (chunk) => {
      clock.refresh();
      if (this.divert === null) this.#onData(chunk);
      else this.divert(chunk);
    });
    socket.on("end", () => {
      clock.refresh();
      if (!this.#gone) this.#onEnd();
    });
    socket.on("drain", () => this.#onWritable());
    socket.on("error", () => this.#teardown());
    socket.on("close", () => {
      clock.refresh();
      this.#teardown();
    });
    this.#armIdle();
    if (options.maxDurationMs > 0) {
      this.#durationTimer = wheel.after(options.maxDurationMs, () => this.drain(options.drainMs));
    }
  }

  get idle(): boolean {
    return this.#current === null;
  }

  /**
   * Announces the end with `Connection: close` in the next response and closes after it. An idle connection is given
   * `graceMs` for a request that may be on its way already: closing under it would fail that request.
   */
  drain(graceMs: number): void {
    this.#drain = true;
    this.#drainGraceMs = graceMs;
    if (this.#current === null && this.#state === State.head) this.#wheel.arm(this.#idleTimer, Math.max(1, graceMs));
  }

  /** The current response is the connection's last. */
  closeAfterResponse(): void {
    this.#keepAlive = false;
  }

  feed(bytes: Buffer): void {
    this.#onData(bytes);
  }

  /** Leaves the socket to another codec, before anything was read; `divert` goes on. */
  detach(): void {
    this.#gone = true;
    this.#state = State.closed;
    this.#wheel.cancel(this.#idleTimer);
    if (this.#durationTimer) this.#wheel.cancel(this.#durationTimer);
  }

  #onData(chunk: Buffer): void {
    switch (this.#state) {
      case State.waiting:
        this.#hold(chunk);
        return;
      case State.tunnel:
        this.#current?.onRequestData(chunk, chunk.length);
        return;
      case State.closed:
        return;
      case State.draining:
        this.#drained += chunk.length;
        // The answer may still be on its way: a reset now would destroy it.
        if (this.#drained > MAX_DRAINED_BYTES) this.socket.pause();
        return;
    }
    const held = this.#held;
    if (held === null) this.#process(chunk, 0);
    else {
      // Only a new line can complete a head or show it to be wrong: without one there is nothing to parse.
      if (
        this.#state === State.head &&
        held.length + chunk.length <= this.#options.maxHeadBytes &&
        !chunk.includes(0x0a)
      ) {
        this.#hold(chunk);
        return;
      }
      this.#held = null;
      this.#process(Buffer.concat([held, chunk]), 0);
    }
  }

  #hold(chunk: Buffer): void {
    this.#held = this.#held === null ? owned(chunk) : Buffer.concat([this.#held, chunk]);
    if (this.#holdsEnough) this.pauseRequest();
  }

  /** More pipelined bytes stay in the kernel. */
  get #holdsEnough(): boolean {
    return this.#state === State.waiting && this.#held !== null && this.#held.length > MAX_HELD_BYTES;
  }

  #process(buf: Buffer, start: number): void {
    let pos = start;
    this.#busy = true;
    while (pos < buf.length) {
      if (this.#state === State.head) {
        const next = this.#readHead(buf, pos);
        if (next <= 0) break;
        pos = next;
      } else if (this.#state === State.length) {
        const take = Math.min(this.#left, buf.length - pos);
        this.#left -= take;
        const slice = pos === 0 && take === buf.length ? buf : buf.subarray(pos, pos + take);
        pos += take;
        this.#current?.onRequestData(slice, take);
        if (this.#left === 0 && this.#state === State.length) this.#endRequest(null);
      } else if (this.#state === State.chunked) {
        const chunks = this.#chunks as ChunkedDecoder;
        const next = chunks.feed(buf, pos, buf.length, this);
        if (next < 0) {
          this.#fail(next);
          break;
        }
        pos = next;
        if (chunks.done && this.#state === State.chunked) this.#endRequest(chunks.trailers);
      } else {
        const rest = buf.subarray(pos);
        if (this.#state === State.waiting) this.#hold(rest);
        else this.#onData(rest);
        break;
      }
    }
    this.#busy = false;
  }

  /** Called by the chunk decoder. */
  onChunk(bytes: Buffer, payload: number): void {
    this.#current?.onRequestData(bytes, payload);
  }

  /** Returns the offset after the head, or 0 if there is nothing more to do with these bytes. */
  #readHead(buf: Buffer, start: number): number {
    let pos = start;
    // RFC 9112, section 2.2: empty lines before a request line are ignored.
    while (pos + 1 < buf.length && buf[pos] === 0x0d && buf[pos + 1] === 0x0a) pos += 2;
    if (pos === buf.length) return 0;
    if (buf[pos] === 0x0d && pos + 1 === buf.length) {
      this.#held = owned(buf.subarray(pos));
      return 0;
    }
    const { head, handler } = this.#handler.nextRequest();
    head.clear();
    framing.clear();
    const limit = this.#options.maxHeadBytes;
    const end = Math.min(buf.length, pos + limit + 1);
    let after = parseRequestHead(buf, pos, end, this.#options, head, framing);
    if (after > pos + limit || (after === 0 && end - pos > limit)) after = HeadError.tooLarge;
    if (after === 0) {
      this.#held = owned(pos === 0 ? buf : buf.subarray(pos));
      this.#awaitHead();
      return 0;
    }
    this.#requestDone = false;
    this.#responseDone = false;
    if (after < 0) {
      // What could be read of it is nothing to go by, for logs neither; only a missing host leaves the rest whole.
      if (after !== HeadError.missingHost) head.clear();
      this.#current = handler;
      this.#keepAlive = false;
      this.#handler.onMalformed(this, handler, after);
      return 0;
    }
    this.#http10 = head.protocol === "HTTP/1.0";
    this.#requests++;
    const last = this.#drain || (this.#options.maxRequests > 0 && this.#requests >= this.#options.maxRequests);
    this.#keepAlive = !last && !framing.close && (!this.#http10 || framing.keepAlive);
    this.#expectContinue = framing.expectContinue && !this.#http10;
    const body = framing.chunked ? Body.chunked : framing.contentLength > 0 ? Body.length : Body.none;
    if (body === Body.chunked) {
      this.#state = State.chunked;
      this.#chunks ??= new ChunkedDecoder();
      this.#chunks.reset(true);
    } else if (body === Body.length) {
      this.#state = State.length;
      this.#left = framing.contentLength;
    } else this.#state = State.waiting;
    if (body === Body.none) this.#cancelRequestTimer();
    else this.#awaitBody();
    this.#current = handler;
    this.#requestDone = body === Body.none;
    this.#handler.onRequest(this, handler, body, this.#expectContinue, framing.upgrade);
    return after;
  }

  #endRequest(trailers: HeaderMap | null): void {
    this.#requestDone = true;
    this.#state = State.waiting;
    this.#cancelRequestTimer();
    const current = this.#current;
    current?.onRequestEnd(trailers);
    if (this.#responseDone && this.#current === null) this.#nextOrClose();
  }

  /** The request turned out malformed after its head: the answer may have begun already. */
  #fail(error: number): void {
    this.#keepAlive = false;
    this.#state = State.draining;
    const current = this.#current;
    if (current === null) this.#finish();
    else this.#handler.onMalformed(this, current, error);
  }

  sendInformational(head: ResponseHead): boolean {
    if (this.#http10 || this.socket.destroyed) return true;
    return this.socket.write(`${statusLine(head.status, head.reason, false)}${head.headers.toHttp1()}\r\n`, "latin1");
  }

  sendContinue(): void {
    if (!this.#expectContinue) return;
    this.#expectContinue = false;
    this.socket.write(CONTINUE, "latin1");
  }

  sendHead(head: ResponseHead, body: BodyKind): void {
    let text = statusLine(head.status, head.reason, this.#http10) + head.headers.toHttp1();
    // A request that has not been read to its end leaves the connection where nobody knows what comes next.
    if (!this.#requestDone) {
      this.#keepAlive = false;
      this.#cancelRequestTimer();
    }
    if (this.#drain) this.#keepAlive = false;
    this.#outBody = body;
    this.#frame = false;
    if (body === Body.chunked) text += CHUNKED;
    else if (body === Body.unbounded) {
      // RFC 9112, section 6.3: a 1.0 peer takes the end of the connection as the body's end; others get chunks.
      if (this.#http10) this.#keepAlive = false;
      else {
        this.#frame = true;
        this.#outBody = Body.chunked;
        text += CHUNKED;
      }
    }
    if (head.status !== 101) {
      if (!this.#keepAlive) text += "connection: close\r\n";
      else if (this.#http10) text += "connection: keep-alive\r\n";
    }
    this.#outHead = `${text}\r\n`;
  }

  get wantsUnframed(): boolean {
    return this.#http10;
  }

  sendData(bytes: Buffer): boolean {
    const socket = this.socket;
    const head = this.#outHead;
    this.#outHead = "";
    if (this.#frame) return writeChunk(socket, head, bytes);
    return head === "" ? writeBody(socket, bytes) : joinHead(socket, head, bytes);
  }

  sendEnd(trailers: HeaderMap | null): void {
    if (this.#outBody === Body.chunked) {
      const end = trailers === null ? LAST_CHUNK : lastChunk(trailers);
      this.socket.write(this.#outHead === "" ? end : this.#outHead + end, "latin1");
      this.#outHead = "";
    } else this.flush();
    this.#responseDone = true;
    this.#current = null;
    if (this.#requestDone || this.#state === State.draining) this.#nextOrClose();
    else this.#finish();
  }

  flush(): void {
    if (this.#outHead === "") return;
    const head = this.#outHead;
    this.#outHead = "";
    this.socket.write(head, "latin1");
  }

  abort(): void {
    this.#current = null;
    this.#state = State.closed;
    if (this.#outBody === Body.unbounded) {
      // An orderly end would make the body look whole.
      cut(this.socket);
      return;
    }
    // What was written goes out, but the message stays visibly unfinished.
    this.flush();
    this.#end();
    this.socket.destroySoon();
  }

  pauseRequest(): void {
    if (this.#paused) return;
    this.#paused = true;
    this.socket.pause();
  }

  resumeRequest(): void {
    if (!this.#paused || this.#holdsEnough) return;
    this.#paused = false;
    this.socket.resume();
  }

  startTunnel(): void {
    this.flush();
    this.#state = State.tunnel;
    this.#requestDone = true;
    this.#keepAlive = false;
    const held = this.#held;
    this.#held = null;
    if (held !== null) this.#current?.onRequestData(held, held.length);
    this.resumeRequest();
  }

  #onWritable(): void {
    const current = this.#current;
    if (current !== null) current.onDownstreamWritable();
    else if (this.#state === State.waiting) this.#nextOrClose();
  }

  #nextOrClose(): void {
    if (!this.#keepAlive) {
      this.#finish();
      return;
    }
    if (this.socket.writableNeedDrain) {
      // A caller who asks on and on without reading the answers would have them pile up here.
      this.#armIdle();
      return;
    }
    this.#state = State.head;
    // The response said that the connection stays: a request may be on its way already.
    if (this.#drain) this.drain(this.#drainGraceMs);
    const held = this.#held;
    if (held !== null && !this.#busy) {
      this.#held = null;
      // Pipelined requests that are answered at once must not pile up on the stack.
      queueMicrotask(() => this.#resumeHeld(held));
      return;
    }
    this.resumeRequest();
    if (held === null) this.#armIdle();
  }

  #resumeHeld(held: Buffer): void {
    if (this.#state !== State.head) return;
    this.#process(held, 0);
    this.resumeRequest();
    if (this.#state === State.head && this.#current === null) this.#armIdle();
  }

  #armIdle(): void {
    this.#idleSince = this.#wheel.now();
    if (!this.#idleTimer.armed && this.#options.idleTimeoutMs > 0)
      this.#wheel.arm(this.#idleTimer, this.#options.idleTimeoutMs);
  }

  /** The timer is not armed anew for each request: when it fires it looks when the last one ended. */
  #onIdle(): void {
    if (this.#current !== null) return;
    const left =
      this.#drain && !this.socket.writableNeedDrain
        ? 0
        : this.#idleSince + this.#options.idleTimeoutMs - this.#wheel.now();
    if (left > 1) this.#wheel.arm(this.#idleTimer, left);
    else if (this.#drain || this.socket.writableNeedDrain) this.#finish();
    else this.drain(this.#options.drainMs);
  }

  /** Part of a head has come: Envoy's `request_headers_timeout` and `request_timeout` both run from its first byte. */
  #awaitHead(): void {
    if (this.#requestTimer?.armed) return;
    const { headTimeoutMs, requestTimeoutMs } = this.#options;
    if (headTimeoutMs <= 0 && requestTimeoutMs <= 0) return;
    this.#requestSince = this.#wheel.now();
    const headFirst = headTimeoutMs > 0 && (requestTimeoutMs <= 0 || headTimeoutMs < requestTimeoutMs);
    this.#armRequestTimer(headFirst ? headTimeoutMs : requestTimeoutMs);
  }

  /** The head is complete; what is left of `request_timeout` is for the body. */
  #awaitBody(): void {
    const limit = this.#options.requestTimeoutMs;
    if (limit <= 0) {
      this.#cancelRequestTimer();
      return;
    }
    const now = this.#wheel.now();
    const since = this.#requestTimer?.armed ? this.#requestSince : now;
    this.#armRequestTimer(Math.max(1, since + limit - now));
  }

  #armRequestTimer(ms: number): void {
    this.#requestTimer ??= new WheelTimer(() => this.#onRequestTimeout());
    this.#wheel.arm(this.#requestTimer, ms);
  }

  #cancelRequestTimer(): void {
    if (this.#requestTimer?.armed) this.#wheel.cancel(this.#requestTimer);
  }

  #onRequestTimeout(): void {
    this.#keepAlive = false;
    if (this.#current === null) {
      this.#requestDone = false;
      this.#responseDone = false;
      this.#state = State.draining;
      this.#current = this.#handler.nextRequest().handler;
    }
    this.#handler.onRequestTimeout(this, this.#current);
  }

  /** Closes in order: what was written is flushed, and what the peer still sends is read for a while, so that it is not
   * answered by a reset that would destroy the response on its way (RFC 9112, section 9.6). */
  #finish(): void {
    if (this.#state === State.closed) return;
    this.#state = State.draining;
    this.#held = null;
    this.resumeRequest();
    this.#end();
  }

  /** Ends this side, and soon the whole connection: Envoy's `delayed_close_timeout`, 0 for as soon as all is written. */
  #end(): void {
    if (this.#closeTimer !== null) return;
    const delay = this.#options.closeDelayMs;
    if (delay > 0) this.socket.end();
    else this.socket.destroySoon();
    this.#unwritten = unwritten(this.socket);
    this.#closeTimer = this.#wheel.after(delay > 0 ? delay : UNWRITTEN_TIMEOUT_MS, () => this.#onCloseDelay());
  }

  /** As in Envoy, a peer that still takes what was written is given more time. */
  #onCloseDelay(): void {
    const left = unwritten(this.socket);
    if (left > 0 && left < this.#unwritten && this.#closeTimer !== null) {
      this.#unwritten = left;
      this.#wheel.arm(this.#closeTimer, this.#options.closeDelayMs || UNWRITTEN_TIMEOUT_MS);
    } else this.socket.destroy();
  }

  #onEnd(): void {
    // The caller has ended its side: like Envoy, take that as gone, except for a tunnel, whose sides end one by one.
    const current = this.#current;
    if (this.#state === State.tunnel) {
      current?.onRequestEnd(null);
      return;
    }
    if (current !== null && this.#state !== State.draining) {
      this.#teardown();
      this.socket.destroy();
      return;
    }
    this.#end();
  }

  #teardown(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#state = State.closed;
    this.#held = null;
    const current = this.#current;
    this.#current = null;
    this.#wheel.cancel(this.#idleTimer);
    this.#cancelRequestTimer();
    if (this.#closeTimer) this.#wheel.cancel(this.#closeTimer);
    if (this.#durationTimer) this.#wheel.cancel(this.#durationTimer);
    current?.onDownstreamReset(Flag.DC, DISCONNECTED);
    this.#handler.onClose();
  }
}
