/** Route tables, requests and connections for tests, with Envoy's defaults for what a test does not name. */
import { HTTP_CONNECTION_MANAGER } from "../../control-plane/translate/envoy-defaults.ts";
import { HeaderMap } from "../../core/header-map.ts";
import type { HttpConnectionManager } from "../../model/http.ts";
import type {
  DirectResponseAction,
  ForwardAction,
  RedirectAction,
  RequestMirror,
  Route,
  RouteMatch,
  RouteTable,
  VirtualHost,
  WeightedCluster,
} from "../../model/route.ts";
import { RequestHead } from "../../proxy/http/message.ts";
import { type ConnectionInfo, type ConnectionTls, type PeerInfo, StreamInfo } from "../../telemetry/stream-info.ts";

export const NO_MUTATIONS = {
  requestHeadersToAdd: [],
  requestHeadersToRemove: [],
  responseHeadersToAdd: [],
  responseHeadersToRemove: [],
} as const;

const NO_MIRRORS: readonly RequestMirror[] = [];

export function match(path: RouteMatch["path"], rest: Partial<RouteMatch> = {}): RouteMatch {
  return { path, caseSensitive: true, fraction: null, headers: [], queryParameters: [], grpcOnly: false, ...rest };
}

export function prefix(value: string): RouteMatch {
  return match({ kind: "prefix", value });
}

export function forward(rest: Partial<ForwardAction> = {}): ForwardAction {
  return {
    kind: "forward",
    cluster: { kind: "name", name: "up" },
    clusterNotFoundStatus: 503,
    prefixRewrite: null,
    regexRewrite: null,
    hostRewrite: { kind: "keep" },
    appendXForwardedHost: false,
    timeoutMs: null,
    idleTimeoutMs: null,
    maxStreamDurationMs: null,
    maxGrpcTimeoutMs: null,
    retryPolicy: null,
    requestMirrors: [],
    hashPolicies: [],
    priority: "default",
    upgrades: [],
    ...rest,
  };
}

export function redirect(rest: Partial<RedirectAction> = {}): RedirectAction {
  return {
    kind: "redirect",
    status: 301,
    scheme: { kind: "keep" },
    host: "",
    port: 0,
    path: { kind: "keep" },
    stripQuery: false,
    ...rest,
  };
}

export function direct(body: string, status = 200): DirectResponseAction {
  return { kind: "direct_response", status, body };
}

export function route(rest: Partial<Route> = {}): Route {
  return {
    name: "",
    match: prefix("/"),
    action: forward(),
    filterOverrides: {},
    tracing: null,
    operation: "",
    source: "",
    ...NO_MUTATIONS,
    ...rest,
  };
}

export function weighted(name: string, weight: number, rest: Partial<WeightedCluster> = {}): WeightedCluster {
  return { name, weight, filterOverrides: {}, hostRewrite: null, ...NO_MUTATIONS, ...rest };
}

export function virtualHost(rest: Partial<VirtualHost> = {}): VirtualHost {
  return {
    name: "vh",
    domains: ["*"],
    routes: [route()],
    requireTls: "none",
    retryPolicy: null,
    includeRequestAttemptCount: false,
    includeAttemptCountInResponse: false,
    requestMirrors: NO_MIRRORS,
    filterOverrides: {},
    ...NO_MUTATIONS,
    ...rest,
  };
}

export function routeTable(rest: Partial<RouteTable> = {}): RouteTable {
  return {
    name: "table",
    virtualHosts: [virtualHost()],
    mostSpecificHeaderMutationsWins: false,
    ignorePortInHostMatching: false,
    maxDirectResponseBodySizeBytes: 4096,
    internalOnlyHeaders: [],
    filterOverrides: {},
    requestMirrors: NO_MIRRORS,
    ...NO_MUTATIONS,
    ...rest,
  };
}

export function connection(rest: Partial<ConnectionInfo> = {}): ConnectionInfo {
  return {
    id: 1,
    remoteAddress: "10.1.2.3",
    remotePort: 4711,
    localAddress: "10.9.9.9",
    localPort: 8080,
    tls: null,
    listener: "l",
    filterChain: "",
    ...rest,
  };
}

export function peer(rest: Partial<PeerInfo> = {}): PeerInfo {
  return {
    uriSans: ["spiffe://td/ns/a/sa/client"],
    dnsSans: [],
    subject: "",
    issuer: "CN=root",
    serial: "01",
    fingerprint256: "ab12",
    notBefore: 0,
    notAfter: 0,
    pem: () => "-----BEGIN CERTIFICATE-----\nA+/=\n-----END CERTIFICATE-----\n",
    chainPem: () => "-----BEGIN CERTIFICATE-----\nA+/=\n-----END CERTIFICATE-----\n",
    verified: true,
    ...rest,
  };
}

export function tls(rest: Partial<ConnectionTls> = {}): ConnectionTls {
  return {
    version: "TLSv1.3",
    cipher: "TLS_AES_128_GCM_SHA256",
    sni: "",
    alpn: "",
    resumed: false,
    peer: peer(),
    localUriSans: ["spiffe://td/ns/a/sa/server"],
    localSubject: "",
    ...rest,
  };
}

/** Fields as they would come on the wire: `["x-a", "1"]` pairs, so that a name may come twice. */
export type Fields = readonly (readonly [string, string])[];

export function request(
  path: string,
  fields: Fields = [],
  rest: { method?: string; authority?: string } = {},
): RequestHead {
  const head = new RequestHead();
  head.method = rest.method ?? "GET";
  head.path = path;
  head.authority = rest.authority ?? "x.com";
  for (const [name, value] of fields) head.headers.append(name, value);
  return head;
}

export function headerMap(fields: Fields): HeaderMap {
  const headers = new HeaderMap();
  for (const [name, value] of fields) headers.append(name, value);
  return headers;
}

/** The fields in order, `name: value`, for comparing with what Envoy was seen to send. */
export function lines(headers: HeaderMap): string[] {
  const found: string[] = [];
  headers.forEach((name, value) => {
    found.push(`${name}: ${value}`);
  });
  return found;
}

export function streamInfo(rest: Partial<ConnectionInfo> = {}): StreamInfo {
  return new StreamInfo(connection(rest));
}

/** A connection manager with Envoy's defaults. */
export function connectionManager(rest: Partial<HttpConnectionManager> = {}): HttpConnectionManager {
  return {
    ...HTTP_CONNECTION_MANAGER,
    statPrefix: "test",
    routes: { kind: "inline", table: routeTable() },
    filters: [],
    ...rest,
  };
}
