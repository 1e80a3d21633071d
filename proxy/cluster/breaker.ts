/**
 * A cluster's circuit breaker (`Cluster.outrigger.breaker`): `opossum` decides, but a call costs it nothing while all is
 * well. Calls are counted in a rolling window; only a failure that could open the breaker by that window's arithmetic
 * is shown to `opossum`, together with the window. State changes are therefore those of plain `opossum` fed with each
 * call when it ends, up to one tolerance: a success within two wheel ticks after a bucket turns may count in the bucket
 * before it. A property test holds this against plain `opossum`.
 */
import type { Clock } from "../../core/clock.ts";
import type { TimerWheel } from "../../core/timer-wheel.ts";
import type { BreakerPolicy, ClusterExtension } from "../../model/cluster.ts";
import { type CircuitState, OpossumCircuit } from "./opossum-circuit.ts";
import { RollingWindow, type WindowTotals } from "./rolling-window.ts";

export interface BreakerStats extends WindowTotals {
  readonly state: CircuitState;
  /** Of calls that ran, in percent; 0 when there were none. */
  readonly errorPercent: number;
  /** Mean duration of calls that ran, ms. */
  readonly meanMs: number;
  /** How often it has opened since it was made. */
  readonly opened: number;
}

/** Told when the state changes, by one thread of the process. `totals` are those that led to it. */
export type BreakerListener = (state: CircuitState, totals: WindowTotals, before: CircuitState) => void;

/** A breaker of this thread alone (`LocalBreaker`), or of the process (`SharedBreaker`). */
export interface Breaker {
  readonly policy: BreakerPolicy;
  readonly mode: ClusterExtension["mode"];
  readonly state: CircuitState;
  /** Calls that this thread was refused since it was made. */
  readonly rejected: number;
  /**
   * Whether a call may go ahead. Each `true` is to be followed by one `record` or `abandon`. Half-open, one probe is let
   * through; one that neither succeeds nor fails within `openForMs` counts as lost and another takes its place.
   */
  allow(): boolean;
  /** A call has ended: whether it succeeded, and after how many ms. */
  record(success: boolean, durationMs: number): void;
  /** An allowed call ended without an outcome, its caller gone: a probe's place is free again. */
  abandon(): void;
  stats(): BreakerStats;
  close(): void;
}

export interface BreakerDeps {
  readonly clock: Clock;
  readonly wheel: TimerWheel;
  /** Where calls are counted that a dry run would have refused. */
  readonly stats: { breaker_would_reject: number };
}

export class LocalBreaker implements Breaker {
  readonly policy: BreakerPolicy;
  readonly mode: ClusterExtension["mode"];
  readonly #deps: BreakerDeps;
  readonly #window: RollingWindow;
  readonly #onChange: BreakerListener;
  /** Made when there is first something to decide. */
  #circuit: OpossumCircuit | null = null;
  #state: CircuitState = "closed";
  #opened = 0;
  /** When the probe of a half-open breaker set out; null while its place is free. */
  #probeSince: number | null = null;
  rejected = 0;

  constructor(policy: BreakerPolicy, mode: ClusterExtension["mode"], deps: BreakerDeps, onChange: BreakerListener) {
    this.policy = policy;
    this.mode = mode;
    this.#deps = deps;
    this.#window = new RollingWindow(policy.windowMs, deps.clock, deps.wheel);
    this.#onChange = onChange;
  }

  get state(): CircuitState {
    return this.#state;
  }

  allow(): boolean {
    if (this.#state === "closed") return true;
    if (this.#state === "half_open" && this.#takeProbe()) return true;
    if (this.mode === "dry_run") {
      this.#deps.stats.breaker_would_reject++;
      return true;
    }
    this.rejected++;
    this.#window.countReject();
    return false;
  }

  record(success: boolean, durationMs: number): void {
    if (this.#state !== "closed") {
      this.#recordDisturbed(success, durationMs);
      return;
    }
    if (success) {
      this.#window.count(false, durationMs);
      return;
    }
    this.#window.turn();
    if (this.#couldOpen()) {
      const circuit = (this.#circuit ??= this.#makeCircuit());
      circuit.take(this.#window);
      this.#window.count(true, durationMs);
      circuit.report(true);
    } else {
      this.#window.count(true, durationMs);
    }
  }

  abandon(): void {
    this.#probeSince = null;
  }

  stats(): BreakerStats {
    return breakerStats(this.#window.totals(), this.#state, this.#opened);
  }

  close(): void {
    this.#window.close();
    this.#circuit?.shutdown();
  }

  /** Whether one more failure can make it open. */
  #couldOpen(): boolean {
    return couldOpen(this.#window.calls + 1, this.#window.failures + 1, this.policy);
  }

  /** Open: only counted. Half-open: the first call to end decides, as in `opossum`. */
  #recordDisturbed(success: boolean, durationMs: number): void {
    const circuit = this.#circuit;
    this.#window.turn();
    if (circuit === null || this.#state === "open") {
      this.#window.count(!success, durationMs);
      return;
    }
    this.#probeSince = null;
    circuit.take(this.#window);
    this.#window.count(!success, durationMs);
    circuit.report(!success);
  }

  #takeProbe(): boolean {
    const now = this.#deps.clock.now();
    if (this.#probeSince !== null && now - this.#probeSince < this.policy.openForMs) return false;
    this.#probeSince = now;
    return true;
  }

  #makeCircuit(): OpossumCircuit {
    return new OpossumCircuit(this.policy, (state) => {
      const before = this.#state;
      this.#state = state;
      this.#probeSince = null;
      if (state === "open") this.#opened++;
      this.#onChange(state, this.#window.totals(), before);
    });
  }
}

/** Whether counts can make `opossum` open: its own condition, so that it is seldom asked in vain. */
export function couldOpen(calls: number, failures: number, policy: BreakerPolicy): boolean {
  return calls >= policy.minimumCalls && (failures / calls) * 100 > policy.errorPercent;
}

export function breakerStats(totals: WindowTotals, state: CircuitState, opened: number): BreakerStats {
  const ran = totals.calls - totals.rejects;
  return {
    ...totals,
    state,
    errorPercent: ran === 0 ? 0 : (totals.failures / ran) * 100,
    meanMs: ran === 0 ? 0 : totals.durationMs / ran,
    opened,
  };
}
