/**
 * The endpoints of an ORIGINAL_DST cluster: each is made when a call first goes to its address, and forgotten when none has
 * for a while.
 */
import { type TimerWheel, WheelTimer } from "../../core/timer-wheel.ts";
import type { Endpoint } from "../../model/endpoint.ts";
import type { EndpointState } from "./endpoint-state.ts";
import type { Destination } from "./load-balancer/load-balancer.ts";
import type { Pool } from "./pool.ts";

/** Who holds the endpoints. */
export interface OriginalDstOwner<P extends Pool> {
  /** `source`: where connections leave from, "" where the cluster says. */
  add(config: Endpoint, source: string): EndpointState<P>;
  remove(endpoints: readonly EndpointState<P>[]): void;
}

interface Entry<P extends Pool> {
  readonly endpoint: EndpointState<P>;
  /** Since it was last looked at. */
  used: boolean;
}

export class OriginalDstHosts<P extends Pool> {
  readonly #owner: OriginalDstOwner<P>;
  readonly #wheel: TimerWheel;
  readonly #cleanupIntervalMs: number;
  /** By host and port: to find one makes no string. Those of callers whose address is kept go by it as well. */
  readonly #entries = new Map<string, Map<number, Entry<P>>>();
  /** Armed while there are endpoints. */
  readonly #timer = new WheelTimer(() => this.#cleanUp());

  constructor(cleanupIntervalMs: number, owner: OriginalDstOwner<P>, wheel: TimerWheel) {
    this.#cleanupIntervalMs = cleanupIntervalMs;
    this.#owner = owner;
    this.#wheel = wheel;
  }

  /** The endpoint at an address: whatever its health, there is no other. */
  at({ host, port, source = "" }: Destination): EndpointState<P> {
    const place = source === "" ? host : `${host} from ${source}`;
    let ports = this.#entries.get(place);
    if (ports === undefined) {
      ports = new Map();
      this.#entries.set(place, ports);
    }
    let entry = ports.get(port);
    if (entry === undefined) {
      entry = { endpoint: this.#owner.add(endpointAt(host, port), source), used: true };
      ports.set(port, entry);
      if (!this.#timer.armed) this.#wheel.arm(this.#timer, this.#cleanupIntervalMs);
    }
    entry.used = true;
    return entry.endpoint;
  }

  close(): void {
    this.#wheel.cancel(this.#timer);
  }

  /** As in Envoy, who was not asked for since the last time goes; who has connections stays. */
  #cleanUp(): void {
    const gone: EndpointState<P>[] = [];
    for (const [place, ports] of this.#entries) {
      for (const [port, entry] of ports) {
        const { endpoint, used } = entry;
        entry.used = false;
        if (used || endpoint.activeConnections > 0 || endpoint.activeRequests > 0) continue;
        ports.delete(port);
        gone.push(endpoint);
      }
      if (ports.size === 0) this.#entries.delete(place);
    }
    if (gone.length > 0) this.#owner.remove(gone);
    if (this.#entries.size > 0) this.#wheel.arm(this.#timer, this.#cleanupIntervalMs);
  }
}

function endpointAt(host: string, port: number): Endpoint {
  return {
    address: { kind: "tcp", host, port },
    weight: 1,
    health: "healthy",
    hostname: "",
    transportSocketMatch: {},
    workload: "",
  };
}
