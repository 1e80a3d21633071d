/** Chooses a locality by weight, then a host in it by the cluster's policy (Envoy's locality weighted balancing). */
import { WeightedCycle } from "./edf.ts";
import type { BalancedHost, HostPicker } from "./picker.ts";

export class LocalityPicker<H extends BalancedHost> implements HostPicker<H> {
  readonly #pickers: readonly HostPicker<H>[];
  readonly #cycle: WeightedCycle;

  /** One picker for each weight; no weight is 0. */
  constructor(pickers: readonly HostPicker<H>[], weights: readonly number[]) {
    this.#pickers = pickers;
    this.#cycle = new WeightedCycle(weights);
  }

  pick(hash: bigint | null, attempt: number): H | null {
    return (this.#pickers[this.#cycle.next()] as HostPicker<H>).pick(hash, attempt);
  }
}
