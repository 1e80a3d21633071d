/** PING frames that show whether the peer still lives (Envoy `connection_keepalive`). */
import type { Random } from "../../../core/random.ts";
import { type TimerWheel, WheelTimer } from "../../../core/timer-wheel.ts";
import type { Http2Options } from "../../../model/http.ts";

/** What a connection is asked to do. */
export interface KeepaliveConnection {
  ping(number: number): void;
  onKeepaliveTimeout(): void;
}

/** Tells these PINGs apart from those of a drain. */
export const KEEPALIVE_PING = 1;

export class Keepalive {
  readonly #options: NonNullable<Http2Options["keepalive"]>;
  readonly #wheel: TimerWheel;
  readonly #random: Random;
  readonly #connection: KeepaliveConnection;
  readonly #timer: WheelTimer;
  readonly #deadline: WheelTimer;
  #lastActivity: number;

  constructor(
    options: NonNullable<Http2Options["keepalive"]>,
    wheel: TimerWheel,
    random: Random,
    connection: KeepaliveConnection,
  ) {
    this.#options = options;
    this.#wheel = wheel;
    this.#random = random;
    this.#connection = connection;
    this.#lastActivity = wheel.now();
    this.#timer = new WheelTimer(() => this.#ping());
    this.#deadline = new WheelTimer(() => connection.onKeepaliveTimeout());
    this.#arm();
  }

  #arm(): void {
    const { intervalMs, intervalJitterPercent } = this.#options;
    if (intervalMs <= 0) return;
    this.#wheel.arm(this.#timer, intervalMs * (1 + (this.#random() * intervalJitterPercent) / 100));
  }

  #ping(): void {
    this.#connection.ping(KEEPALIVE_PING);
    this.#wheel.arm(this.#deadline, this.#options.timeoutMs);
  }

  /** A stream is about to be opened: a connection idle for long is tried first (`connection_idle_interval`). */
  onNewStream(): void {
    const { idleIntervalMs } = this.#options;
    if (idleIntervalMs <= 0 || this.#deadline.armed) return;
    if (this.#wheel.now() - this.#lastActivity >= idleIntervalMs) this.#ping();
  }

  /** Bytes came: the peer lives. */
  onActivity(): void {
    this.#lastActivity = this.#wheel.now();
    if (!this.#deadline.armed) return;
    this.#wheel.cancel(this.#deadline);
    this.#arm();
  }

  stop(): void {
    this.#wheel.cancel(this.#timer);
    this.#wheel.cancel(this.#deadline);
  }
}
