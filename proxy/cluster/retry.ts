/**
 * Whether and when one request is sent again, by Envoy's rules (`RetryStateImpl`): the policy's conditions and the
 * caller's headers, the number of retries, the cluster's retry limit or budget, backoff with full jitter.
 */
import { backoffDelay } from "../../core/backoff.ts";
import type { Clock } from "../../core/clock.ts";
import type { HeaderMap } from "../../core/header-map.ts";
import type { Random } from "../../core/random.ts";
import type { RequestView } from "../../telemetry/stream-info.ts";
import type { UpstreamFailure } from "../codec/stream.ts";
import type { ClusterStats } from "./cluster-stats.ts";
import {
  MAX_RETRIES,
  mayHaveRetryHeaders,
  parseUnsigned,
  RETRIABLE_HEADER_NAMES,
  RETRIABLE_STATUS_CODES,
  RETRY_GRPC_ON,
  RETRY_ON,
  removeRetryHeaders,
  splitList,
} from "./envoy-headers.ts";
import type { ResourceLimits } from "./resource-limits.ts";
import {
  type CompiledRetryPolicy,
  grpcStatusBit,
  hasGrpcCondition,
  parseRetryGrpcOn,
  parseRetryOn,
  presenceTest,
  type ResponseTest,
  RetryOn,
} from "./retry-policy.ts";

/** How an attempt ended without a response. */
export type ResetKind = UpstreamFailure | "per_try_timeout";

/**
 * Why the last failure is not retried although a condition matched: the retries are used up (URX), the cluster's retry
 * limit or budget is (UO), or sending it twice would not be safe.
 */
export type RetryRefusal = "limit_exceeded" | "overflow" | "unsafe";

/** The cluster that a request goes to, as far as retries are concerned. */
export interface RetryTarget {
  readonly stats: ClusterStats;
  readonly limits: ResourceLimits;
}

/** Not retried. */
const NO = -1;

/** RFC 9110 section 9.2.2. */
const IDEMPOTENT = new Set(["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"]);

const NO_HOSTS: readonly object[] = [];

export class RetryState {
  readonly #clock: Clock;
  readonly #random: Random;
  #policy: CompiledRetryPolicy | null = null;
  #target: RetryTarget | null = null;
  #conditions = 0;
  #left = 0;
  #made = 0;
  #statusCodes: readonly number[] = [];
  #responseTests: readonly ResponseTest[] = [];
  #idempotent = false;
  /** An endpoint was not there for the request, or refused it unseen. */
  #missedBefore = false;
  /** Bytes of the request have reached an upstream in some attempt. */
  #started = false;
  /** A place among the cluster's active retries is taken. */
  #held = false;
  #tried: object[] = [];
  /** null: retried, or no condition matched. */
  refusal: RetryRefusal | null = null;

  constructor(clock: Clock, random: Random) {
    this.#clock = clock;
    this.#random = random;
  }

