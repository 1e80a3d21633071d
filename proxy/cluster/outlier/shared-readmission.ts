/**
 * `LocalReadmission` where several threads call the endpoint: one request of the whole process is the probe, and the
 * `opossum` of the thread that sent it decides.
 */
import type { Clock } from "../../../core/clock.ts";
import { type CircuitState, OpossumCircuit } from "../opossum-circuit.ts";
import { type SharedCircuit, stateOf } from "../shared-circuit.ts";
import { type Readmission, type ReadmissionListener, readmissionOptions } from "./readmission.ts";

export class SharedReadmission implements Readmission {
  readonly openForMs: number;
  readonly #circuit: SharedCircuit;
  readonly #clock: Clock;
  readonly #onChange: ReadmissionListener;
  /** Waits for the probe to be due, in the thread that ejected. */
  #waiting: OpossumCircuit | null = null;

  constructor(circuit: SharedCircuit, openForMs: number, clock: Clock, onChange: ReadmissionListener) {
    this.#circuit = circuit;
    this.openForMs = openForMs;
    this.#clock = clock;
    this.#onChange = onChange;
  }

  get state(): CircuitState {
    return stateOf(this.#circuit.word);
  }

  /** Lets a probe be due after the time of the ejection, which begins now. */
  arm(): void {
    const { word } = this.#circuit;
    this.#waiting = new OpossumCircuit(readmissionOptions(this.openForMs), (state) => {
      if (state === "half_open") this.#makeDue(word);
    });
    this.#waiting.open();
  }

  /** Makes a probe due whose time is over, should the thread that ejected have ended or be busy. */
  check(): void {
    const { word } = this.#circuit;
    if (stateOf(word) !== "open" || this.#circuit.since(word, this.#clock.now()) < this.openForMs) return;
    this.#makeDue(word);
  }

  takeProbe(): boolean {
    const { word } = this.#circuit;
    return stateOf(word) === "half_open" && this.#circuit.takeProbe(word, this.#clock.now(), this.openForMs);
  }

  report(failed: boolean): void {
    if (this.state !== "half_open") return;
    this.#circuit.freeProbe();
    const opossum = new OpossumCircuit(readmissionOptions(this.openForMs), this.#onChange, true);
    opossum.report(failed);
    opossum.shutdown();
  }

  abandon(): void {
    this.#circuit.freeProbe();
  }

  close(): void {
    this.#circuit.freeProbe();
    this.#waiting?.shutdown();
    this.#waiting = null;
  }

  #makeDue(word: number): void {
    if (this.#circuit.move(word, "half_open", this.#clock.now()) !== null) this.#onChange("half_open");
  }
}
