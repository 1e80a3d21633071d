/** Where the application's calls arrive: a listener per service port, and without interception one for `http_proxy`. */
import type { Address } from "../../model/address.ts";
import type { FilterChain, Listener, ListenerFilter, NetworkFilter } from "../../model/listener.ts";
import type { TcpProxy } from "../../model/tcp.ts";
import type { DownstreamTls } from "../../model/tls.ts";
import { mayBeOpaque } from "../manifest/port-protocol.ts";
import type { ConnectionRule, DetectionSettings, MeshSettings, ServicePort, ServiceState } from "../mesh/state.ts";
import type { Workload } from "../mesh/workload.ts";
import { asks } from "../reach.ts";
import { connectionRules } from "./connection-rules.ts";
import { ADS, ANY_CONNECTION, LISTENER } from "./envoy-defaults.ts";
import { connectionManager, http1Options } from "./http-manager.ts";
import { UNKNOWN_HOST_NAME } from "./http-proxy.ts";
import { authority, clusterName, httpProxyRouteTableName, routeTableName } from "./names.ts";
import { routeScope } from "./route-table.ts";
import { tcpProxy } from "./tcp-proxy.ts";
import { refusalLogs } from "./telemetry.ts";

export const HTTP_PROXY_LISTENER = "http_proxy";

/** How long a call waits to learn what it is for, ms. */
export const ON_DEMAND_TIMEOUT_MS = 2000;

/** What `http_inspector` says of a client that speaks HTTP in plaintext. */
export const SPEAKS_HTTP = {
  ...ANY_CONNECTION,
  transportProtocol: "raw_buffer",
  applicationProtocols: ["http/1.0", "http/1.1", "h2c"],
};

/** Where a service port's listener stands. */
export type ListenerPlace = Pick<Listener, "address" | "bindToPort" | "additionalAddresses">;

/** Whose calls a listener takes: what the client's namespace routes differently, and whose spans they are. */
export interface Client {
  readonly namespace: string;
  readonly tracedAs: string;
}

export function clientOf({ service, namespace }: Workload): Client {
  return { namespace, tracedAs: `${service}.${namespace}` };
}

/** Where the application's calls to a service port arrive. */
export function outboundListener(
  service: ServiceState,
  port: ServicePort,
  place: ListenerPlace,
  client: Client,
  settings: MeshSettings,
): Listener {
  const { definition } = service;
  const name = clusterName(definition, port.port);
  return {
    ...LISTENER,
    name,
    ...place,
    trafficDirection: "outbound",
    ...outboundChains(service, port, client, settings),
    outrigger: {
      service: { name: definition.name, namespace: definition.namespace, port: port.port, portName: port.name },
      httpProxy: false,
      multiplex: false,
      ...(isDetected(service, port, client) && watching(settings.detection)),
    },
  };
}

/** Whether a connection tells what it is: nothing declares it, nor a route for connections. */
function isDetected({ opaque }: ServiceState, { port, protocol }: ServicePort, client: Client): boolean {
  return protocol === "detected" && connectionRules(opaque, port, client.namespace).length === 0;
}

function outboundChains(
  service: ServiceState,
  port: ServicePort,
  client: Client,
  settings: MeshSettings,
): Pick<Listener, "filterChains"> & Partial<Listener> {
  if (!mayBeOpaque(port.protocol)) return { filterChains: [httpChain(service, port, client, settings)] };
  if (isDetected(service, port, client)) {
    return {
      ...detecting(settings.detection),
      filterChains: [{ ...httpChain(service, port, client, settings), match: SPEAKS_HTTP }],
      defaultFilterChain: opaqueChain(service, port, null, settings),
    };
  }
  const rules = connectionRules(service.opaque, port.port, client.namespace);
  const byName = rules.filter(({ kind }) => kind === "TLSRoute");
  if (byName.length === 0) return { filterChains: [opaqueChain(service, port, rules[0] ?? null, settings)] };
  // Connections to a name that no route speaks of find no chain.
  return {
    listenerFilters: [{ kind: "tls_inspector" }],
    accessLogs: refusalLogs(settings),
    filterChains: byName.map((rule) => opaqueChain(service, port, rule, settings)),
  };
}

