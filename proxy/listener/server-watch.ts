/**
 * Listens to the server while its client is silent: a server that speaks first, and a client that waits for it, would else
 * wait for each other until somebody's patience ends.
 */
import type { TimerWheel, WheelTimer } from "../../core/timer-wheel.ts";
import type { ConnectionInfo } from "../../telemetry/stream-info.ts";
import type { Arrival } from "./arrival.ts";
import type { CompiledFilterChain } from "./compile-chain.ts";
import type { OpaqueAttempt, OpaqueTerminal } from "./terminal.ts";

/** Where a connection goes if it turns out to be opaque. */
export interface OpaqueWay {
  readonly chain: CompiledFilterChain;
  readonly terminal: OpaqueTerminal;
  readonly info: ConnectionInfo;
}

/** ClientHello: the client has begun to speak, and will go on. */
const TLS_RECORD = 0x16;

export class ServerWatch {
  readonly #arrival: Arrival;
  readonly #wheel: TimerWheel;
  readonly #find: () => OpaqueWay | null;
  readonly #onSpoke: () => void;
  #timer: WheelTimer | null = null;
  #way: OpaqueWay | null = null;
  #attempt: OpaqueAttempt | null = null;
  #stopped = false;

  /**
   * After `silenceMs` the server is called, if `find` then knows where: never from inside this call. `onSpoke` is called at
   * most once.
   */
  constructor(
    arrival: Arrival,
    silenceMs: number,
    wheel: TimerWheel,
    find: () => OpaqueWay | null,
    onSpoke: () => void,
  ) {
    this.#arrival = arrival;
    this.#wheel = wheel;
    this.#find = find;
    this.#onSpoke = onSpoke;
    if (silenceMs > 0) this.#timer = wheel.after(silenceMs, () => this.#listen());
    // What the client has sent already is read before.
    else setImmediate(() => this.#listen());
  }

  /** Where the server was called, null while it was not. */
  get way(): OpaqueWay | null {
    return this.#way;
  }

  /** Nobody listens from here on. The attempt that was made, for its end to be settled; null for none. */
  take(): OpaqueAttempt | null {
    this.#stop();
    const attempt = this.#attempt;
    this.#attempt = null;
    return attempt;
  }

  #listen(): void {
    if (this.#stopped) return;
    const { head, socket } = this.#arrival;
    if (head?.[0] === TLS_RECORD) return;
    const way = this.#find();
    if (way === null) return;
    this.#way = way;
    this.#attempt = way.terminal.listen(socket, way.info, () => {
      if (!this.#stopped) this.#onSpoke();
    });
    // Who opens connections for a client may have stopped to read it: here it is still read.
    socket.resume();
  }

  #stop(): void {
    this.#stopped = true;
    if (this.#timer !== null) this.#wheel.cancel(this.#timer);
  }
}
