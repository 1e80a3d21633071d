/** One request to an HTTP/2 upstream and its response, as an attempt sees them. */
import { HeaderMap } from "../../../core/header-map.ts";
import type { TimerWheel } from "../../../core/timer-wheel.ts";
import { type RequestHead, ResponseHead } from "../../http/message.ts";
import { Unchunker } from "../http1/unchunker.ts";
import { remoteAddressOf } from "../local-address.ts";
import { Body, type BodyKind, type UpstreamFailure, type UpstreamHandler, type UpstreamStream } from "../stream.ts";
import type { Http2ClientConnection } from "./client-connection.ts";
import { ErrorCode } from "./protocol.ts";
import { Http2Stream, StreamEnd } from "./stream.ts";

export class Http2ClientStream extends Http2Stream implements UpstreamStream {
  readonly requests: number;
  answered = false;
  readonly #client: Http2ClientConnection;
  #handler: UpstreamHandler | null = null;
  #trailers: HeaderMap | null = null;
  /** The protocol that an upgrade asks for; "" for a plain request. */
  #upgrade = "";
  /** Takes the chunks off a body that came with them. */
  #unchunker: Unchunker | null = null;

  constructor(client: Http2ClientConnection, requests: number) {
    super(0, client);
    this.#client = client;
    this.requests = requests;
  }

  get protocol(): string {
    return this.connection.heads.protocol;
  }

  get connectionId(): number {
    return this.#client.id;
  }

  get localAddress(): string {
    return this.#client.localAddress;
  }