  /**
   * Begins with a request, whose headers about retries are taken in and removed. False: it will never be retried, and
   * nothing needs to be kept or asked.
   */
  begin(policy: CompiledRetryPolicy, request: RequestView, target: RetryTarget): boolean {
    this.finish(false);
    this.#policy = policy;
    this.#target = target;
    this.#conditions = policy.conditions;
    this.#left = policy.numRetries;
    this.#made = 0;
    this.#statusCodes = policy.statusCodes;
    this.#responseTests = policy.responseTests;
    this.#started = false;
    this.#missedBefore = false;
    this.refusal = null;
    if (this.#tried.length > 0) this.#tried = [];
    const steered = mayHaveRetryHeaders(request.headers);
    if (steered) this.#mergeConditions(request.headers);
    if (policy.requestTests !== null && !policy.requestTests.some((test) => test(request))) this.#conditions = 0;
    if (steered) {
      this.#mergeDetails(request.headers);
      removeRetryHeaders(request.headers);
    }
    if (this.#conditions === 0) return false;
    this.#idempotent = IDEMPOTENT.has(request.method);
    return true;
  }

  /** The retries are used up: Envoy's response flag URX. */
  get gaveUp(): boolean {
    return this.refusal === "limit_exceeded";
  }

  /** For the balancer: hosts that were tried, if the policy avoids them. */
  get triedHosts(): readonly object[] {
    return this.#policy?.avoidPreviousHosts === true ? this.#tried : NO_HOSTS;
  }

  /** For the balancer: how often it may choose again; 0 on the first attempt. */
  get hostSelectionRetries(): number {
    return this.#made === 0 ? 0 : (this.#policy?.hostSelectionMaxAttempts ?? 0);
  }

  /** An attempt goes to this host. */
  onHostAttempted(host: object): void {
    this.#tried.push(host);
  }

  /**
   * A response head came: after how many ms to try again, −1 for passing it on. With a delay, a place among the
   * cluster's retries is held until the next decision or `finish`. The caller counts `upstream_rq_retry`.
   */
  shouldRetryResponse(status: number, headers: HeaderMap): number {
    // gRPC calls are all POST, whatever they do: who names a `grpc-status` says that they may be repeated after it.
    if (this.#matchesGrpcStatus(headers)) return this.#decide(headers);
    if (!this.#matchesResponse(status, headers)) return this.#noMatch();
    if (this.#policy?.onlySafe === true && !this.#idempotent) return this.#refuse("unsafe");
    return this.#decide(headers);
  }

  /**
   * An attempt failed without a response: after how many ms to try again, −1 for giving up. `requestStarted`: bytes of
   * the request were written. `reused`: the connection had served another request before this one.
   */
  shouldRetryReset(kind: ResetKind, requestStarted: boolean, reused = false): number {
    this.#started ||= requestStarted;
    if (!this.#matchesReset(kind, reused)) return this.#noMatch();
    if (this.#policy?.onlySafe === true) {
      if (!this.#idempotent && !this.#neverSeen(kind)) return this.#refuse("unsafe");
      // An endpoint that goes away accepts nothing new and leaves out what it has not begun: that is no sign of load, and
      // no reason to lose any of it. As in gRPC, the first time does not count as an attempt.
      if (!this.#missedBefore && (kind === "refused_stream" || kind === "connect_failure")) {
        this.#missedBefore = true;
        return 0;
      }
    }
    return this.#decide(null);
  }

  /** The request is over; `answered`: a response was passed on. */
  finish(answered: boolean): void {
    if (!this.#held) return;
    this.#release();
    if (answered && this.#target !== null) this.#target.stats.upstream_rq_retry_success++;
  }

  #matchesResponse(status: number, headers: HeaderMap): boolean {
    const on = this.#conditions;
    if (headers.has("x-envoy-ratelimited")) return (on & RetryOn.rateLimited) !== 0;
    if ((on & RetryOn.serverError) !== 0 && status >= 500 && status <= 599) return true;
    if ((on & RetryOn.gatewayError) !== 0 && status >= 502 && status <= 504) return true;
    if ((on & RetryOn.retriable4xx) !== 0 && status === 409) return true;
    if ((on & RetryOn.retriableStatusCodes) !== 0 && this.#statusCodes.includes(status)) return true;
    if ((on & RetryOn.retriableHeaders) !== 0) {
      for (const test of this.#responseTests) if (test(status, headers)) return true;
    }
    return false;
  }

  #matchesGrpcStatus(headers: HeaderMap): boolean {
    const on = this.#conditions;
    if (!hasGrpcCondition(on) || headers.has("x-envoy-ratelimited")) return false;
    const grpcStatus = parseUnsigned(headers.get("grpc-status"));
    return grpcStatus !== null && (on & grpcStatusBit(grpcStatus)) !== 0;
  }

  #matchesReset(kind: ResetKind, reused: boolean): boolean {
    if (kind === "overflow") return false;
    const on = this.#conditions;
    if ((on & RetryOn.connectFailure) !== 0 && (kind === "connect_failure" || kind === "connect_timeout")) return true;
    if ((on & RetryOn.resetBeforeRequest) !== 0) {
      if (!this.#started) return true;
      // The upstream closed an idle connection just as it was used again: not a sign that this request fails.
      if (this.#policy?.onlySafe === true && reused && kind === "connection_termination" && this.#idempotent)
        return true;
    }
    if ((on & (RetryOn.reset | RetryOn.serverError | RetryOn.gatewayError)) !== 0) return true;
    return (on & RetryOn.refusedStream) !== 0 && kind === "refused_stream";
  }

  /** Whether the application cannot have seen the request. */
  #neverSeen(kind: ResetKind): boolean {
    if (kind === "connect_failure" || kind === "connect_timeout" || kind === "refused_stream") return true;
    return !this.#started;
  }

  #noMatch(): number {
    this.finish(true);
    this.refusal = null;
    return NO;
  }

  #refuse(refusal: RetryRefusal): number {
    this.#release();
    this.refusal = refusal;
    return NO;
  }

  /** A condition matched: limits, then the wait. */
  #decide(response: HeaderMap | null): number {
    const target = this.#target;
    const policy = this.#policy;
    if (target === null || policy === null) return NO;
    if (this.#held) this.#release();
    if (this.#left === 0) {
      target.stats.upstream_rq_retry_limit_exceeded++;
      return this.#refuse("limit_exceeded");
    }
    this.#left--;
    if (!target.limits.tryAcquireRetry()) return this.#refuse("overflow");
    this.#held = true;
    this.refusal = null;
    const asked = response === null ? null : this.#askedInterval(response);
    if (asked !== null) {
      target.stats.upstream_rq_retry_backoff_ratelimited++;
      this.#made++;
      // Not before the time that was asked for, and spread over half of it again.
      return asked + this.#random() * (asked / 2);
    }
    target.stats.upstream_rq_retry_backoff_exponential++;
    return backoffDelay(policy.backoff, this.#made++, this.#random);
  }

  /** How long the response asks to wait (`rate_limited_retry_back_off`), ms; null: it does not, or for too long. */
  #askedInterval(response: HeaderMap): number | null {
    const limited = this.#policy?.rateLimitedBackoff;
    if (!limited) return null;
    for (const { name, format } of limited.headers) {
      const value = parseUnsigned(response.first(name));
      if (value === null) continue;
      const seconds = format === "seconds" ? value : value - Math.floor(this.#clock.wallTime() / 1000);
      if (seconds > 0 && seconds * 1000 <= limited.maxMs) return seconds * 1000;
    }
    return null;
  }

  #release(): void {
    if (!this.#held) return;
    this.#held = false;
    this.#target?.limits.releaseRetry();
  }

  #mergeConditions(headers: HeaderMap): void {
    const on = headers.get(RETRY_ON);
    if (on !== null) this.#conditions |= parseRetryOn(on);
    const grpcOn = headers.get(RETRY_GRPC_ON);
    if (grpcOn !== null) this.#conditions |= parseRetryGrpcOn(grpcOn);
  }

  #mergeDetails(headers: HeaderMap): void {
    this.#left = parseUnsigned(headers.get(MAX_RETRIES)) ?? this.#left;
    const codes = headers.get(RETRIABLE_STATUS_CODES);
    if (codes !== null) {
      const numbers = splitList(codes).flatMap((code) => parseUnsigned(code) ?? []);
      this.#statusCodes = [...this.#statusCodes, ...numbers];
    }
    const names = headers.get(RETRIABLE_HEADER_NAMES);
    if (names !== null) this.#responseTests = [...this.#responseTests, ...splitList(names).map(presenceTest)];
  }
}
