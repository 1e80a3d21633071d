/** Builders of requests and answers for the cases' tables. */
import { STATUS_CODES } from "node:http";
import type { Answer, Step, UpstreamStep } from "./case.ts";

export interface RequestOptions {
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  readonly body?: string;
  /** Default: the case's own host; null for none. */
  readonly host?: string | null;
  readonly chunked?: boolean;
  readonly trailers?: Readonly<Record<string, string>>;
  readonly version?: string;
}

function fields(headers: Readonly<Record<string, string | readonly string[]>>): string {
  return Object.entries(headers)
    .flatMap(([name, values]) =>
      (typeof values === "string" ? [values] : values).map((value) => `${name}: ${value}\r\n`),
    )
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
  return sends(`HTTP/1.1 ${line}\r\n${fields(headers)}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
}

/** An upstream that writes these bytes. */
export function sends(bytes: string, ...more: readonly UpstreamStep[]): Answer {
  return { steps: [{ write: bytes }, ...more] };
}

/** An upstream that ends the connection instead of answering. */
export const hangsUp: Answer = { steps: [{ end: "close" }] };
export const resets: Answer = { steps: [{ end: "reset" }] };

/** An upstream that answers too late. */
export const late = (ms: number, answer: Answer): Answer => ({ steps: [{ waitMs: ms }, ...answer.steps] });
