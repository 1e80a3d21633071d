/** Header fields of a response as HPACK gives them, checked by RFC 9113 (section 8.3.2). */
import type { HeaderMap } from "../../../core/header-map.ts";
import type { ResponseHead } from "../../http/message.ts";
import { FieldKind, type FieldSink } from "./hpack/field.ts";

const FIELD_OVERHEAD = 32;

export interface ResponseFieldLimits {
  readonly maxHeadBytes: number;
  readonly maxFields: number;
}

export class ResponseFields implements FieldSink {
  readonly #limits: ResponseFieldLimits;
  #headers: HeaderMap | null = null;
  #trailers = false;
  #size = 0;
  #fields = 0;
  #regular = false;
  #statuses = 0;
  #lengths = 0;
  status = 0;
  contentLength = -1;
  /** What is wrong is only that there is too much of it. */
  excess = false;
  /** What is wrong with the message; "" if nothing is. */
  problem = "";

  constructor(limits: ResponseFieldLimits) {
    this.#limits = limits;
  }

  /** Begins a head or trailers. null: the block is read for its effect on the table only. */
  begin(headers: HeaderMap | null, trailers: boolean): void {
    this.#headers = headers;
    this.#trailers = trailers;
    this.#size = 0;
    this.#fields = 0;
    this.#regular = trailers;
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
    this.#size += name.length + value.length + FIELD_OVERHEAD;
    if (this.#size > this.#limits.maxHeadBytes) {
      this.problem = "the header list is too large";
      this.excess = true;
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
        if (this.#regular || ++this.#statuses > 1 || !/^\d{3}$/.test(value)) this.problem = ":status is malformed";
        else this.status = Number(value);
        return;
      case FieldKind.contentLength:
        if (!/^\d{1,15}$/.test(value) || ++this.#lengths > 1) {
          this.problem = "content-length is malformed";
          return;
        }
        this.contentLength = Number(value);
        break;
      default:
        this.problem = "a field has no place in a response";
        return;
    }
    this.#regular = true;
    if (++this.#fields > this.#limits.maxFields) {
      this.problem = "there are too many fields";
      this.excess = true;
    } else headers.appendTagged(name, value, tag);
  }

  /** The block has come whole: `problem` says what is wrong with it. */
  finish(head: ResponseHead | null): void {
    if (this.problem !== "" || this.#trailers) return;
    if (this.#statuses === 0) this.problem = ":status is missing";
    else if (head !== null) {
      head.status = this.status;
      head.protocol = "HTTP/2";
    }
  }
}
