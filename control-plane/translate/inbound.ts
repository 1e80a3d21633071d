/** Where peers arrive: what a port takes (mutual TLS, plaintext, the application's own TLS), access policy, the application. */
import type { HttpConnectionManager, HttpFilter, LocalReplyMapper } from "../../model/http.ts";
import type { FilterChain, FilterChainMatch, Listener, NetworkFilter } from "../../model/listener.ts";
import type { Permission } from "../../model/rbac.ts";
import { type DownstreamTls, WORKLOAD_CERT, WORKLOAD_ROOTS } from "../../model/tls.ts";
import { UNSEEN_HEADER } from "../../model/unseen.ts";
import { DEFAULT_CALL } from "../mesh/defaults.ts";
import type { MeshSettings } from "../mesh/state.ts";
import type { Workload } from "../mesh/workload.ts";
import { accessFilters, connectionAccessFilters, dependsOnPath } from "./access.ts";
import { callVariants, narrowed } from "./call-variants.ts";
import { ANY_CONNECTION, HTTP_CONNECTION_MANAGER, LISTENER, RETRY, TLS_PARAMS } from "./envoy-defaults.ts";
import { connectionManager, http1Options, ROUTER } from "./http-manager.ts";
import type { InboundPort } from "./inbound-port.ts";
import { clientOf, detecting, SPEAKS_HTTP, watching } from "./listener.ts";
import { INBOUND_ALPN, INBOUND_OPAQUE_ALPN, PEER_HTTP2 } from "./mesh-protocol.ts";
import { authority, inboundClusterName } from "./names.ts";
import { isProbe, probeFilter, probeLogs } from "./probes.ts";
import { forward, route } from "./route.ts";
import { ANY_REQUEST } from "./route-match.ts";
import { routeTable, virtualHost } from "./route-table.ts";
import { tcpProxy } from "./tcp-proxy.ts";

/**
 * Silence of a call that comes from a peer: the peer's sidecar knows what its policies allow, and ends it in time. Only
 * what a peer that is gone has left behind is cleared away here. (gRPC calls have pings for that.)
 */
const ABANDONED_AFTER_MS = 60 * 60 * 1000;

/** The application was not there: the caller's sidecar learns that nothing of the request was seen. */
const SAYS_UNSEEN: LocalReplyMapper = {
  filter: { kind: "response_flag", flags: ["UF"] },
  statusCode: null,
  body: null,
  bodyFormat: null,
  headersToAdd: [{ name: UNSEEN_HEADER, value: "true", action: "overwrite_if_exists_or_add", keepEmptyValue: false }],
};

/** Whose port it is, and what holds for the mesh. */
export interface InboundContext {
  readonly workload: Workload;
  readonly trustDomain: string;
  readonly settings: MeshSettings;
}

/** The listener of a sidecar whose peers call it, not the application's ports. */
export function inboundListener(port: InboundPort, context: InboundContext): Listener {
  const { workload, settings } = context;
  const name = inboundClusterName(port.port);
  const chains = inboundChains(port, inboundClusterName(port.port), ANY_CONNECTION, context);
  const [only] = chains;
  return {
    ...LISTENER,
    name,
    address: { kind: "tcp", host: workload.address, port: workload.inboundPort },
    trafficDirection: "inbound",
    // A handshake that fails says more than a connection that nothing is there for, and costs no look ahead.
    ...(chains.length === 1 && only
      ? { filterChains: [{ ...only, name: "", match: ANY_CONNECTION }] }
      : { ...detecting(settings.detection, inspectors(chains)), filterChains: chains }),
    outrigger: {
      service: null,
      httpProxy: false,
      multiplex: true,
      ...(takesSilence(chains) && watching(settings.detection)),
    },
  };
}

/** Whether a client that says nothing may be waiting for the application. */
export function takesSilence(chains: readonly FilterChain[]): boolean {
  return chains.some(({ tls, match, filters }) => {
    const plaintext = tls === null && match.transportProtocol !== "tls" && match.applicationProtocols.length === 0;
    return plaintext && filters.at(-1)?.kind === "tcp_proxy";
  });
}

function inspectors(chains: readonly FilterChain[]): Listener["listenerFilters"] {
  const byProtocol = chains.some(({ match }) => match.applicationProtocols === SPEAKS_HTTP.applicationProtocols);
  return [{ kind: "tls_inspector" }, ...(byProtocol ? [{ kind: "http_inspector" } as const] : [])];
}

/** The filter chains of a port, each with `at` (the destination port, or anything) in its match. */
export function inboundChains(
  port: InboundPort,
  cluster: string,
  at: FilterChainMatch,
  context: InboundContext,
): readonly FilterChain[] {
  if (port.mode === "STRICT")
    return [...meshChains(port, cluster, at, context), ...probeChain(port, cluster, at, context)];
  const own = plaintextChains(port, cluster, at, context);
  if (port.mode === "DISABLE" || port.serverNames.length === 0) return own;
  // What is not meant for the mesh is told by the server's name: no application is called by one of those.
  return [...meshChains(port, cluster, { ...at, serverNames: port.serverNames }, context), ...own];
}

