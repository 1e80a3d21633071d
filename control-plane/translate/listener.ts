/** The listeners of a sidecar without interception: one per service port, one for `http_proxy`, one for its peers. */
import type { Address } from "../../model/address.ts";
import type { HttpConnectionManager, HttpFilter } from "../../model/http.ts";
import type { FilterChain, Listener } from "../../model/listener.ts";
import { type DownstreamTls, WORKLOAD_CERT, WORKLOAD_ROOTS } from "../../model/tls.ts";
import type { AccessPolicyManifest } from "../manifest/access-policy.ts";
import type { PortProtocol } from "../manifest/port-protocol.ts";
import { DEFAULT_CALL } from "../mesh/defaults.ts";
import type { MeshSettings, ServiceDefinition, ServicePort } from "../mesh/state.ts";
import type { Workload } from "../mesh/workload.ts";
import { accessFilters, dependsOnPath } from "./access.ts";
import { callVariants, narrowed } from "./call-variants.ts";
import { ADS, ANY_CONNECTION, HTTP_CONNECTION_MANAGER, LISTENER, RETRY, TLS_PARAMS } from "./envoy-defaults.ts";
import { HTTP2, INBOUND_ALPN, PEER_HTTP2 } from "./mesh-protocol.ts";
import { authority, clusterName, httpProxyRouteTableName, inboundClusterName } from "./names.ts";
import { forward, route } from "./route.ts";
import { ANY_REQUEST } from "./route-match.ts";
import { routeTable, virtualHost } from "./route-table.ts";
import { accessLogs, tracing } from "./telemetry.ts";

export const HTTP_PROXY_LISTENER = "http_proxy";

/** A head that takes longer than this is an attack or a dead peer. */
const HEAD_DEADLINE_MS = 15_000;

/**
 * Silence of a call that comes from a peer: the peer's sidecar knows what its policies allow, and ends it in time. Only
 * what a peer that is gone has left behind is cleared away here. (gRPC calls have pings for that.)
 */
const ABANDONED_AFTER_MS = 60 * 60 * 1000;

const ROUTER: HttpFilter = {
  kind: "router",
  name: "envoy.filters.http.router",
  disabled: false,
  suppressEnvoyHeaders: false,
  respectExpectedRqTimeout: false,
};

/** Where the application's calls to a service port arrive. */
export function outboundListener(
  workload: Workload,
  service: ServiceDefinition,
  port: ServicePort,
  address: Address,
  routes: string,
  settings: MeshSettings,
): Listener {
  const name = clusterName(service, port.port);
  const http = connectionManager(name, workload, settings, {
    routes: { kind: "rds", name: routes, source: ADS },
    http1: http1Options(authority(service, port.port)),
  });
  return {
    ...LISTENER,
    name,
    address,
    trafficDirection: "outbound",
    filterChains: [filterChain(http, null)],
    outrigger: {
      service: { name: service.name, namespace: service.namespace, port: port.port, portName: port.name },
      httpProxy: false,
      multiplex: false,
    },
  };
}

/** Where the application's calls arrive that name the sidecar as their HTTP proxy. */
export function httpProxyListener(workload: Workload, settings: MeshSettings): Listener {
  const http = connectionManager(HTTP_PROXY_LISTENER, workload, settings, {
    routes: { kind: "rds", name: httpProxyRouteTableName(workload.namespace), source: ADS },
    http1: http1Options(""),
  });
  const host = workload.loopback.kind === "single" ? workload.loopback.host : workload.address;
  return {
    ...LISTENER,
    name: HTTP_PROXY_LISTENER,
    address: { kind: "tcp", host, port: workload.httpProxyPort },
    trafficDirection: "outbound",
    filterChains: [filterChain(http, null)],
    outrigger: { service: null, httpProxy: true, multiplex: false },
  };
}

