/**
 * Header fields of a request as HPACK gives them, made into the head that the data plane knows, and checked by what
 * RFC 9113 (section 8.3.1) demands. What is malformed is refused here, so that no bridge to HTTP/1 can be deceived by it.
 */
import type { HeaderMap } from "../../../core/header-map.ts";
import type { RequestHead } from "../../http/message.ts";
import type { RequestReader } from "./heads.ts";
import type { HpackDecoder } from "./hpack/decoder.ts";
import { FieldKind, type FieldSink } from "./hpack/field.ts";

const METHOD = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** RFC 3986 characters of an authority; user information has no place in it (RFC 9113, section 8.3.1). */
const AUTHORITY = /^[A-Za-z0-9\-._~!$&'()*+,;=:[\]%]+$/;
/** RFC 3986, section 3.1. */
const SCHEME = /^[A-Za-z][A-Za-z0-9+.-]*$/;

export interface RequestFieldLimits {
  readonly maxHeadBytes: number;
  readonly maxFields: number;
  readonly underscores: "allow" | "reject_request" | "drop_header";
  readonly allowConnect: boolean;
}

export const Malformed = {
  none: 0,
  /** A field breaks the protocol. */
  field: 1,
  tooLarge: 2,
  tooManyFields: 3,
  underscore: 4,
  /** The fields together do. */
  message: 5,
} as const;

export class RequestFields implements FieldSink, RequestReader {
  readonly headError = 0;
  readonly #limits: RequestFieldLimits;
  readonly #decoder: HpackDecoder;
  #headers: HeaderMap | null = null;
  /** null: trailers are read. */
  #head: RequestHead | null = null;
  #size = 0;
  #fields = 0;
  #regular = false;
  #cookie = "";
  #hosts = 0;
  #host = "";
  #schemes = 0;
  #methods = 0;
  #paths = 0;
  #authorities = 0;
  #protocol = "";
  #lengths = 0;
  verdict: number = Malformed.none;
  detail = "";
  contentLength = -1;
  expectContinue = false;

  constructor(limits: RequestFieldLimits, decoder: HpackDecoder) {
    this.#limits = limits;
    this.#decoder = decoder;
  }

  read(buf: Buffer, start: number, end: number): boolean {
    return this.#decoder.decode(buf, start, end, this);
  }

  begin(headers: HeaderMap | null, head: RequestHead | null): void {
    this.#headers = headers;
    this.#head = head;
    this.#size = 0;
    this.#fields = 0;
    this.#regular = head === null;
    this.#cookie = "";
    this.#hosts = 0;
    this.#host = "";
    this.#schemes = 0;
    this.#methods = 0;
    this.#paths = 0;
    this.#authorities = 0;
    this.#protocol = "";
    this.#lengths = 0;
    this.verdict = Malformed.none;
    this.detail = "";
    this.contentLength = -1;
    this.expectContinue = false;
  }

  #refuse(verdict: number, detail: string): void {
    if (this.verdict !== Malformed.none) return;
    this.verdict = verdict;
    this.detail = detail;
  }

  onField(name: string, value: string, tag: number, kind: number): void {
    const headers = this.#headers;
    if (headers === null || this.verdict !== Malformed.none) return;
    this.#size += name.length + value.length;
    if (this.#size > this.#limits.maxHeadBytes) {
      this.#refuse(Malformed.tooLarge, "the header list is too large");
      return;
    }
    // As in Envoy pseudo-headers count, and so does each crumb of a cookie.
    if (++this.#fields > this.#limits.maxFields) {
      this.#refuse(Malformed.tooManyFields, "there are too many fields");
      return;
    }
    if (kind === FieldKind.regular) {
      this.#regular = true;
      this.#append(headers, name, value, tag);
      return;
    }
    const head = this.#head;
    if (head === null) {
      this.#special(headers, name, value, tag, kind);
      return;
    }
    switch (kind) {
      case FieldKind.method:
        this.#pseudo(++this.#methods);
        if (!METHOD.test(value)) this.#refuse(Malformed.field, ":method is malformed");
        head.method = value;
        break;
      case FieldKind.scheme:
        this.#pseudo(++this.#schemes);
        if (!SCHEME.test(value)) this.#refuse(Malformed.field, ":scheme is malformed");
        head.scheme = value;
        break;
      case FieldKind.path:
        this.#pseudo(++this.#paths);
        if (value === "" || hasSpaceOrControl(value)) this.#refuse(Malformed.field, ":path is malformed");
        head.path = value;
        break;
      case FieldKind.authority:
        this.#pseudo(++this.#authorities);
        if (!AUTHORITY.test(value)) this.#refuse(Malformed.field, ":authority is malformed");
        head.authority = value;
        break;
      case FieldKind.protocol:
        this.#pseudo(this.#protocol === "" && this.#limits.allowConnect ? 1 : 2);
        this.#protocol = value;
        break;
      default:
        this.#special(headers, name, value, tag, kind);
    }
  }

  #pseudo(count: number): void {
    if (this.#regular || count > 1) this.#refuse(Malformed.field, "a pseudo-header field is out of place");
  }

  #special(headers: HeaderMap, name: string, value: string, tag: number, kind: number): void {
    switch (kind) {
      case FieldKind.cookie:
        // RFC 9113, section 8.2.3: crumbs are one field to everybody else.
        this.#regular = true;
        this.#cookie = this.#cookie === "" ? value : `${this.#cookie}; ${value}`;
        return;
      case FieldKind.host:
        this.#regular = true;
        // Trailers have no say about whom the request is for.
        if (this.#head === null) return;
        if (++this.#hosts > 1 || !AUTHORITY.test(value)) break;
        this.#host = value;
        return;
      case FieldKind.contentLength: {
        this.#regular = true;
        if (this.#head === null) return;
        const length = /^\d{1,15}$/.test(value) ? Number(value) : -1;
        if (length < 0 || ++this.#lengths > 1) break;
        this.contentLength = length;
        this.#append(headers, name, value, tag);
        return;
      }
      case FieldKind.te:
        this.#regular = true;
        if (value !== "trailers") break;
        this.#append(headers, name, value, tag);
        return;
      case FieldKind.expect:
        this.#regular = true;
        if (value.toLowerCase() === "100-continue") this.expectContinue = true;
        this.#append(headers, name, value, tag);
        return;
      default:
        break;
    }
    this.#refuse(Malformed.field, `the field "${printable(name)}" has no place here`);
  }

  #append(headers: HeaderMap, name: string, value: string, tag: number): void {
    if (name.includes("_") && this.#limits.underscores !== "allow") {
      if (this.#limits.underscores === "reject_request") {
        this.#refuse(Malformed.underscore, "a field's name has an underscore");
      }
      return;
    }
    headers.appendTagged(name, value, tag);
  }

  finish(): void {
    const head = this.#head;
    const headers = this.#headers;
    if (headers === null || this.verdict !== Malformed.none) return;
    if (this.#cookie !== "") headers.append("cookie", this.#cookie);
    if (head === null) return;
    const problem = this.#check(head);
    if (problem !== "") this.#refuse(Malformed.message, problem);
  }

  #check(head: RequestHead): string {
    if (this.#methods === 0) return ":method is missing";
    if (this.#hosts === 1) {
      if (this.#authorities === 0) head.authority = this.#host;
      else if (head.authority !== this.#host) return "host and :authority differ";
    }
    if (head.authority === "") return ":authority is missing";
    const connect = head.method === "CONNECT";
    if (connect && this.#protocol === "") {
      if (this.#paths > 0 || this.#schemes > 0) return "CONNECT has :path or :scheme";
      return "";
    }
    if (this.#protocol !== "" && !connect) return ":protocol without CONNECT";
    if (this.#schemes === 0) return ":scheme is missing";
    if (this.#paths === 0) return ":path is missing";
    const first = head.path.charCodeAt(0);
    if (first !== 0x2f && !(head.path === "*" && head.method === "OPTIONS")) return ":path is not absolute";
    if (this.#protocol !== "") this.#toUpgrade(head);
    return "";
  }

  /** RFC 8441: to the data plane an extended CONNECT is the upgrade that it would be in HTTP/1, as in Envoy. */
  #toUpgrade(head: RequestHead): void {
    head.method = "GET";
    head.headers.append("upgrade", this.#protocol);
    head.headers.append("connection", "upgrade");
  }

  get isUpgrade(): boolean {
    return this.#protocol !== "";
  }
}

function hasSpaceOrControl(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c <= 0x20 || c === 0x7f) return true;
  }
  return false;
}

function printable(name: string): string {
  return name.replaceAll(/[^\x21-\x7e]/g, "?").slice(0, 64);
}
