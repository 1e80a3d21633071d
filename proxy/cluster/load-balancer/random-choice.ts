/** Any host with equal chance (Envoy's RANDOM, which does not look at weights). */
import type { Random } from "../../../core/random.ts";
import type { BalancedHost, HostPicker } from "./picker.ts";

export class RandomPicker<H extends BalancedHost> implements HostPicker<H> {
  readonly #hosts: readonly H[];
  readonly #random: Random;

  constructor(hosts: readonly H[], random: Random) {
    this.#hosts = hosts;
    this.#random = random;
  }

  pick(): H | null {
    return this.#hosts[Math.floor(this.#random() * this.#hosts.length)] ?? null;
  }
}
