/** One request on an HTTP/2 connection and its response, as the exchange sees them. */
import { HeaderMap } from "../../../core/header-map.ts";
import { WheelTimer } from "../../../core/timer-wheel.ts";
import { Flag } from "../../../model/flags.ts";
import type { RequestHead, ResponseHead } from "../../http/message.ts";
import { Body, type BodyKind, DISCONNECTED, type DownstreamHandler, type DownstreamStream } from "../stream.ts";
import { ErrorCode } from "./protocol.ts";
import { Malformed } from "./request-fields.ts";
import type { Http2ServerConnection } from "./server-connection.ts";
import { Http2Stream, StreamEnd } from "./stream.ts";

export class Http2ServerStream extends Http2Stream implements DownstreamStream {
  readonly wantsUnframed = true;
  readonly ownsConnection = false;
  readonly #server: Http2ServerConnection;
  #handler: DownstreamHandler | null;
  #head: RequestHead | null;
  #trailers: HeaderMap | null = null;
  #headSent = false;
  #expectContinue = false;
  #timer: WheelTimer | null = null;

  constructor(id: number, server: Http2ServerConnection, head: RequestHead, handler: DownstreamHandler) {
    super(id, server);
    this.#server = server;
    this.#head = head;
    this.#handler = handler;
    // Of a head that never comes whole, logs know this much.
    head.protocol = server.heads.protocol;
  }

  /** Where the next header block goes: the head, then trailers. */
  begin(): void {
    const { fields } = this.#server;
    if (this.#head !== null) {
      this.#head.clear();
      this.#head.protocol = "HTTP/2";
      fields.begin(this.#head.headers, this.#head);
      return;
    }
    this.#trailers = new HeaderMap();
    fields.begin(this.#trailers, null);
  }

  onHeaders(endStream: boolean): void {
    const server = this.#server;
    const { fields } = server;
    fields.finish();
    const handler = this.#handler;
    if (this.#head === null) {
      const trailers = this.#trailers;
      if (!endStream) server.refuseTrailers(this, Malformed.message, "trailers do not end the stream");
      else if (fields.detail !== "") server.refuseTrailers(this, fields.verdict, fields.detail);
      else if (this.announced > 0) {
        server.refuseTrailers(this, Malformed.message, "the content is shorter than its content-length");
      } else this.receiveEnd(trailers);
      return;
    }
    if (handler === null) return;
    this.#head = null;
    this.headSeen = true;
    this.#disarmTimer();
    if (fields.headError !== 0) {
      server.handler.onMalformed(this, handler, fields.headError);
      return;
    }
    if (fields.detail !== "") {
      this.#handler = null;
      server.refuse(this, handler, fields.verdict, fields.detail);
      return;
    }
    // RFC 9110, section 9.3.6: what follows CONNECT is no content.
    if (!fields.isUpgrade) this.announced = fields.contentLength;
    if (endStream) {
      if (fields.contentLength > 0) {
        this.#handler = null;
        server.refuse(this, handler, Malformed.message, "there is no content, but a content-length");
        return;
      }
      this.remoteEnded = true;
    } else this.#armTimer();
    const body = endStream ? Body.none : fields.contentLength >= 0 ? Body.length : Body.unbounded;
    this.#expectContinue = fields.expectContinue;
    server.handler.onRequest(this, handler, body, fields.expectContinue, fields.isUpgrade);
  }

  /** Its head has begun and comes in parts: Envoy's `request_headers_timeout`. */
  onBlockOpen(): void {
    const { headTimeoutMs } = this.#server.serverOptions;
    if (headTimeoutMs <= 0 || this.#head === null || this.#timer !== null) return;
    this.#arm(headTimeoutMs);
  }

  /** Envoy's `request_timeout`: for the whole request to arrive. */
  #armTimer(): void {
    const { requestTimeoutMs } = this.#server.serverOptions;
    if (requestTimeoutMs > 0) this.#arm(requestTimeoutMs);
  }

  #arm(delayMs: number): void {
    this.#timer = new WheelTimer(() => this.#onTimeout());
    this.#server.wheel.arm(this.#timer, delayMs);
  }

  #onTimeout(): void {
    const handler = this.#handler;
    const head = this.#head;
    if (handler === null) return;
    if (head !== null) {
      // What has come of it has not been read.
      head.clear();
      head.protocol = this.#server.heads.protocol;
      this.#head = null;
    }
    this.#server.handler.onRequestTimeout(this, handler);
  }

