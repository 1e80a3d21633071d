/**
 * A connection whose client has not yet shown what it speaks: its bytes are kept, and the listener's filters asked again
 * with each of them, until they know, the time is up, or nobody is there any more.
 */
import type { TimerWheel, WheelTimer } from "../../core/timer-wheel.ts";
import type { Arrival } from "./arrival.ts";
import type { ListenerStep } from "./listener-filters.ts";

/** Why an intake is over: the filters know, their time was up, the client has sent its last byte, or the server spoke first. */
export type IntakeEnd = "known" | "timeout" | "end" | "server";

export interface IntakeOwner {
  /** Called once, unless `onGone` is; the socket has no listeners of the intake's any more. */
  onIntake(intake: Intake, end: IntakeEnd): void;
  /** The socket was closed. */
  onGone(intake: Intake): void;
}

/** What is done with the steps; the index of the first that needs more bytes. */
export function runSteps(steps: readonly ListenerStep[], from: number, arrival: Arrival): number {
  let at = from;
  while (at < steps.length && (steps[at] as ListenerStep)(arrival)) at++;
  return at;
}

export class Intake {
  readonly arrival: Arrival;
  readonly #steps: readonly ListenerStep[];
  readonly #wheel: TimerWheel;
  readonly #owner: IntakeOwner;
  #at: number;
  #timer: WheelTimer | null = null;

  /** `at`: the step that needs bytes. `timeoutMs` 0: no limit. */
  constructor(
    arrival: Arrival,
    steps: readonly ListenerStep[],
    at: number,
    timeoutMs: number,
    wheel: TimerWheel,
    owner: IntakeOwner,
  ) {
    this.arrival = arrival;
    this.#steps = steps;
    this.#at = at;
    this.#wheel = wheel;
    this.#owner = owner;
    if (timeoutMs > 0) this.#timer = wheel.after(timeoutMs, () => this.finish("timeout"));
    const { socket } = arrival;
    socket.on("data", this.#onData);
    socket.on("end", this.#onEnd);
    socket.on("close", this.#onClose);
  }

  /** Ends the intake without waiting for more. */
  finish(end: IntakeEnd): void {
    this.#stop();
    this.#owner.onIntake(this, end);
  }

  /** Cuts the connection. */
  destroy(): void {
    this.#stop();
    this.arrival.socket.destroy();
  }

  readonly #onData = (chunk: Buffer): void => {
    this.arrival.take(chunk);
    this.#at = runSteps(this.#steps, this.#at, this.arrival);
    if (this.#at === this.#steps.length) this.finish("known");
  };

  readonly #onEnd = (): void => this.finish("end");

  readonly #onClose = (): void => {
    this.#stop();
    this.#owner.onGone(this);
  };

  #stop(): void {
    const { socket } = this.arrival;
    socket.removeListener("data", this.#onData);
    socket.removeListener("end", this.#onEnd);
    socket.removeListener("close", this.#onClose);
    if (this.#timer !== null) this.#wheel.cancel(this.#timer);
  }
}
