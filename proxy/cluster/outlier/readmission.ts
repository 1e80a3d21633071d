/**
 * How an ejected endpoint comes back under Outrigger's own policy: through a breaker of its own (`opossum`), which after
 * a while lets one request through and readmits the endpoint only if that succeeds. Envoy readmits blind.
 */
import type { Clock } from "../../../core/clock.ts";
import { type CircuitState, OpossumCircuit } from "../opossum-circuit.ts";

export class Readmission {
  readonly openForMs: number;
  readonly #clock: Clock;
  readonly #circuit: OpossumCircuit;
  /** When the probe set out; null while its place is free. */
  #probeSince: number | null = null;

  /** `onChange` is told `half_open`, then `closed` (the probe succeeded) or `open` (it failed). */
  constructor(openForMs: number, clock: Clock, onChange: (state: CircuitState) => void) {
    this.openForMs = openForMs;
    this.#clock = clock;
    // Percentages play no part: it is opened by hand, and half-open one call decides.
    const options = { errorPercent: 50, minimumCalls: 1, windowMs: 10_000, openForMs };
    let opened = false;
    this.#circuit = new OpossumCircuit(options, (state) => {
      if (opened) onChange(state);
    });
    this.#circuit.open();
    opened = true;
  }

  get state(): CircuitState {
    return this.#circuit.state;
  }

  /** Takes the probe's place if it is free. A probe that never ends loses it after `openForMs`. */
  takeProbe(): boolean {
    if (this.#circuit.state !== "half_open") return false;
    const now = this.#clock.now();
    if (this.#probeSince !== null && now - this.#probeSince < this.openForMs) return false;
    this.#probeSince = now;
    return true;
  }

  /** A call to the endpoint ended; only half-open does it matter. */
  report(failed: boolean): void {
    if (this.#circuit.state === "half_open") this.#circuit.report(failed);
  }

  /** The probe's caller went away. */
  abandon(): void {
    this.#probeSince = null;
  }

  close(): void {
    this.#circuit.shutdown();
  }
}
