/** Builders of HTTP/2 requests and answers for the cases' tables. */
import type { Answer, Case, Http2Step, Http2UpstreamStep, JsonObject } from "../case.ts";
import { upstreamOptions } from "../config.ts";
import { fieldsOf, type RequestOptions } from "../http.ts";
import type { Field } from "./hpack.ts";

/** The cluster's upstream speaks HTTP/2. */
export const overHttp2 = (http2: JsonObject = {}, more: JsonObject = {}): JsonObject =>
  upstreamOptions({ explicit_http_config: { http2_protocol_options: http2 }, ...more });

/** The access log of HTTP/2 cases: what the other areas log, and what concerns streams. */
export const LOG = [
  "%RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %PROTOCOL% %REQ(:METHOD)% %REQ(:PATH)%",
  "rx=%BYTES_RECEIVED% tx=%BYTES_SENT% attempts=%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
  "reason=%UPSTREAM_TRANSPORT_FAILURE_REASON% grpc=%GRPC_STATUS%",
].join(" ");

export type HeaderOptions = RequestOptions["headers"];

/** The head of a request that carries its case's id. */
export function head(method: string, path: string, headers: HeaderOptions = {}): readonly Field[] {
  return [
    [":method", method],
    [":scheme", "http"],
    [":authority", "{host}"],
    [":path", path],
    ["x-case", "{case}"],
    ...fieldsOf(headers),
  ];
}

export interface CallOptions {
  readonly headers?: HeaderOptions;
  readonly body?: string;
  readonly trailers?: HeaderOptions;
  readonly stream?: number;
}

/** Sends a request whole. */
export function send(method: string, path: string, options: CallOptions = {}): readonly Http2Step[] {
  const { headers, body, trailers, stream = 1 } = options;
  const first: Http2Step = {
    headers: head(method, path, headers),
    stream,
    end: body === undefined && trailers === undefined,
  };
  const data: Http2Step[] = body === undefined ? [] : [{ data: body, stream, end: trailers === undefined }];
  return [first, ...data, ...(trailers === undefined ? [] : [{ headers: fieldsOf(trailers), stream, end: true }])];
}

/** Sends a request and reads its response. */
export function call(method: string, path: string, options: CallOptions = {}): readonly Http2Step[] {
  return [...send(method, path, options), { until: "end", stream: options.stream ?? 1 }];
}

export const get = (path: string, headers: HeaderOptions = {}): readonly Http2Step[] => call("GET", path, { headers });

/** A request with exactly these fields. */
export const exactly = (fields: readonly Field[]): readonly Http2Step[] => [
  { headers: fields, end: true },
  { until: "end" },
];

/** What an HTTP/2 upstream does. */
export const answers = (...http2: readonly Http2UpstreamStep[]): Answer => ({ steps: [], http2 });

/** The head of an answer. */
export const status = (code: number, headers: HeaderOptions = {}): readonly Field[] => [
  [":status", String(code)],
  ...fieldsOf(headers),
];

/** A case that an HTTP/2 caller makes; its upstream speaks HTTP/1.1 unless the case says otherwise. */
export const from2 = (name: string, http2: readonly Http2Step[], more: Partial<Case> = {}): Case => ({
  name,
  log: LOG,
  http2,
  ...more,
});

/**
 * An error GOAWAY before the end of a connection, towards callers and upstreams, is left out: RFC 9113, section 5.4.1, asks
 * for it; Envoy sends it after some breaches and not after others.
 */
export function endings(lines: readonly string[]): readonly string[] {
  return lines
    .filter((line) => !/^\S+ \d+> GOAWAY (?!NO_ERROR)/.test(line))
    .map((line) => line.replace(/^connection: (?:GOAWAY (?!NO_ERROR)\S+ last=\d+, )+closed$/, "connection: closed"));
}

/** What a listener of HTTP/2 says to someone who speaks another protocol is its own affair. */
export function onlyEnd(lines: readonly string[]): readonly string[] {
  return lines
    .filter((line) => line.startsWith("connection: ") || line.startsWith("log"))
    .map((line) => line.replace(/closed after.*/, "closed"));
}
