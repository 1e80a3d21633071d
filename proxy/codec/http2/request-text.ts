/** Requests whose heads come as the text of HTTP/1, from a sidecar that has agreed upon it: parsed as any HTTP/1 is. */
import type { HeaderMap } from "../../../core/header-map.ts";
import type { RequestHead } from "../../http/message.ts";
import { Framing, HeadError, parseFields } from "../http1/fields.ts";
import { parseRequestHead, type RequestHeadLimits } from "../http1/request-head.ts";
import type { RequestReader } from "./heads.ts";
import { Malformed } from "./request-fields.ts";

/** Parsing is synchronous and its results are copied, so that all connections share one. */
const framing = new Framing();

export class RequestText implements RequestReader {
  readonly #limits: RequestHeadLimits;
  readonly #maxHeadBytes: number;
  #headers: HeaderMap | null = null;
  #head: RequestHead | null = null;
  verdict: number = Malformed.none;
  detail = "";
  headError = 0;
  contentLength = -1;
  expectContinue = false;
  isUpgrade = false;

  constructor(limits: RequestHeadLimits, maxHeadBytes: number) {
    this.#limits = limits;
    this.#maxHeadBytes = maxHeadBytes;
  }

  begin(headers: HeaderMap | null, head: RequestHead | null): void {
    this.#headers = headers;
    this.#head = head;
    this.verdict = Malformed.none;
    this.detail = "";
    this.headError = 0;
    this.contentLength = -1;
  }

  read(buf: Buffer, start: number, end: number): boolean {
    const headers = this.#headers;
    if (headers === null) return true;
    const head = this.#head;
    if (head === null) {
      if (!readTrailers(buf, start, end, this.#limits.maxFields, headers)) this.#refuse("the trailers are malformed");
      return true;
    }
    framing.clear();
    const after = parseRequestHead(buf, start, end, this.#limits, head, framing);
    if (end - start > this.#maxHeadBytes) this.headError = HeadError.tooLarge;
    else if (after < 0) this.headError = after;
    // How a body ends is for frames to say, and a tunnel has a connection to itself.
    else if (after !== end || framing.chunked || framing.upgrade) this.#refuse("the head is malformed");
    if (this.headError !== 0) head.clear();
    this.contentLength = framing.contentLength;
    this.expectContinue = framing.expectContinue;
    return true;
  }

  #refuse(detail: string): void {
    this.verdict = Malformed.message;
    this.detail = detail;
  }

  finish(): void {}
}

/** Reads trailers, which end with an empty line; false: they are malformed. */
export function readTrailers(buf: Buffer, start: number, end: number, maxFields: number, trailers: HeaderMap): boolean {
  if (parseFields(buf, start, end, start, maxFields, trailers, null) !== end) return false;
  trailers.text = buf.toString("latin1", start, end);
  return true;
}