  #disarmTimer(): void {
    if (this.#timer !== null) this.#server.wheel.cancel(this.#timer);
    this.#timer = null;
  }

  protected deliver(bytes: Buffer): void {
    this.#handler?.onRequestData(bytes, bytes.length);
  }

  protected deliverEnd(trailers: HeaderMap | null): void {
    this.#disarmTimer();
    this.#handler?.onRequestEnd(trailers);
  }

  protected deliverWritable(): void {
    this.#handler?.onDownstreamWritable();
  }

  onReset(end: StreamEnd, code: number, detail: string): void {
    this.#disarmTimer();
    const handler = this.#handler;
    this.#handler = null;
    if (handler === null) return;
    if (this.#head !== null) {
      // Its head had not come whole.
      const [flag, details] =
        end === StreamEnd.closed ? [Flag.DC, DISCONNECTED] : [Flag.DPE, this.#server.failureDetails];
      this.#server.handler.onRefused(handler, { flag, details, sentence: detail });
    } else if (end === StreamEnd.closed) handler.onDownstreamReset(Flag.DC, DISCONNECTED);
    else if (end === StreamEnd.failed) handler.onDownstreamReset(Flag.DPE, this.#server.failureDetails);
    else if (end === StreamEnd.error) handler.onDownstreamReset(Flag.DPE, "http2.remote_reset");
    else if (code === ErrorCode.noError) handler.onDownstreamReset(0, "");
    else if (code === ErrorCode.refusedStream) handler.onDownstreamReset(Flag.DR, "http2.remote_refuse");
    else handler.onDownstreamReset(code === ErrorCode.protocolError ? Flag.DPE : Flag.DR, "http2.remote_reset");
  }

  /** The request breaks off, by what came of it. */
  giveUp(flag: number, details: string): void {
    const handler = this.#handler;
    this.#handler = null;
    handler?.onDownstreamReset(flag, details);
  }

  sendInformational(head: ResponseHead): boolean {
    if (this.closed || this.localEnded) return true;
    this.connection.heads.writeResponse(this.id, head);
    return !this.connection.blocked;
  }

  sendContinue(): void {
    if (!this.#expectContinue || this.#headSent || this.closed) return;
    this.#expectContinue = false;
    this.connection.heads.writeContinue(this.id);
  }

  sendHead(head: ResponseHead, body: BodyKind): void {
    if (this.closed) return;
    this.#headSent = true;
    const at = this.connection.heads.writeResponse(this.id, head);
    if (body === Body.none) this.wrote(this.connection.outbox.generation, at);
  }

  sendData(bytes: Buffer): boolean {
    return this.send(bytes);
  }

  sendEnd(trailers: HeaderMap | null): void {
    // What still waits for a window may be cut: then somebody has to hear of it.
    if (!this.hasPending) this.#handler = null;
    this.#disarmTimer();
    this.sendEnding(trailers);
  }

  protected override onLocalEnd(): void {
    const handler = this.#handler;
    this.#handler = null;
    handler?.onDownstreamEnded();
    // RFC 9113, section 8.1: the response is complete, the rest of the request is not wanted.
    if (!this.remoteEnded) this.connection.resetUnlessEnded(this, ErrorCode.noError);
  }

  /** Frames leave together at the end of the turn. */
  flush(): void {}

  abort(): void {
    this.#handler = null;
    this.#disarmTimer();
    this.reset(ErrorCode.internalError);
  }

  pauseRequest(): void {
    this.pauseReading();
  }

  resumeRequest(): void {
    this.resumeReading();
  }

  startTunnel(): void {
    this.#disarmTimer();
    this.resumeReading();
  }

  /** Other streams go on: no new ones come. */
  closeAfterResponse(): void {
    this.#server.drain(this.#server.serverOptions.drainMs);
  }
}
