/** An opaque connection that waits for the peer's sidecar to take it as a stream. */
import { type TimerWheel, WheelTimer } from "../../core/timer-wheel.ts";
import type { OpaqueClientConnection } from "../codec/http2/opaque-client.ts";
import { OpaqueEnd } from "../codec/http2/opaque-protocol.ts";
import type { OpaqueOpening, OpaqueStream } from "../codec/http2/opaque-stream.ts";
import type { OpaqueAttempt } from "./opaque-attempt.ts";

/** Told what came of it, never from inside `begin`. */
export interface StreamAttemptOwner {
  onStream(attempt: OpaqueAttempt, stream: OpaqueStream): void;
  /** `again`: nothing speaks against another connection. */
  onStreamRefused(attempt: OpaqueAttempt, connection: OpaqueClientConnection, again: boolean, detail: string): void;
  /** The peer has not answered in time. */
  onStreamLate(attempt: OpaqueAttempt, connection: OpaqueClientConnection): void;
}

export class OpaqueStreamAttempt implements OpaqueOpening {
  readonly #attempt: OpaqueAttempt;
  readonly #connection: OpaqueClientConnection;
  readonly #owner: StreamAttemptOwner;
  readonly #wheel: TimerWheel;
  readonly #timer = new WheelTimer(() => this.#onLate());
  #stream: OpaqueStream | null = null;

  constructor(
    attempt: OpaqueAttempt,
    connection: OpaqueClientConnection,
    owner: StreamAttemptOwner,
    wheel: TimerWheel,
  ) {
    this.#attempt = attempt;
    this.#connection = connection;
    this.#owner = owner;
    this.#wheel = wheel;
  }

  /** `limitMs`: for the peer's answer; 0: none. */
  begin(limitMs: number): void {
    const attempt = this.#attempt;
    this.#stream = this.#connection.open(this);
    if (limitMs > 0) this.#wheel.arm(this.#timer, limitMs);
    attempt.cancel = () => {
      this.#wheel.cancel(this.#timer);
      this.#stream?.reset(OpaqueEnd.givenUp);
    };
  }

  onOpen(stream: OpaqueStream): void {
    this.#wheel.cancel(this.#timer);
    this.#attempt.cancel = null;
    this.#owner.onStream(this.#attempt, stream);
  }

  onRefused(again: boolean, detail: string): void {
    this.#wheel.cancel(this.#timer);
    this.#attempt.cancel = null;
    this.#owner.onStreamRefused(this.#attempt, this.#connection, again, detail);
  }

  #onLate(): void {
    this.#attempt.cancel = null;
    this.#stream?.reset(OpaqueEnd.givenUp);
    this.#owner.onStreamLate(this.#attempt, this.#connection);
  }
}
