/**
 * The one place that touches `opossum`. It decides: closed, open, half-open, when to close again. It is told of calls
 * in batches, as counts per bucket, and of single calls only where one can change its mind; both without promises or
 * timers on the request's way.
 */
import { EventEmitter } from "node:events";
import CircuitBreaker from "opossum";
import { BUCKETS } from "./rolling-window.ts";

export type CircuitState = "closed" | "open" | "half_open";

export interface CircuitOptions {
  readonly errorPercent: number;
  readonly minimumCalls: number;
  readonly windowMs: number;
  readonly openForMs: number;
}

/** What it decides on: one bucket of ten, 0 being the newest. */
export interface BucketCounts {
  bucket(age: number): { readonly calls: number; readonly failures: number };
}

/** Thrown into `opossum` for a failed call; made once, because only its being thrown counts. */
const FAILED = new Error("call failed");

const ignore = (): void => {};

/**
 * What the action returns for a call that went well: a "promise" that is settled already, so that `opossum` draws its
 * conclusion before `fire` returns. It uses `then(onSuccess).catch(onFailure)`.
 */
class Settled {
  // biome-ignore lint/suspicious/noThenProperty: it stands in for a promise on purpose
  then(onSuccess: (value: undefined) => void): { catch(): void } {
    onSuccess(undefined);
    return { catch: ignore };
  }
}

const SUCCEEDED = new Settled() as unknown as Promise<undefined>;

export class OpossumCircuit {
  readonly #opossum: CircuitBreaker<[failed: boolean], undefined>;

  /**
   * `onChange` is called after each change of state, with the new one. `halfOpen`: it begins half-open, because another
   * has brought the circuit there.
   */
  constructor(options: CircuitOptions, onChange: (state: CircuitState) => void, halfOpen = false) {
    const begin = { state: { closed: !halfOpen, halfOpen } };
    this.#opossum = new CircuitBreaker(
      (failed: boolean) => {
        if (failed) throw FAILED;
        return SUCCEEDED;
      },
      {
        timeout: false,
        errorThresholdPercentage: options.errorPercent,
        volumeThreshold: options.minimumCalls,
        rollingCountTimeout: options.windowMs,
        rollingCountBuckets: BUCKETS,
        resetTimeout: options.openForMs,
        rollingPercentilesEnabled: false,
        enableSnapshots: false,
        // Never emits: `RollingWindow` turns the buckets, so that there is no timer while it is closed.
        rotateBucketController: new EventEmitter(),
        ...begin,
      },
    );
    this.#opossum.on("open", () => onChange("open"));
    this.#opossum.on("halfOpen", () => onChange("half_open"));
    this.#opossum.on("close", () => onChange("closed"));
  }

  get state(): CircuitState {
    if (this.#opossum.closed) return "closed";
    return this.#opossum.halfOpen ? "half_open" : "open";
  }

  /** Reports one call; the state may have changed when this returns. */
  report(failed: boolean): void {
    this.#opossum.fire(failed).catch(ignore);
  }

  /** Replaces the counts that it decides on by those of `window`. */
  take(window: BucketCounts): void {
    const buckets = this.#opossum.status.window;
    for (let age = 0; age < buckets.length; age++) {
      const bucket = buckets[age];
      if (!bucket) continue;
      const { calls, failures } = window.bucket(age);
      bucket.fires = calls;
      bucket.failures = failures;
      bucket.latencyTimes.length = 0;
    }
  }

  /** Opens it whatever the counts say; after `openForMs` it is half-open. */
  open(): void {
    this.#opossum.open();
  }

  /** Ends its timers and its events. */
  shutdown(): void {
    this.#opossum.shutdown();
  }
}
