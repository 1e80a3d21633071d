/**
 * A cluster's circuit breaker where several threads serve it: the outcomes of all decide, it is open in all at once, and
 * half-open it lets one call of the whole process through. As in `LocalBreaker` `opossum` decides: in the thread whose
 * call made the difference, given what all have counted. What it says is put down in shared memory; of two threads that
 * say something at once the first counts.
 */
import type { Clock } from "../../core/clock.ts";
import type { SharedState } from "../../core/shared-state.ts";
import type { SharedTable } from "../../core/shared-table.ts";
import type { BreakerPolicy, ClusterExtension } from "../../model/cluster.ts";
import { type Breaker, type BreakerListener, type BreakerStats, breakerStats, couldOpen } from "./breaker.ts";
import { type BucketCounts, type CircuitState, OpossumCircuit } from "./opossum-circuit.ts";
import { type CircuitWord, SharedCircuit, stateOf } from "./shared-circuit.ts";
import { SharedWindow } from "./shared-window.ts";

/** Where in the shared words: how often it has opened. */
const OPENED = 3;

export interface SharedBreakerDeps {
  readonly clock: Clock;
  readonly shared: SharedState;
  /** Where calls are counted that a dry run would have refused. */
  readonly stats: { breaker_would_reject: number };
}

export class SharedBreaker implements Breaker {
  readonly policy: BreakerPolicy;
  readonly mode: ClusterExtension["mode"];
  rejected = 0;
  readonly #deps: SharedBreakerDeps;
  readonly #onChange: BreakerListener;
  readonly #table: SharedTable;
  readonly #at: number;
  readonly #state: SharedCircuit;
  readonly #window: SharedWindow;
  /** Made when this thread first has something to decide, and anew when others have changed the state since. */
  #opossum: OpossumCircuit | null = null;
  /** The state that `#opossum` is in. */
  #word: CircuitWord = 0;
  #closed = false;

  private constructor(
    policy: BreakerPolicy,
    mode: ClusterExtension["mode"],
    deps: SharedBreakerDeps,
    onChange: BreakerListener,
    at: number,
  ) {
    this.policy = policy;
    this.mode = mode;
    this.#deps = deps;
    this.#onChange = onChange;
    this.#table = deps.shared.table("breakers");
    this.#at = at;
    this.#state = new SharedCircuit(deps.shared, this.#table, at);
    this.#window = new SharedWindow(policy.windowMs, deps.clock, deps.shared, this.#table, at);
  }

  /** The breaker of that cluster and policy in all threads; null where there is no room for it. */
  static acquire(
    cluster: string,
    policy: BreakerPolicy,
    mode: ClusterExtension["mode"],
    deps: SharedBreakerDeps,
    onChange: BreakerListener,
  ): SharedBreaker | null {
    const { shared, clock } = deps;
    const table = shared.table("breakers");
    const { errorPercent, minimumCalls, windowMs, openForMs } = policy;
    const name = `${cluster} ${errorPercent} ${minimumCalls} ${windowMs} ${openForMs} ${mode}`;
    const at = table.acquire(name, (fresh) => SharedWindow.begin(table, fresh, shared.time(clock.now())));
    if (at !== -1) return new SharedBreaker(policy, mode, deps, onChange, at);
    shared.tellFull("breakers", cluster);
    return null;
  }

  get state(): CircuitState {
    return this.#closed ? "closed" : stateOf(this.#current());
  }

  allow(): boolean {
    if (this.#closed || this.#state.isClosed) return true;
    const word = this.#current();
    const state = stateOf(word);
    if (state === "closed") return true;
    if (state === "half_open" && this.#state.takeProbe(word, this.#deps.clock.now(), this.policy.openForMs))
      return true;
    if (this.mode === "dry_run") {
      this.#deps.stats.breaker_would_reject++;
      return true;
    }
    this.rejected++;
    this.#window.countReject();
    return false;
  }

  record(success: boolean, durationMs: number): void {
    if (this.#closed) return;
    const word = this.#state.isClosed ? this.#state.word : this.#current();
    const state = stateOf(word);
    this.#window.count(!success, durationMs);
    if (state === "open") return;
    if (state === "half_open") {
      // The first call to end decides, as in `opossum`.
      this.#state.freeProbe();
      this.#ask(word, success);
    } else if (!success) {
      const { calls, failures } = this.#window.totals();
      if (couldOpen(calls, failures, this.policy)) this.#ask(word, false);
    }
  }

  abandon(): void {
    if (!this.#closed) this.#state.freeProbe();
  }

  stats(): BreakerStats {
    const opened = Atomics.load(this.#table.cells, this.#at + OPENED);
    return breakerStats(this.#window.totals(), this.state, opened);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#state.freeProbe();
    this.#opossum?.shutdown();
    this.#table.release(this.#at);
  }

  /**
   * The state by now: `opossum`'s timer runs in the thread where it opened, which may be busy or gone, so any thread may
   * find that the time is over.
   */
  #current(): CircuitWord {
    const { word } = this.#state;
    const now = this.#deps.clock.now();
    if (stateOf(word) !== "open" || this.#state.since(word, now) < this.policy.openForMs) return word;
    this.#change(word, "half_open");
    return this.#state.word;
  }

  /** Lets `opossum` decide on one more call, which has been counted already. */
  #ask(word: CircuitWord, success: boolean): void {
    const opossum = this.#opossumAt(word);
    opossum.take(withoutLast(this.#window, success));
    opossum.report(!success);
  }

  #opossumAt(word: CircuitWord): OpossumCircuit {
    if (this.#opossum !== null && this.#word === word) return this.#opossum;
    this.#opossum?.shutdown();
    this.#word = word;
    this.#opossum = new OpossumCircuit(
      this.policy,
      (state) => {
        const next = this.#change(this.#word, state);
        if (next !== null) this.#word = next;
      },
      stateOf(word) === "half_open",
    );
    return this.#opossum;
  }

  /** null: another thread has changed it first. */
  #change(from: CircuitWord, to: CircuitState): CircuitWord | null {
    const next = this.#state.move(from, to, this.#deps.clock.now());
    if (next === null) return null;
    if (to === "open") Atomics.add(this.#table.cells, this.#at + OPENED, 1);
    this.#onChange(to, this.#window.totals(), stateOf(from));
    return next;
  }
}

/** A window without the call that `opossum` is about to be told of, and count itself. */
function withoutLast(window: SharedWindow, success: boolean): BucketCounts {
  const buckets = window.buckets();
  return {
    bucket(age) {
      const { calls = 0, failures = 0 } = buckets[age] ?? {};
      return age > 0 ? { calls, failures } : { calls: calls - 1, failures: failures - (success ? 0 : 1) };
    },
  };
}
