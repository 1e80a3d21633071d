/** Each host in turn, as often as its weight says (Envoy's ROUND_ROBIN). */
import type { Random } from "../../../core/random.ts";
import { WeightedCycle } from "./edf.ts";
import { type BalancedHost, equalWeights, type HostPicker } from "./picker.ts";

export class RoundRobinPicker<H extends BalancedHost> implements HostPicker<H> {
  readonly #hosts: readonly H[];
  #next: number;
  readonly #cycle: WeightedCycle | null;

  constructor(hosts: readonly H[], random: Random) {
    this.#hosts = hosts;
    // Started at a random place, so that many sidecars that learn of a change at once do not all begin with one host.
    const offset = Math.floor(random() * hosts.length);
    this.#next = offset;
    this.#cycle = equalWeights(hosts) ? null : new WeightedCycle(hosts.map((host) => host.weight));
    if (this.#cycle !== null) for (let i = 0; i < offset; i++) this.#cycle.next();
  }

  pick(): H | null {
    const hosts = this.#hosts;
    if (hosts.length === 0) return null;
    if (this.#cycle !== null) return hosts[this.#cycle.next()] as H;
    const at = this.#next;
    this.#next = at + 1 === hosts.length ? 0 : at + 1;
    return hosts[at] as H;
  }
}