function httpChain(service: ServiceState, port: ServicePort, client: Client, settings: MeshSettings): FilterChain {
  const { definition } = service;
  const routes = routeTableName(definition, port.port, routeScope(service, client.namespace));
  const config = connectionManager(clusterName(definition, port.port), client.tracedAs, settings, {
    routes: { kind: "rds", name: routes, source: ADS },
    http1: http1Options(authority(definition, port.port)),
  });
  return filterChain([{ kind: "http_connection_manager", config }], null);
}

/** `rule` null: to the service itself. */
function opaqueChain(
  { definition, opaque }: ServiceState,
  { port }: ServicePort,
  rule: ConnectionRule | null,
  settings: MeshSettings,
): FilterChain {
  const own = clusterName(definition, port);
  const proxy = tcpProxy(own, rule === null ? { kind: "name", name: own } : backendChoice(rule), settings, {
    idleTimeoutMs: opaque.idleMs,
    maxConnectAttempts: opaque.connectAttempts,
  });
  const chain = filterChain([proxy], null);
  if (rule === null) return chain;
  if (rule.kind === "TCPRoute") return { ...chain, name: rule.name };
  const serverNames = rule.serverNames.includes("*") ? [] : rule.serverNames;
  return { ...chain, name: rule.name, match: { ...ANY_CONNECTION, transportProtocol: "tls", serverNames } };
}

function backendChoice({ name, backends }: ConnectionRule): TcpProxy["cluster"] {
  const [first, ...others] = backends;
  if (!first) return { kind: "name", name: `unresolved|${name}` };
  if (others.length === 0) return { kind: "name", name: first.cluster };
  return { kind: "weighted", clusters: backends.map(({ cluster, weight }) => ({ name: cluster, weight })) };
}

/** The client's first bytes are looked at; one that stays silent is opaque. */
export function detecting(
  { timeoutMs }: DetectionSettings,
  filters: readonly ListenerFilter[] = [{ kind: "tls_inspector" }, { kind: "http_inspector" }],
): Pick<Listener, "listenerFilters" | "listenerFiltersTimeoutMs" | "continueOnListenerFiltersTimeout"> {
  return { listenerFilters: filters, listenerFiltersTimeoutMs: timeoutMs, continueOnListenerFiltersTimeout: true };
}

/** A server that speaks first is not held up by that. */
export function watching({ serverFirstAfterMs }: DetectionSettings) {
  return { detection: { serverFirstAfterMs } };
}

/** Where the application's calls arrive that name the sidecar as their HTTP proxy; null with interception. */
export function httpProxyListener(workload: Workload, settings: MeshSettings): Listener | null {
  const { loopback } = workload;
  if (loopback === null) return null;
  const client = clientOf(workload);
  const config = connectionManager(HTTP_PROXY_LISTENER, client.tracedAs, settings, {
    routes: { kind: "rds", name: httpProxyRouteTableName(workload.namespace), source: ADS },
    http1: http1Options(""),
  });
  const address: Address = {
    kind: "tcp",
    host: loopback.kind === "single" ? loopback.host : workload.address,
    port: workload.httpProxyPort,
  };
  return {
    ...LISTENER,
    name: HTTP_PROXY_LISTENER,
    address,
    trafficDirection: "outbound",
    filterChains: [filterChain([{ kind: "http_connection_manager", config }], null)],
    outrigger: {
      service: null,
      httpProxy: true,
      multiplex: false,
      ...(asks(settings, workload) && {
        onDemand: { timeoutMs: ON_DEMAND_TIMEOUT_MS, virtualHost: UNKNOWN_HOST_NAME },
      }),
    },
  };
}

export function filterChain(filters: readonly NetworkFilter[], tls: DownstreamTls | null): FilterChain {
  return { name: "", match: ANY_CONNECTION, tls, transportSocketConnectTimeoutMs: 0, filters };
}