  get remoteAddress(): string {
    return remoteAddressOf(this.#client.socket);
  }

  begin(handler: UpstreamHandler): void {
    this.#handler = handler;
  }

  sendHead(request: RequestHead, body: BodyKind, upgrading: boolean): void {
    // Numbers are given in the order in which heads leave (RFC 9113, section 5.1.1).
    if (!this.#client.activate(this)) return;
    this.#upgrade = upgrading ? (request.headers.get("upgrade") ?? "") : "";
    this.#unchunker = body === Body.chunked ? new Unchunker() : null;
    const at = this.connection.heads.writeRequest(this.id, request, body, upgrading);
    // gRPC servers tell a call without messages, which ends with DATA, from a request without a body.
    if (body === Body.none) this.wrote(this.connection.outbox.generation, at);
  }

  sendData(bytes: Buffer): boolean {
    if (this.#unchunker === null) return this.send(bytes);
    let more = true;
    this.#unchunker.feed(bytes, (content) => {
      more = this.send(content);
    });
    return more;
  }

  sendEnd(trailers: HeaderMap | null): void {
    this.sendEnding(trailers);
  }

  endTunnel(): void {
    this.sendEnding(null);
  }

  /** Frames leave together at the end of the turn. */
  flush(): void {}

  cancel(): void {
    this.#handler = null;
    if (this.id === 0) this.#client.forgo(this);
    else this.reset(ErrorCode.internalError);
  }

  /** What is left may be here already: only what is not by the end of this read is given up. */
  discard(_wheel: TimerWheel): void {
    this.#handler = null;
    this.connection.resetUnlessEnded(this, ErrorCode.internalError);
  }

  giveBack(): void {
    this.cancel();
  }

  pauseResponse(): void {
    this.pauseReading();
  }

  resumeResponse(): void {
    this.resumeReading();
  }

  /** Where the next header block goes: informational heads and the head, then trailers. */
  beginBlock(): void {
    const { fields } = this.#client;
    const handler = this.#handler;
    if (handler === null) fields.begin(null, null);
    else if (!this.headSeen) {
      handler.response.clear();
      fields.begin(handler.response.headers, handler.response);
    } else {
      this.#trailers = new HeaderMap();
      fields.begin(this.#trailers, null);
    }
  }

  onHeaders(endStream: boolean): void {
    const { fields } = this.#client;
    const handler = this.#handler;
    if (handler === null) return;
    this.answered = true;
    if (this.headSeen) {
      fields.finish();
      if (!endStream) this.#malformed("trailers do not end the stream");
      else if (fields.problem !== "") this.#refuse(fields.problem, fields.excess);
      else if (!this.receiveEnd(this.#trailers)) this.#malformed("the content is shorter than its content-length");
      return;
    }
    const { response } = handler;
    fields.finish();
    if (fields.problem !== "") {
      this.#refuse(fields.problem, fields.excess);
      return;
    }
    if (response.status < 200) {
      this.#onInformational(handler, endStream);
      return;
    }
    this.headSeen = true;
    if (this.#upgrade !== "" && response.status === 200) {
      // RFC 8441: to the data plane the tunnel that this opens is the one of HTTP/1.
      response.status = 101;
      response.headers.append("upgrade", this.#upgrade);
      response.headers.append("connection", "upgrade");
    }
    const bodiless = handler.headRequest || response.status === 204 || response.status === 304;
    // RFC 9110, section 9.3.6: what follows the answer to CONNECT is no content.
    if (bodiless) this.announced = 0;
    else if (response.status !== 101) this.announced = fields.contentLength;
    if (endStream) {
      if (this.announced > 0) {
        this.#malformed("the content is shorter than its content-length");
        return;
      }
      // Whoever gives the stream up now needs no reset.
      this.remoteEnded = true;
      handler.onResponseHead(Body.none);
      if (!this.closed) this.receiveEnd(null);
      return;
    }
    handler.onResponseHead(
      bodiless || response.status === 101 ? Body.none : fields.contentLength >= 0 ? Body.length : Body.unbounded,
    );
  }

  #onInformational(handler: UpstreamHandler, endStream: boolean): void {
    // RFC 9113, section 8.6: there is no 101 in HTTP/2; an informational response never ends a stream.
    if (endStream || handler.response.status === 101) {
      this.#malformed("an informational response is out of place");
      return;
    }
    const { status, reason, protocol, headers } = handler.response;
    const head = new ResponseHead();
    Object.assign(head, { status, reason, protocol });
    headers.forEach((name, value) => {
      head.headers.append(name, value);
    });
    handler.onInformational(head);
  }

  /** As in Envoy, an answer that is only too large costs itself and not the connection. */
  #refuse(problem: string, excess: boolean): void {
    if (excess) this.#client.streamError(this, ErrorCode.internalError, problem);
    else this.#malformed(problem);
  }

  #malformed(detail: string): void {
    this.#client.messageError(this, detail);
  }

  protected deliver(bytes: Buffer): void {
    this.#handler?.onResponseData(bytes, bytes.length);
  }

  protected deliverEnd(trailers: HeaderMap | null): void {
    const handler = this.#handler;
    this.#handler = null;
    // RFC 9113, section 8.1: an early answer ends what is left of the request too.
    if (!this.localEnded) this.reset(ErrorCode.internalError);
    handler?.onResponseEnd(trailers);
  }

  protected deliverWritable(): void {
    this.#handler?.onUpstreamWritable();
  }

  /** RFC 9113, section 8.1: an answer that has come whole is not lost by what follows it. */
  override get isWhole(): boolean {
    return this.holdsEnd;
  }

  onReset(end: StreamEnd, code: number, detail: string): void {
    const handler = this.#handler;
    this.#handler = null;
    handler?.onUpstreamReset(failureOf(end, code), detail);
  }
}

/** What Envoy calls the end of a stream (`StreamResetReason`). */
function failureOf(end: StreamEnd, code: number): UpstreamFailure {
  if (end === StreamEnd.closed) return "connection_termination";
  if (end === StreamEnd.failed) return "protocol_error";
  // Its answer was too large for us, which breaks no rule.
  if (end === StreamEnd.error) return code === ErrorCode.internalError ? "remote_reset" : "protocol_error";
  switch (code) {
    case ErrorCode.refusedStream:
      return "refused_stream";
    case ErrorCode.connectError:
      return "connect_error";
    case ErrorCode.protocolError:
      return "protocol_error";
    default:
      return "remote_reset";
  }
}