/** Mutual TLS: bytes where the peer says so, else HTTP. */
function meshChains(
  port: InboundPort,
  cluster: string,
  at: FilterChainMatch,
  context: InboundContext,
): readonly FilterChain[] {
  const tls = (alpn: readonly string[]) => downstreamTls(context.trustDomain, alpn);
  const match = { ...at, transportProtocol: "tls" };
  const opaque = chain("opaque", match, opaqueFilters(port, cluster, context), tls(INBOUND_OPAQUE_ALPN));
  if (port.http === null) return [opaque];
  const http = chain("http", match, [applicationManager(port, cluster, context)], tls(INBOUND_ALPN));
  return port.opaque ? [{ ...opaque, match: { ...match, applicationProtocols: INBOUND_OPAQUE_ALPN } }, http] : [http];
}

/** Plaintext, and TLS that is the application's own affair. */
function plaintextChains(
  port: InboundPort,
  cluster: string,
  at: FilterChainMatch,
  context: InboundContext,
): readonly FilterChain[] {
  const opaque = opaqueFilters(port, cluster, context);
  // Of bytes a policy can't know that they ask for the pod's health.
  const readsProbes = port.probes.length > 0 && port.policies.length > 0;
  if (port.http === null && port.mode === "DISABLE" && !readsProbes) return [chain("plaintext", at, opaque, null)];
  const plaintext = { ...at, transportProtocol: "raw_buffer" };
  const chains = [chain("own-tls", { ...at, transportProtocol: "tls" }, opaque, null)];
  if (port.http !== null || readsProbes) {
    const match = port.opaque ? { ...at, ...HTTP_CRITERIA } : plaintext;
    const exempt = readsProbes ? isProbe(port.probes) : null;
    chains.push(chain("plaintext-http", match, [applicationManager(port, cluster, context, exempt)], null));
  }
  if (port.opaque) chains.push(chain("plaintext", plaintext, opaque, null));
  return chains;
}

const HTTP_CRITERIA = {
  transportProtocol: SPEAKS_HTTP.transportProtocol,
  applicationProtocols: SPEAKS_HTTP.applicationProtocols,
};

/** A port that else takes mutual TLS alone is let be asked for its health. */
function probeChain(
  port: InboundPort,
  cluster: string,
  at: FilterChainMatch,
  context: InboundContext,
): readonly FilterChain[] {
  if (port.probes.length === 0) return [];
  const config = manager(port, cluster, context, {
    filters: [probeFilter(port.probes), ROUTER],
    accessLogs: probeLogs(context.settings),
  });
  return [chain("probes", { ...at, ...HTTP_CRITERIA }, [{ kind: "http_connection_manager", config }], null)];
}

function applicationManager(
  port: InboundPort,
  cluster: string,
  context: InboundContext,
  exempt: Permission | null = null,
): NetworkFilter {
  const filters = [...accessFilters(port.policies, context.trustDomain, exempt), ROUTER];
  const strictPaths = dependsOnPath(port.policies);
  const config = manager(port, cluster, context, {
    filters,
    ...(strictPaths ? { normalizePath: true, mergeSlashes: true, pathWithEscapedSlashes: "reject" as const } : {}),
  });
  return { kind: "http_connection_manager", config };
}

function manager(
  port: InboundPort,
  cluster: string,
  { workload, settings }: InboundContext,
  parts: { readonly filters: readonly HttpFilter[] } & Partial<HttpConnectionManager>,
): HttpConnectionManager {
  // The caller's sidecar holds calls to their limits; a second limit here would only hide which one struck.
  const variants = callVariants({ ...DEFAULT_CALL, requestMs: 0 }, port.http ?? "any", null);
  const toApplication = variants.map((variant) =>
    route({
      name: "default",
      match: narrowed(ANY_REQUEST, variant),
      source: "",
      action: {
        ...forward({ kind: "name", name: cluster }, variant.treatment),
        // The application closes an idle connection as it is used again: nothing of the request was seen.
        retryPolicy: { ...RETRY, on: ["reset-before-request"], numRetries: 1 },
      },
    }),
  );
  return connectionManager(cluster, clientOf(workload).tracedAs, settings, {
    routes: { kind: "inline", table: routeTable(cluster, [virtualHost(cluster, ["*"], toApplication)]) },
    http2: PEER_HTTP2,
    streamIdleTimeoutMs: ABANDONED_AFTER_MS,
    localReply: { mappers: [SAYS_UNSEEN], bodyFormat: null },
    forwardClientCert: { ...HTTP_CONNECTION_MANAGER.forwardClientCert, mode: "sanitize_set", uri: true },
    http1: http1Options(authority({ name: workload.service, namespace: workload.namespace }, port.port)),
    ...parts,
  });
}

function opaqueFilters(
  port: InboundPort,
  cluster: string,
  { trustDomain, settings }: InboundContext,
): readonly NetworkFilter[] {
  return [
    ...connectionAccessFilters(port.policies, trustDomain),
    tcpProxy(cluster, { kind: "name", name: cluster }, settings),
  ];
}

function chain(
  name: string,
  match: FilterChainMatch,
  filters: readonly NetworkFilter[],
  tls: DownstreamTls | null,
): FilterChain {
  return { name, match, tls, transportSocketConnectTimeoutMs: 0, filters };
}

function downstreamTls(trustDomain: string, alpn: readonly string[]): DownstreamTls {
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
    alpn,
    requireSni: false,
    sessionTickets: true,
  };
}
