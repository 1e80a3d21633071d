/**
 * How an ejected endpoint comes back under Outrigger's own policy: through a breaker of its own (`opossum`), which after
 * a while lets one request through and readmits the endpoint only if that succeeds. Envoy readmits blind.
 */
import type { Clock } from "../../../core/clock.ts";
import { type CircuitOptions, type CircuitState, OpossumCircuit } from "../opossum-circuit.ts";

/** Told `half_open` when a probe is due, then `closed` (it succeeded) or `open` (it failed). */
export type ReadmissionListener = (state: CircuitState) => void;

export interface Readmission {
  readonly state: CircuitState;
  /** Takes the probe's place if it is free. A probe that never ends loses it after the time of the ejection. */
  takeProbe(): boolean;
  /** A call to the endpoint ended; only half-open does it matter. */
  report(failed: boolean): void;
  /** The probe's caller went away. */
  abandon(): void;
  /** Looks whether a probe is due that should have been announced. */
  check(): void;
  close(): void;
}

/** Percentages play no part: it is opened by hand, and half-open one call decides. */
export function readmissionOptions(openForMs: number): CircuitOptions {
  return { errorPercent: 50, minimumCalls: 1, windowMs: 10_000, openForMs };
}

/** One of this thread alone. */
export class LocalReadmission implements Readmission {
  readonly openForMs: number;
  readonly #clock: Clock;
  readonly #circuit: OpossumCircuit;
  /** When the probe set out; null while its place is free. */
  #probeSince: number | null = null;

  constructor(openForMs: number, clock: Clock, onChange: ReadmissionListener) {
    this.openForMs = openForMs;
    this.#clock = clock;
    let opened = false;
    this.#circuit = new OpossumCircuit(readmissionOptions(openForMs), (state) => {
      if (opened) onChange(state);
    });
    this.#circuit.open();
    opened = true;
  }

  get state(): CircuitState {
    return this.#circuit.state;
  }

  takeProbe(): boolean {
    if (this.#circuit.state !== "half_open") return false;
    const now = this.#clock.now();
    if (this.#probeSince !== null && now - this.#probeSince < this.openForMs) return false;
    this.#probeSince = now;
    return true;
  }

  report(failed: boolean): void {
    if (this.#circuit.state === "half_open") this.#circuit.report(failed);
  }

  abandon(): void {
    this.#probeSince = null;
  }

  /** Nobody else could have announced it. */
  check(): void {}

  close(): void {
    this.#circuit.shutdown();
  }
}