/** Where peers arrive: mutual TLS, access policy, then the application. */
export function inboundListener(
  workload: Workload,
  protocol: PortProtocol,
  policies: readonly AccessPolicyManifest[],
  trustDomain: string,
  settings: MeshSettings,
): Listener {
  const name = inboundClusterName(workload.appPort);
  // The caller's sidecar holds calls to their limits; a second limit here would only hide which one struck.
  const toApplication = callVariants({ ...DEFAULT_CALL, requestMs: 0 }, protocol, null).map((variant) =>
    route({
      name: "default",
      match: narrowed(ANY_REQUEST, variant),
      source: "",
      action: {
        ...forward({ kind: "name", name }, variant.treatment),
        // The application closes an idle connection as it is used again: nothing of the request was seen.
        retryPolicy: { ...RETRY, on: ["reset-before-request"], numRetries: 1 },
      },
    }),
  );
  const strictPaths = dependsOnPath(policies);
  const http = connectionManager(name, workload, settings, {
    routes: { kind: "inline", table: routeTable(name, [virtualHost(name, ["*"], toApplication)]) },
    filters: [...accessFilters(policies, trustDomain), ROUTER],
    http2: PEER_HTTP2,
    streamIdleTimeoutMs: ABANDONED_AFTER_MS,
    forwardClientCert: { ...HTTP_CONNECTION_MANAGER.forwardClientCert, mode: "sanitize_set", uri: true },
    http1: http1Options(authority({ name: workload.service, namespace: workload.namespace }, workload.appPort)),
    ...(strictPaths ? { normalizePath: true, mergeSlashes: true, pathWithEscapedSlashes: "reject" as const } : {}),
  });
  return {
    ...LISTENER,
    name,
    address: { kind: "tcp", host: workload.address, port: workload.inboundPort },
    trafficDirection: "inbound",
    filterChains: [filterChain(http, downstreamTls(trustDomain))],
    outrigger: { service: null, httpProxy: false, multiplex: true },
  };
}

function downstreamTls(trustDomain: string): DownstreamTls {
  return {
    params: { ...TLS_PARAMS, minVersion: "TLSv1.2", maxVersion: "TLSv1.3" },
    certificates: [{ kind: "sds", name: WORKLOAD_CERT }],
    validation: {
      roots: { kind: "sds", name: WORKLOAD_ROOTS },
      subjectAltNames: [
        { type: "uri", match: { kind: "prefix", value: `spiffe://${trustDomain}/`, ignoreCase: false } },
      ],
      certificateHashes: [],
      spkiHashes: [],
      acceptUntrusted: false,
      allowExpired: false,
    },
    requireClientCertificate: true,
    alpn: INBOUND_ALPN,
    requireSni: false,
    sessionTickets: true,
  };
}

function connectionManager(
  statPrefix: string,
  workload: Workload,
  settings: MeshSettings,
  parts: Pick<HttpConnectionManager, "routes"> & Partial<HttpConnectionManager>,
): HttpConnectionManager {
  return {
    ...HTTP_CONNECTION_MANAGER,
    statPrefix,
    filters: [ROUTER],
    http2: HTTP2,
    accessLogs: accessLogs(settings),
    tracing: tracing(settings, `${workload.service}.${workload.namespace}`),
    upgrades: [{ type: "websocket", enabled: true }],
    requestHeadersTimeoutMs: HEAD_DEADLINE_MS,
    // The application's own `server` header is part of its answer.
    serverHeader: "pass_through",
    ...parts,
  };
}

function http1Options(defaultHost: string): HttpConnectionManager["http1"] {
  return {
    ...HTTP_CONNECTION_MANAGER.http1,
    acceptHttp10: true,
    defaultHostForHttp10: defaultHost,
    enableTrailers: true,
    // Applications choose their methods, not the mesh.
    allowCustomMethods: true,
  };
}

function filterChain(config: HttpConnectionManager, tls: DownstreamTls | null): FilterChain {
  return {
    name: "",
    match: ANY_CONNECTION,
    tls,
    transportSocketConnectTimeoutMs: 0,
    filters: [{ kind: "http_connection_manager", config }],
  };
}
