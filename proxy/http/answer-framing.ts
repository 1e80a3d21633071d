/** The header fields by which an answer's body is known: what there is of it, or that there is none. */
import type { ResponseHead } from "./message.ts";

/** RFC 9110, section 6.4.1: such responses end with their head, whatever it says. */
export function neverHasBody(status: number): boolean {
  return status < 200 || status === 204 || status === 304;
}

/**
 * Length and type of a local reply's body: after all changes of headers, as in Envoy, which none of them can undo.
 * `implied`: that there is no body needs no saying.
 */
export function describeBody({ status, headers }: ResponseHead, body: string, implied: boolean): void {
  headers.remove("content-length");
  // RFC 9110, section 8.6: a 204 has no length; nor has, in Envoy, the answer to HEAD, or one of HTTP/2, without a body.
  if (status !== 204 && !(body === "" && implied)) {
    headers.append("content-length", String(Buffer.byteLength(body)));
  }
  if (body === "") headers.remove("content-type");
  else if (!headers.has("content-type")) headers.append("content-type", "text/plain");
}

/** An upstream's answer without a body, of which HTTP/1 has to say so: in HTTP/2 its end did. */
export function describeNothing({ status, headers }: ResponseHead): void {
  if (!neverHasBody(status) && !headers.has("content-length")) headers.append("content-length", "0");
}

/** Envoy gives the answer to HEAD the framing that a body of unknown length would have. */
export function frameHeadResponse({ status, headers }: ResponseHead): void {
  if (!neverHasBody(status) && !headers.has("content-length")) headers.append("transfer-encoding", "chunked");
}
