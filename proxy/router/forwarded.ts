/**
 * `x-forwarded-*`: who called, by which scheme and port, as far as that can be believed. The scheme of a request and the
 * caller's address (`StreamInfo.downstreamAddress`) are settled here.
 */
import { networkInterfaces } from "node:os";
import { formatIp, isLoopback, parseIp } from "../../core/ip.ts";
import type { HttpConnectionManager } from "../../model/http.ts";
import type { StreamInfo } from "../../telemetry/stream-info.ts";
import type { RequestHead } from "../http/message.ts";
import { Group } from "./header-groups.ts";
import type { RequestStage } from "./request-stage.ts";

export type ForwardedOptions = Pick<
  HttpConnectionManager,
  "useRemoteAddress" | "xffNumTrustedHops" | "skipXffAppend" | "appendXForwardedPort"
>;

/** This machine's first IPv4 address that is not loopback, as Envoy's local info has it. */
export function findLocalAddress(): string {
  for (const addresses of Object.values(networkInterfaces())) {
    for (const { family, internal, address } of addresses ?? []) if (family === "IPv4" && !internal) return address;
  }
  return "127.0.0.1";
}

/**
 * `internal`: for requests from within the mesh, whose address is not announced as external. `localAddress` stands in `x-forwarded-for` for callers on loopback, which would mean nothing elsewhere.
 */
export function compileForwarded(options: ForwardedOptions, localAddress: string, internal = false): RequestStage {
  return options.useRemoteAddress
    ? compileEdge(options, localAddress, internal)
    : compileInner(options.xffNumTrustedHops);
}

/** The first proxy of a mesh: it says what it knows of the caller instead of believing it. */
function compileEdge(options: ForwardedOptions, localAddress: string, internal: boolean): RequestStage {
  const { xffNumTrustedHops: hops, skipXffAppend, appendXForwardedPort } = options;
  return (request, info, seen) => {
    const { headers } = request;
    const { connection } = info;
    const forwardedFor = (seen & Group.forwardedFor) === 0 ? null : headers.get("x-forwarded-for");
    const trusted = hops > 0 && forwardedFor !== null ? lastAddress(forwardedFor, hops - 1) : null;
    if (trusted !== null) info.downstreamAddress = withPortZero(trusted);
    if (!skipXffAppend) {
      const address = isLoopback(connection.remoteAddress) ? localAddress : connection.remoteAddress;
      if (forwardedFor === null) headers.append("x-forwarded-for", address);
      else headers.set("x-forwarded-for", forwardedFor === "" ? address : `${forwardedFor},${address}`);
    }
    const scheme = connection.tls === null ? "http" : "https";
    if ((seen & Group.forwardedProto) === 0) headers.append("x-forwarded-proto", scheme);
    else if (hops === 0 || !headers.has("x-forwarded-proto")) headers.set("x-forwarded-proto", scheme);
    if (appendXForwardedPort && (hops === 0 || !headers.has("x-forwarded-port"))) {
      headers.set("x-forwarded-port", String(connection.localPort));
    }
    const external = trusted ?? connection.remoteAddress;
    if (!internal) {
      if ((seen & Group.externalAddress) === 0) headers.append("x-envoy-external-address", external);
      else headers.set("x-envoy-external-address", external);
    }
    const given = hops > 0 && (seen & Group.forwardedProto) !== 0 ? headers.get("x-forwarded-proto") : scheme;
    settleScheme(request, info, given ?? scheme);
  };
}

/** A proxy behind another: `x-forwarded-for` is believed and left as it is. */
function compileInner(hops: number): RequestStage {
  return (request, info, seen) => {
    const { headers } = request;
    if ((seen & Group.forwardedFor) !== 0) {
      const forwardedFor = headers.get("x-forwarded-for");
      const address = forwardedFor === null ? null : lastAddress(forwardedFor, hops);
      if (address !== null) info.downstreamAddress = withPortZero(address);
    }
    const scheme = info.connection.tls === null ? "http" : "https";
    const given = (seen & Group.forwardedProto) === 0 ? null : headers.get("x-forwarded-proto");
    if (given === null) headers.append("x-forwarded-proto", scheme);
    settleScheme(request, info, given ?? scheme);
  };
}

/**
 * The scheme that `x-forwarded-proto` names, else the connection's. On a plaintext connection an absolute request URI
 * (RFC 9112, section 3.2.2) may have set https already, and stands. Empty stays empty: such a request has no route. A
 * request of HTTP/2 names its own.
 */
function settleScheme(request: RequestHead, info: StreamInfo, forwarded: string): void {
  if (request.protocol === "HTTP/2") return;
  const { tls } = info.connection;
  if (tls === null && request.scheme === "https") return;
  const lower = forwarded === "http" || forwarded === "https" ? forwarded : forwarded.toLowerCase();
  if (lower === "http" || lower === "https" || lower === "") request.scheme = lower;
  else request.scheme = tls === null ? "http" : "https";
}

/** The address before the last `skip` ones of an `x-forwarded-for`, in canonical form; null where there is none. */
export function lastAddress(forwardedFor: string, skip: number): string | null {
  let end = forwardedFor.length;
  for (let i = 0; i < skip; i++) {
    end = forwardedFor.lastIndexOf(",", end - 1);
    if (end <= 0) return null;
  }
  const comma = forwardedFor.lastIndexOf(",", end - 1);
  const ip = parseIp(forwardedFor.slice(comma + 1, end).trim());
  return ip === null ? null : formatIp(ip);
}

function withPortZero(address: string): string {
  return address.includes(":") ? `[${address}]:0` : `${address}:0`;
}
