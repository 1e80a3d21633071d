/** The end of every exchange: metrics by who called whom, and access logs. */

import type { HttpFilter } from "../../model/http.ts";
import { parseIdentity } from "../../model/identity.ts";
import type { TrafficDirection } from "../../model/listener.ts";
import type { AccessLogger } from "../../telemetry/access-log.ts";
import type { GrpcFilterStats } from "../../telemetry/grpc/filter-stats.ts";
import type { RequestMetrics, RouteRecorder } from "../../telemetry/request-metrics.ts";
import type { StreamInfo } from "../../telemetry/stream-info.ts";
import type { CompiledRoute } from "../router/compile-routes.ts";
import type { Observe } from "./runtime.ts";

export interface ObserveParts {
  readonly metrics: RequestMetrics;
  readonly accessLogs: readonly AccessLogger[];
  /** Of the connection manager; those that only count do it here. */
  readonly filters: readonly HttpFilter[];
  readonly grpcStats: GrpcFilterStats;
  /** Access rules refused the call; its caller was not told why. */
  readonly onDenied: (info: StreamInfo) => void;
  readonly direction: TrafficDirection;
  /** Name of the workload that this proxy stands beside: the caller of what goes out, the destination of what comes in. */
  readonly workload: string;
  /** A cluster's destination for people: the service that it stands for, else its own name. */
  readonly destination: (cluster: string) => string;
}

/** Beginning of the details of what access rules refused. */
const DENIED = "rbac_access_denied";

/** A caller as a label: `orders.shop` for a mesh peer, the SPIFFE id where it has another form, else "unknown". */
function callerName(uri: string): string {
  if (uri === "") return "unknown";
  const identity = parseIdentity(uri);
  return identity === null ? uri : `${identity.serviceAccount}.${identity.namespace}`;
}

/** The recorders of one caller. */
interface Edge {
  readonly byRoute: WeakMap<object, RouteRecorder>;
  /** Where a header names the cluster, one route has many destinations. */
  readonly byCluster: Map<string, RouteRecorder>;
}

export function compileObserve(parts: ObserveParts): Observe {
  const { metrics, accessLogs, direction, workload, destination } = parts;
  const outbound = direction === "outbound";
  /** By the caller's URI, "" for unknown ones. Routes are those of the table in force: old ones fall away with it. */
  const edges = new Map<string, Edge>();
  const noRoute = {};

  const recorderOf = (info: StreamInfo, route: CompiledRoute | null): RouteRecorder => {
    const uri = outbound ? "" : (info.connection.tls?.peer?.uriSans[0] ?? "");
    let edge = edges.get(uri);
    if (edge === undefined) {
      edge = { byRoute: new WeakMap(), byCluster: new Map() };
      edges.set(uri, edge);
    }
    const named = route === null || route.cluster !== "";
    const known = named ? edge.byRoute.get(route ?? noRoute) : edge.byCluster.get(info.cluster);
    if (known !== undefined) return known;
    const from = outbound ? workload : callerName(uri);
    const to = direction === "inbound" ? workload : destination(info.cluster);
    const recorder = metrics.forRoute(from, to, info.routeName, outbound ? "outbound" : "inbound");
    if (named) edge.byRoute.set(route ?? noRoute, recorder);
    else edge.byCluster.set(info.cluster, recorder);
    return recorder;
  };

  const grpcFilters = parts.filters.flatMap((filter) =>
    filter.kind === "grpc_stats" && !filter.disabled
      ? [
          {
            name: filter.name,
            record: parts.grpcStats.recorder(filter.stats),
            shows: filter.stats.emitFilterState,
          },
        ]
      : [],
  );

  return (info, request, response, route, trailers) => {
    recorderOf(info, route).record(info);
    if (info.explanation !== "" && info.responseCodeDetails.startsWith(DENIED)) parts.onDenied(info);
    const responseHeaders = info.responseCode === 0 ? null : response.headers;
    if (info.grpc !== null) {
      for (const { name, record, shows } of grpcFilters) {
        if (route?.filterOverride(name)?.kind === "disabled") continue;
        record(info, responseHeaders, trailers);
        if (shows) info.showsGrpcMessages = true;
      }
    }
    if (accessLogs.length === 0) return;
    const logged = { info, request, responseHeaders, responseTrailers: trailers };
    for (const log of accessLogs) log(logged);
  };
}
