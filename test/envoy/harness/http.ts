/** Builders of requests and answers for the cases' tables. */
import { STATUS_CODES } from "node:http";
import type { Answer, Step, UpstreamStep } from "./case.ts";
import type { Field } from "./http2/hpack.ts";

export interface RequestOptions {
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  readonly body?: string;
  /** Default: the case's own host; null for none. */
  readonly host?: string | null;
  readonly chunked?: boolean;
  readonly trailers?: Readonly<Record<string, string>>;
  readonly version?: string;
}

type Headers = Readonly<Record<string, string | readonly string[]>>;

/** Field lines, one for each value. */
export function fieldsOf(headers: Headers): Field[] {
  return Object.entries(headers).flatMap(([name, values]) =>
    (typeof values === "string" ? [values] : values).map((value): Field => [name, value]),
  );
}

function fields(headers: Headers): string {
  return fieldsOf(headers)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join("");
}

/** The bytes of a request. It carries its case's id, by which the upstream knows it. */
export function request(method: string, path: string, options: RequestOptions = {}): string {
  const { headers = {}, body, host = "{host}", chunked, trailers, version = "HTTP/1.1" } = options;
  let head = `${method} ${path} ${version}\r\n`;
  if (host !== null) head += `host: ${host}\r\n`;
  head += `x-case: {case}\r\n${fields(headers)}`;
  if (chunked) head += "transfer-encoding: chunked\r\n";
  else if (body !== undefined) head += `content-length: ${Buffer.byteLength(body)}\r\n`;
  if (body === undefined) return `${head}\r\n`;
  if (!chunked) return `${head}\r\n${body}`;
  const chunk = body === "" ? "" : `${Buffer.byteLength(body).toString(16)}\r\n${body}\r\n`;
  return `${head}\r\n${chunk}0\r\n${fields(trailers ?? {})}\r\n`;
}

/** Sends a request and reads its response. */
export function call(method: string, path: string, options: RequestOptions = {}): readonly Step[] {
  return [{ send: request(method, path, options) }, { read: method === "HEAD" ? "head" : "response" }];
}

export const get = (path: string, headers: RequestOptions["headers"] = {}): readonly Step[] =>
  call("GET", path, { headers });

/** Sends bytes as they are and reads one response. */
export const raw = (bytes: string): readonly Step[] => [{ send: bytes }, { read: "response" }];

/** So many calls on one connection. */
export function times(count: number, steps: readonly Step[]): readonly Step[] {
  return Array.from({ length: count }, () => steps).flat();
}

/** An upstream's answer with a length. */
export function respond(status: number | string, headers: RequestOptions["headers"] = {}, body = ""): Answer {
  const line = typeof status === "string" ? status : `${status} ${STATUS_CODES[status] ?? ""}`;
  const length = String(Buffer.byteLength(body));
  const { steps } = sends(`HTTP/1.1 ${line}\r\n${fields(headers)}content-length: ${length}\r\n\r\n${body}`);
  const pairs: Field[] = [[":status", line.slice(0, 3)], ...fieldsOf(headers), ["content-length", length]];
  return {
    steps,
    http2: body === "" ? [{ headers: pairs, end: true }] : [{ headers: pairs }, { data: body, end: true }],
  };
}

/** An upstream that writes these bytes. */
export function sends(bytes: string, ...more: readonly UpstreamStep[]): Answer {
  return { steps: [{ write: bytes }, ...more] };
}

/** An upstream that ends the connection instead of answering. */
export const hangsUp: Answer = { steps: [{ end: "close" }], http2: [{ end: "close" }] };
export const resets: Answer = { steps: [{ end: "reset" }], http2: [{ end: "reset" }] };

/** An upstream that answers too late. */
export const late = (ms: number, { steps, http2 = [] }: Answer): Answer => ({
  steps: [{ waitMs: ms }, ...steps],
  http2: [{ waitMs: ms }, ...http2],
});
