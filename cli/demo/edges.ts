/** The mesh's edges (who calls whom) as the callers' sidecars measured them. */

import { isServiceFailure } from "../../proxy/grpc/failure.ts";
import { GrpcStatus, statusName } from "../../telemetry/grpc/status.ts";
import type { Sample } from "./scrape.ts";

export interface Edge {
  readonly source: string;
  readonly destination: string;
  readonly requests: number;
  /** Answered with 5xx or a gRPC status that means as much, or not at all. */
  readonly failed: number;
  /** Finished requests by the upper bound of their duration in seconds, cumulative as Prometheus has them. */
  readonly buckets: ReadonlyMap<number, number>;
  /** The worst that a caller's sidecar has; null where there is no breaker. */
  readonly breaker: "closed" | "half open" | "open" | null;
  /** The most that one caller's sidecar leaves out. */
  readonly ejected: number;
  readonly endpoints: number;
}

const BREAKER_STATES = ["closed", "half open", "open"] as const;

const GRPC_FAILURES: ReadonlySet<string> = new Set(
  Object.values(GrpcStatus)
    .filter(isServiceFailure)
    .map((status) => statusName(status, "constant")),
);

/** Edges by `source destination`, summed over the sidecars that were scraped. */
export function edgesOf(sidecars: readonly (readonly Sample[])[]): ReadonlyMap<string, Edge> {
  const edges = new Map<string, Edge>();
  for (const samples of sidecars) {
    for (const { source, destination } of pairs(samples)) {
      const key = `${source} ${destination}`;
      edges.set(key, add(edges.get(key), measure(samples, source, destination)));
    }
  }
  return edges;
}

/** What happened after `before` was measured; states are those of `now`. */
export function since(now: Edge, before: Edge | undefined): Edge {
  if (before === undefined) return now;
  return {
    ...now,
    requests: now.requests - before.requests,
    failed: now.failed - before.failed,
    buckets: new Map([...now.buckets].map(([bound, count]) => [bound, count - (before.buckets.get(bound) ?? 0)])),
  };
}

/** The `q` quantile in ms, by linear interpolation within its bucket as Prometheus does; null without requests. */
export function quantileMs({ buckets }: Edge, q: number): number | null {
  const sorted = [...buckets].sort(([a], [b]) => a - b);
  const total = sorted.at(-1)?.[1] ?? 0;
  if (total === 0) return null;
  const rank = q * total;
  let lower = 0;
  let below = 0;
  for (const [bound, count] of sorted) {
    if (count >= rank && count > below) {
      // Beyond the last bound nothing more is known.
      if (bound === Number.POSITIVE_INFINITY) return lower * 1000;
      return (lower + ((bound - lower) * (rank - below)) / (count - below)) * 1000;
    }
    lower = bound;
    below = count;
  }
  return lower * 1000;
}

function pairs(samples: readonly Sample[]): readonly { readonly source: string; readonly destination: string }[] {
  const found = new Map<string, { source: string; destination: string }>();
  for (const { name, labels } of samples) {
    if (name !== "outrigger_requests_total" || labels["direction"] !== "outbound") continue;
    const { source = "", destination = "" } = labels;
    found.set(`${source} ${destination}`, { source, destination });
  }
  return [...found.values()];
}

function measure(samples: readonly Sample[], source: string, destination: string): Edge {
  const isCluster = (cluster = ""): boolean => cluster.startsWith("outbound|") && cluster.endsWith(`||${destination}`);
  let requests = 0;
  let failed = 0;
  let breaker: Edge["breaker"] = null;
  let ejected = 0;
  let endpoints = 0;
  const buckets = new Map<number, number>();
  for (const { name, labels, value } of samples) {
    const onEdge =
      labels["direction"] === "outbound" && labels["source"] === source && labels["destination"] === destination;
    if (name === "outrigger_requests_total" && onEdge) {
      requests += value;
      if (labels["code"] === "0" || labels["code"]?.startsWith("5")) failed += value;
    } else if (name === "outrigger_grpc_calls_total" && onEdge) {
      // These come with HTTP status 200.
      if (GRPC_FAILURES.has(labels["status"] ?? "")) failed += value;
    } else if (name === "outrigger_request_duration_seconds_bucket" && onEdge) {
      const bound = labels["le"] === "+Inf" ? Number.POSITIVE_INFINITY : Number(labels["le"]);
      buckets.set(bound, (buckets.get(bound) ?? 0) + value);
    } else if (name === "outrigger_upstream_breaker_state" && isCluster(labels["cluster"])) {
      breaker = BREAKER_STATES[value] ?? null;
    } else if (name === "outrigger_upstream_endpoints" && isCluster(labels["cluster"])) {
      endpoints += value;
      if (labels["state"] === "ejected") ejected += value;
    }
  }
  return { source, destination, requests, failed, buckets, breaker, ejected, endpoints };
}

function add(a: Edge | undefined, b: Edge): Edge {
  if (a === undefined) return b;
  const buckets = new Map(a.buckets);
  for (const [bound, count] of b.buckets) buckets.set(bound, (buckets.get(bound) ?? 0) + count);
  const rank = (state: Edge["breaker"]): number => (state === null ? -1 : BREAKER_STATES.indexOf(state));
  return {
    ...a,
    requests: a.requests + b.requests,
    failed: a.failed + b.failed,
    buckets,
    breaker: rank(a.breaker) >= rank(b.breaker) ? a.breaker : b.breaker,
    ejected: Math.max(a.ejected, b.ejected),
    endpoints: Math.max(a.endpoints, b.endpoints),
  };
}
