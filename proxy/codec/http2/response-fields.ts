/** Header fields of a response as HPACK gives them, checked by RFC 9113 (section 8.3.2). */
import type { HeaderMap } from "../../../core/header-map.ts";
import type { ResponseHead } from "../../http/message.ts";
import type { ResponseReader } from "./heads.ts";
import type { HpackDecoder } from "./hpack/decoder.ts";
import { FieldKind, type FieldSink } from "./hpack/field.ts";

export interface ResponseFieldLimits {
  readonly maxHeadBytes: number;
  readonly maxFields: number;
}

export class ResponseFields implements FieldSink, ResponseReader {
  readonly #limits: ResponseFieldLimits;
  readonly #decoder: HpackDecoder;
  #headers: HeaderMap | null = null;
  #head: ResponseHead | null = null;
  #size = 0;
  #fields = 0;
  #regular = false;
  #statuses = 0;
  #lengths = 0;
  status = 0;
  contentLength = -1;
  excess = false;
  problem = "";

  constructor(limits: ResponseFieldLimits, decoder: HpackDecoder) {
    this.#limits = limits;
    this.#decoder = decoder;
  }

  read(buf: Buffer, start: number, end: number): boolean {
    return this.#decoder.decode(buf, start, end, this);
  }

  begin(headers: HeaderMap | null, head: ResponseHead | null): void {
    this.#headers = headers;
    this.#head = head;
    this.#size = 0;
    this.#fields = 0;
    this.#regular = head === null;
    this.#statuses = 0;
    this.#lengths = 0;
    this.status = 0;
    this.contentLength = -1;
    this.problem = "";
    this.excess = false;
  }

  onField(name: string, value: string, tag: number, kind: number): void {
    const headers = this.#headers;
    if (headers === null || this.problem !== "") return;
    this.#size += name.length + value.length;
    if (this.#size > this.#limits.maxHeadBytes) {
      this.#exceed("the header list is too large");
      return;
    }
    if (++this.#fields > this.#limits.maxFields) {
      this.#exceed("there are too many fields");
      return;
    }
    switch (kind) {
      case FieldKind.regular:
      case FieldKind.cookie:
      case FieldKind.host:
      case FieldKind.te:
      case FieldKind.expect:
        break;
      case FieldKind.status:
        // RFC 9110, section 15: from 100 on.
        if (this.#regular || ++this.#statuses > 1 || !/^[1-9]\d\d$/.test(value)) this.problem = ":status is malformed";
        else this.status = Number(value);
        return;
      case FieldKind.contentLength:
        if (!/^\d{1,15}$/.test(value) || ++this.#lengths > 1) {
          this.problem = "content-length is malformed";
          return;
        }
        this.contentLength = Number(value);
        // RFC 9110, section 8.6: a 204 has none. One that says nothing is left out, as in Envoy.
        if (this.status === 204) {
          if (this.contentLength > 0) this.problem = "a 204 has a content-length";
          this.#regular = true;
          return;
        }
        break;
      default:
        this.problem = "a field has no place in a response";
        return;
    }
    this.#regular = true;
    headers.appendTagged(name, value, tag);
  }

  #exceed(problem: string): void {
    this.problem = problem;
    this.excess = true;
  }

  finish(): void {
    const head = this.#head;
    if (this.problem !== "" || head === null) return;
    if (this.#statuses === 0) this.problem = ":status is missing";
    else {
      head.status = this.status;
      head.protocol = "HTTP/2";
    }
  }
}
