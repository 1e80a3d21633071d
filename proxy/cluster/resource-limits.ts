/**
 * Envoy's circuit breaker thresholds for one cluster and priority: how many connections, queued requests, requests and
 * retries may be under way at once. Counted once per process, whatever the number of threads.
 */
import type { CircuitBreakerLimits } from "../../model/cluster.ts";
import type { ClusterStats } from "./cluster-stats.ts";
import { type Count, LocalCount, type SharedCounts } from "./count.ts";

/** The four counts of one cluster and priority. */
export interface ResourceCounts {
  readonly connections: Count;
  readonly pending: Count;
  readonly requests: Count;
  readonly retries: Count;
}

/** Counts of this thread alone. */
export function localCounts(): ResourceCounts {
  return {
    connections: new LocalCount(),
    pending: new LocalCount(),
    requests: new LocalCount(),
    retries: new LocalCount(),
  };
}

/** Those of a cluster's two priorities, each in `ResourceCounts`'s order. */
export const COUNTS_OF_CLUSTER = 8;

/** Of the counts of a cluster those of one priority. */
export function countsOf(all: SharedCounts, priority: "default" | "high"): ResourceCounts {
  const first = priority === "default" ? 0 : 4;
  const [connections, pending, requests, retries] = all.counts.slice(first, first + 4);
  if (!connections || !pending || !requests || !retries) throw new Error("the counts are not those of a cluster");
  return { connections, pending, requests, retries };
}

/** Envoy's defaults: the ceiling that stays in force while a policy's limits are only tried out. */
const DRY_RUN_CEILING = { connections: 1024, pending: 1024, requests: 1024, retries: 3 };

export class ResourceLimits {
  #limits: CircuitBreakerLimits;
  #dryRun: boolean;
  readonly #counts: ResourceCounts;
  readonly #stats: ClusterStats;

  constructor(limits: CircuitBreakerLimits, stats: ClusterStats, dryRun = false, counts = localCounts()) {
    this.#limits = limits;
    this.#stats = stats;
    this.#dryRun = dryRun;
    this.#counts = counts;
  }

  /** Takes new thresholds; what is under way keeps its place, so a count may be above a lowered limit for a while. */
  update(limits: CircuitBreakerLimits, dryRun: boolean): void {
    this.#limits = limits;
    this.#dryRun = dryRun;
  }

  /**
   * Takes a connection's place. `onlyOne` says that the endpoint has no connection yet: then one is granted even over
   * the limit, as Envoy does, because requests queued for that endpoint could otherwise never be sent.
   */
  tryAcquireConnection(onlyOne: boolean): boolean {
    const count = this.#counts.connections;
    if (count.tryAdd(this.#limits.maxConnections)) return true;
    if (this.#spares(count, DRY_RUN_CEILING.connections)) return true;
    this.#stats.upstream_cx_overflow++;
    if (!onlyOne) return false;
    count.add();
    return true;
  }

  releaseConnection(): void {
    this.#counts.connections.remove();
  }

  /** Takes a place in the queue for a connection. */
  tryAcquirePending(): boolean {
    const count = this.#counts.pending;
    if (count.tryAdd(this.#limits.maxPendingRequests)) return true;
    if (this.#spares(count, DRY_RUN_CEILING.pending)) return true;
    this.#stats.upstream_rq_pending_overflow++;
    return false;
  }

  releasePending(): void {
    this.#counts.pending.remove();
  }

  /** Takes a place among the active requests. A refusal counts as `upstream_rq_pending_overflow`, as in Envoy. */
  tryAcquireRequest(): boolean {
    const count = this.#counts.requests;
    if (count.tryAdd(this.#limits.maxRequests)) return true;
    if (this.#spares(count, DRY_RUN_CEILING.requests)) return true;
    this.#stats.upstream_rq_pending_overflow++;
    return false;
  }

  releaseRequest(): void {
    this.#counts.requests.remove();
  }

  /** Takes a place among the active retries; held until the retried attempt has ended. */
  tryAcquireRetry(): boolean {
    const count = this.#counts.retries;
    if (count.tryAdd(this.maxRetries)) return true;
    if (this.#spares(count, DRY_RUN_CEILING.retries)) return true;
    this.#stats.upstream_rq_retry_overflow++;
    return false;
  }

  releaseRetry(): void {
    this.#counts.retries.remove();
  }

  /**
   * How many retries may be active now: `max_retries`, or with a budget its percentage of what is active and pending,
   * but never less than `min_retry_concurrency`.
   */
  get maxRetries(): number {
    const budget = this.#limits.retryBudget;
    if (budget === null) return this.#limits.maxRetries;
    const active = this.#counts.requests.value + this.#counts.pending.value;
    return Math.max(Math.floor((budget.percent / 100) * active), budget.minRetryConcurrency);
  }

  get connections(): number {
    return this.#counts.connections.value;
  }

  get pending(): number {
    return this.#counts.pending.value;
  }

  get requests(): number {
    return this.#counts.requests.value;
  }

  get retries(): number {
    return this.#counts.retries.value;
  }

  /** What is left of each limit, for `/clusters` and metrics (Envoy's `remaining_cx`, `remaining_pending` …). */
  remaining(): { connections: number; pending: number; requests: number; retries: number } {
    return {
      connections: Math.max(0, this.#limits.maxConnections - this.connections),
      pending: Math.max(0, this.#limits.maxPendingRequests - this.pending),
      requests: Math.max(0, this.#limits.maxRequests - this.requests),
      retries: Math.max(0, this.maxRetries - this.retries),
    };
  }

  /** The thresholds in force. */
  get limits(): CircuitBreakerLimits {
    return this.#limits;
  }

  /** In a dry run a limit only counts what it would have refused, below the ceiling that guards the process. */
  #spares(count: Count, ceiling: number): boolean {
    if (!this.#dryRun || !count.tryAdd(ceiling)) return false;
    this.#stats.limits_would_overflow++;
    return true;
  }
}
