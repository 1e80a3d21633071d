/** TLS handshakes under way on a listener: each ends with a connection to serve, or with a failure that is told once. */
import type { TLSSocket } from "node:tls";
import type { EventClock } from "../../core/clock.ts";
import type { TimerWheel, WheelTimer } from "../../core/timer-wheel.ts";
import type { ConnectionTls } from "../../telemetry/stream-info.ts";
import { acceptTls, type ClientHelloInfo } from "../tls/accept.ts";
import type { TlsFailure } from "../tls/failure.ts";
import type { ServerTlsContext } from "../tls/server-context.ts";
import type { Arrival } from "./arrival.ts";

export interface HandshakeOwner {
  onSecure(socket: TLSSocket, tls: ConnectionTls): void;
  /** The socket has been destroyed. `termination`: Envoy's %CONNECTION_TERMINATION_DETAILS%, "" for none. */
  onFailed(failure: TlsFailure, termination: string): void;
}

const NO_HELLO: ClientHelloInfo = { serverName: "", alpn: [] };

export class Handshakes {
  readonly #clock: EventClock;
  readonly #wheel: TimerWheel;
  /** As the ways to give them up. */
  readonly #pending = new Set<(reason: string) => void>();

  constructor(clock: EventClock, wheel: TimerWheel) {
    this.#clock = clock;
    this.#wheel = wheel;
  }

  get size(): number {
    return this.#pending.size;
  }

  /** One of the owner's methods is called once, never from inside this call. `timeoutMs` 0: no limit. */
  begin(arrival: Arrival, context: ServerTlsContext, timeoutMs: number, owner: HandshakeOwner): void {
    let timer: WheelTimer | null = null;
    let termination = "";
    const done = (): void => {
      this.#pending.delete(giveUp);
      if (timer !== null) this.#wheel.cancel(timer);
    };
    const giveUp = acceptTls(arrival.socket, arrival.head, arrival.hello ?? NO_HELLO, context, this.#clock, {
      onAccepted: (secure, tls) => {
        this.#clock.refresh();
        done();
        owner.onSecure(secure, tls);
      },
      onFailed: (failure) => {
        done();
        owner.onFailed(failure, termination);
      },
    });
    this.#pending.add(giveUp);
    if (timeoutMs === 0) return;
    timer = this.#wheel.after(timeoutMs, () => {
      termination = "transport socket timeout was reached";
      giveUp("the TLS handshake took too long");
    });
  }

  /** Gives up what is under way. */
  close(): void {
    for (const giveUp of [...this.#pending]) giveUp("the listener was closed");
  }
}
