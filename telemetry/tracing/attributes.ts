/** What spans say of a request: OpenTelemetry's semantic conventions for HTTP and gRPC, and what only a proxy knows. */
import { formatFlags } from "../../model/flags.ts";
import { GrpcStatus, statusName } from "../grpc/status.ts";
import type { RequestView, StreamInfo } from "../stream-info.ts";
import type { Attributes } from "./span.ts";

/** Host and port of `host:port` or `[host]:port`; port 0 where there is none. */
function splitAddress(address: string): { host: string; port: number } {
  const match = /^\[?([^\]]*?)\]?(?::(\d+))?$/.exec(address);
  return { host: match?.[1] ?? address, port: Number(match?.[2] ?? 0) };
}

/** `2` of `HTTP/2`. */
function versionOf(protocol: string): string {
  return protocol.replace("HTTP/", "");
}

function common(info: StreamInfo, request: RequestView, maxPathLength: number): Attributes {
  const attributes: Attributes = { "http.request.method": request.method };
  const path = (info.originalPath || request.path).slice(0, maxPathLength);
  const mark = path.indexOf("?");
  attributes["url.path"] = mark < 0 ? path : path.slice(0, mark);
  if (mark >= 0) attributes["url.query"] = path.slice(mark + 1);
  attributes["url.scheme"] = request.scheme;
  if (info.responseCode > 0) attributes["http.response.status_code"] = info.responseCode;
  if (info.flags !== 0) attributes["outrigger.response_flags"] = formatFlags(info.flags);
  if (info.grpc !== null) {
    attributes["rpc.system"] = "grpc";
    const [, service = "", method = ""] = path.slice(0, mark < 0 ? path.length : mark).split("/");
    if (service !== "") attributes["rpc.service"] = service;
    if (method !== "") attributes["rpc.method"] = method;
    if (info.grpc.status !== null) attributes["rpc.grpc.status_code"] = info.grpc.status;
  }
  return attributes;
}

export function serverAttributes(info: StreamInfo, request: RequestView, maxPathLength: number): Attributes {
  const { connection } = info;
  const attributes = common(info, request, maxPathLength);
  attributes["network.protocol.version"] = versionOf(request.protocol);
  const authority = splitAddress(request.authority);
  attributes["server.address"] = authority.host;
  if (authority.port > 0) attributes["server.port"] = authority.port;
  attributes["client.address"] = connection.remoteAddress;
  attributes["http.request.body.size"] = info.bytesReceived;
  attributes["http.response.body.size"] = info.bytesSent;
  if (info.routeName !== "") attributes["http.route"] = info.routeName;
  const userAgent = request.headers.get("user-agent");
  if (userAgent !== null) attributes["user_agent.original"] = userAgent;
  const requestId = request.headers.get("x-request-id");
  if (requestId !== null) attributes["guid:x-request-id"] = requestId;
  const peer = connection.tls?.peer?.uriSans[0];
  if (peer !== undefined) attributes["outrigger.peer_identity"] = peer;
  if (info.responseCodeDetails !== "") attributes["outrigger.response_code_details"] = info.responseCodeDetails;
  return attributes;
}

export function clientAttributes(info: StreamInfo, request: RequestView, maxPathLength: number): Attributes {
  const attributes = common(info, request, maxPathLength);
  if (info.upstreamProtocol !== "") attributes["network.protocol.version"] = versionOf(info.upstreamProtocol);
  if (info.cluster !== "") attributes["upstream_cluster"] = info.cluster;
  if (info.upstreamHost !== "") {
    const { host, port } = splitAddress(info.upstreamHost);
    attributes["server.address"] = host;
    if (port > 0) attributes["server.port"] = port;
  }
  // Semantic conventions: how often the request was sent again, only where it was.
  if (info.attempts > 1) attributes["http.request.resend_count"] = info.attempts - 1;
  if (info.upstreamTransportFailure !== "") attributes["error.type"] = info.upstreamTransportFailure;
  return attributes;
}

/** One bit per status with which a server span has failed: those that are not the caller's own doing. */
const SERVER_ERRORS = [
  GrpcStatus.unknown,
  GrpcStatus.deadlineExceeded,
  GrpcStatus.unimplemented,
  GrpcStatus.internal,
  GrpcStatus.unavailable,
  GrpcStatus.dataLoss,
].reduce((bits, status) => bits | (1 << status), 0);

/** Why a server span counts as failed: semantic conventions leave 4xx, and the gRPC statuses like it, to the caller. */
export function serverError(info: StreamInfo): string | null {
  const status = info.grpc?.status ?? null;
  if (info.responseCode >= 500 || info.responseCode === 0) {
    return info.explanation || info.responseCodeDetails || `HTTP ${info.responseCode}`;
  }
  if (status === null) return null;
  const known = status >= 0 && status <= GrpcStatus.unauthenticated;
  if (known && (SERVER_ERRORS & (1 << status)) === 0) return null;
  return info.explanation || `gRPC ${statusName(status, "constant")}`;
}

/** Why a client span counts as failed: for the side that calls, every status from 400 on and every one but OK. */
export function clientError(info: StreamInfo): string | null {
  const failed = serverError(info);
  if (failed !== null) return failed;
  if (info.responseCode >= 400) return `HTTP ${info.responseCode}`;
  const status = info.grpc?.status ?? GrpcStatus.ok;
  return status === GrpcStatus.ok ? null : `gRPC ${statusName(status, "constant")}`;
}

/** What a span is called: a gRPC call by service and method, another request by its verb and where it goes. */
export function spanName(info: StreamInfo, request: RequestView, target: string): string {
  if (info.grpc !== null) return info.originalPath.split("?", 1)[0]?.slice(1) || request.method;
  return target === "" ? request.method : `${request.method} ${target}`;
}
