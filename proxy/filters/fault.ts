/** Faults injected on purpose (`envoy.filters.http.fault`): a delay, then an abort, each for a share of the requests. */
import type { Random } from "../../core/random.ts";
import type { FaultPolicy } from "../../model/fault.ts";
import { Flag } from "../../model/flags.ts";
import type { Fraction } from "../../model/matcher.ts";
import type { Count } from "../cluster/count.ts";
import type { RequestHead } from "../http/message.ts";
import { compileHeaderMatches, drawInteger, inFraction, type RequestTest } from "../router/compile-matcher.ts";
import type { Counter } from "./counter.ts";
import type { FilterContext, FilterStage } from "./filter.ts";

export interface FaultDeps {
  readonly random: Random;
  /** How many faults are in effect (`max_active_faults`), counted by everything that shares the limit. */
  readonly active: Count;
  readonly delaysInjected: Counter;
  readonly abortsInjected: Counter;
  /** Faults left out because `max_active_faults` was reached. */
  readonly overflow: Counter;
}

/** null where the policy injects nothing. Throws on a regular expression that is not RE2 syntax. */
export function compileFault(policy: FaultPolicy, deps: FaultDeps): FilterStage | null {
  return policy.delay === null && policy.abort === null ? null : new FaultStage(policy, deps);
}

interface Abort {
  readonly status: number;
  /** undefined: what the status stands for. */
  readonly grpcStatus: number | undefined;
}

class FaultStage implements FilterStage {
  readonly #policy: FaultPolicy;
  readonly #deps: FaultDeps;
  readonly #headers: RequestTest | null;
  readonly #maxActive: number;

  constructor(policy: FaultPolicy, deps: FaultDeps) {
    this.#policy = policy;
    this.#deps = deps;
    this.#headers = compileHeaderMatches(policy.headers);
    this.#maxActive = policy.maxActiveFaults ?? Number.POSITIVE_INFINITY;
  }

  onRequest(context: FilterContext): boolean {
    const { upstreamCluster } = this.#policy;
    if (upstreamCluster !== "" && upstreamCluster !== context.info.cluster) return true;
    if (this.#headers !== null && !this.#headers(context.request)) return true;
    const delayMs = this.#delayOf(context.request);
    if (delayMs > 0 && this.#activate(context)) {
      this.#deps.delaysInjected.inc();
      context.info.flags |= Flag.DI;
      context.delay(delayMs, () => {
        if (!this.#abort(context, true)) context.resume();
      });
      return false;
    }
    return !this.#abort(context, false);
  }

  /** True if the request was answered. `active`: a delay has made this one of the active faults. */
  #abort(context: FilterContext, active: boolean): boolean {
    const abort = this.#abortOf(context.request);
    if (abort === null || (!active && !this.#activate(context))) return false;
    this.#deps.abortsInjected.inc();
    context.localReply(abort.status, "fault filter abort", "fault_filter_abort", Flag.FI, abort.grpcStatus);
    return true;
  }

  /** Makes the request an active fault until it ends; false if there are too many. */
  #activate(context: FilterContext): boolean {
    const { active, overflow } = this.#deps;
    if (!active.tryAdd(this.#maxActive)) {
      overflow.inc();
      return false;
    }
    context.onEnd(() => active.remove());
    return true;
  }

  /** ms; 0: none. */
  #delayOf(request: RequestHead): number {
    const { delay } = this.#policy;
    if (delay === null) return 0;
    if (delay.kind === "fixed") return this.#isChosen(delay.fraction) ? delay.ms : 0;
    const ms = numberIn(request, "x-envoy-fault-delay-request");
    const share = shareOf(delay.fraction, numberIn(request, "x-envoy-fault-delay-request-percentage"));
    return ms !== null && this.#isChosen(share) ? ms : 0;
  }

  #abortOf(request: RequestHead): Abort | null {
    const { abort } = this.#policy;
    if (abort === null) return null;
    if (abort.kind === "header") {
      const asked = abortAskedFor(request);
      const share = shareOf(abort.fraction, numberIn(request, "x-envoy-fault-abort-request-percentage"));
      return asked !== null && this.#isChosen(share) ? asked : null;
    }
    if (!this.#isChosen(abort.fraction)) return null;
    return abort.kind === "http"
      ? { status: abort.status, grpcStatus: undefined }
      : { status: 200, grpcStatus: abort.status };
  }

  #isChosen(fraction: Fraction): boolean {
    return fraction.numerator > 0 && inFraction(fraction, drawInteger(this.#deps.random));
  }
}

/** A request can ask for less than the configured share, never for more. */
function shareOf(configured: Fraction, asked: number | null): Fraction {
  return asked === null || asked >= configured.numerator ? configured : { ...configured, numerator: asked };
}

function abortAskedFor(request: RequestHead): Abort | null {
  const status = numberIn(request, "x-envoy-fault-abort-request");
  if (status !== null && status >= 200 && status < 600) return { status, grpcStatus: undefined };
  const grpcStatus = numberIn(request, "x-envoy-fault-abort-grpc-request");
  return grpcStatus === null ? null : { status: 200, grpcStatus };
}

/** A header's non-negative whole number below 2^31; null where it has none. */
function numberIn({ headers }: RequestHead, name: string): number | null {
  const text = headers.first(name);
  return text !== null && /^\d{1,9}$/.test(text.trim()) ? Number(text) : null;
}
