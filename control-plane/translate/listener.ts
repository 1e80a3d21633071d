/** Where the application's calls arrive: a listener per service port, and without interception one for `http_proxy`. */
import type { Address } from "../../model/address.ts";
import type { FilterChain, Listener, ListenerFilter, NetworkFilter } from "../../model/listener.ts";
import type { DownstreamTls } from "../../model/tls.ts";
import { httpOf, mayBeOpaque } from "../manifest/port-protocol.ts";
import type { DetectionSettings, MeshSettings, ServicePort, ServiceState } from "../mesh/state.ts";
import type { Workload } from "../mesh/workload.ts";
import { ADS, ANY_CONNECTION, LISTENER } from "./envoy-defaults.ts";
import { connectionManager, http1Options } from "./http-manager.ts";
import { authority, clusterName, httpProxyRouteTableName, routeTableName } from "./names.ts";
import { routeScope } from "./route-table.ts";
import { tcpProxy } from "./tcp-proxy.ts";

export const HTTP_PROXY_LISTENER = "http_proxy";

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
  const http = httpOf(port.protocol) === null ? null : httpChain(service, port, client, settings);
  const opaque = mayBeOpaque(port.protocol) ? opaqueChain(service, name, settings) : null;
  return {
    ...LISTENER,
    name,
    ...place,
    trafficDirection: "outbound",
    ...(http !== null && opaque !== null
      ? {
          ...detecting(settings.detection),
          filterChains: [{ ...http, match: SPEAKS_HTTP }],
          defaultFilterChain: opaque,
        }
      : { filterChains: [http ?? opaque].filter((chain) => chain !== null) }),
    outrigger: {
      service: { name: definition.name, namespace: definition.namespace, port: port.port, portName: port.name },
      httpProxy: false,
      multiplex: false,
      ...(http !== null && opaque !== null && watching(settings.detection)),
    },
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

function opaqueChain({ opaque }: ServiceState, cluster: string, settings: MeshSettings): FilterChain {
  return filterChain(
    [
      tcpProxy(cluster, { kind: "name", name: cluster }, settings, {
        idleTimeoutMs: opaque.idleMs,
        maxConnectAttempts: opaque.connectAttempts,
      }),
    ],
    null,
  );
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
    outrigger: { service: null, httpProxy: true, multiplex: false },
  };
}

export function filterChain(filters: readonly NetworkFilter[], tls: DownstreamTls | null): FilterChain {
  return { name: "", match: ANY_CONNECTION, tls, transportSocketConnectTimeoutMs: 0, filters };
}
