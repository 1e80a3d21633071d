/** Responses whose heads come as the text of HTTP/1, from a sidecar that has agreed upon it. */
import type { HeaderMap } from "../../../core/header-map.ts";
import type { ResponseHead } from "../../http/message.ts";
import { Framing } from "../http1/fields.ts";
import { parseResponseHead } from "../http1/response-head.ts";
import type { ResponseReader } from "./heads.ts";
import { readTrailers } from "./request-text.ts";
import type { ResponseFieldLimits } from "./response-fields.ts";

const framing = new Framing();

export class ResponseText implements ResponseReader {
  readonly #limits: ResponseFieldLimits;
  #headers: HeaderMap | null = null;
  #head: ResponseHead | null = null;
  problem = "";
  excess = false;
  contentLength = -1;

  constructor(limits: ResponseFieldLimits) {
    this.#limits = limits;
  }

  begin(headers: HeaderMap | null, head: ResponseHead | null): void {
    this.#headers = headers;
    this.#head = head;
    this.problem = "";
    this.excess = false;
    this.contentLength = -1;
  }

  read(buf: Buffer, start: number, end: number): boolean {
    const headers = this.#headers;
    if (headers === null) return true;
    const { maxFields, maxHeadBytes } = this.#limits;
    if (this.#head === null) {
      if (!readTrailers(buf, start, end, maxFields, headers)) this.problem = "the trailers are malformed";
      return true;
    }
    framing.clear();
    const after = parseResponseHead(buf, start, end, maxFields, this.#head, framing);
    if (end - start > maxHeadBytes) {
      this.problem = "the head is too large";
      this.excess = true;
      // How a body ends is for frames to say.
    } else if (after !== end || framing.chunked) this.problem = "the head is malformed";
    this.contentLength = framing.contentLength;
    return true;
  }

  finish(): void {}
}
