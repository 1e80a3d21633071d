/**
 * The least busy of a few hosts drawn at random (Envoy's LEAST_REQUEST). Where weights differ, hosts are scheduled by
 * weight divided by their active requests instead, as in Envoy with its default `active_request_bias` of 1.
 */
import type { Random } from "../../../core/random.ts";
import { EdfScheduler } from "./edf.ts";
import { type BalancedHost, equalWeights, type HostPicker } from "./picker.ts";

export class LeastRequestPicker<H extends BalancedHost> implements HostPicker<H> {
  readonly #hosts: readonly H[];
  readonly #choiceCount: number;
  readonly #random: Random;
  readonly #edf: EdfScheduler | null;

  constructor(hosts: readonly H[], choiceCount: number, random: Random) {
    this.#hosts = hosts;
    this.#choiceCount = choiceCount;
    this.#random = random;
    this.#edf = equalWeights(hosts) ? null : new EdfScheduler(hosts.length);
    if (this.#edf === null) return;
    for (let i = 0; i < hosts.length; i++) this.#edf.push(i, 1 / effectiveWeight(hosts[i] as H));
    for (let skip = Math.floor(random() * hosts.length); skip > 0; skip--) this.#pickWeighted(this.#edf);
  }

  pick(): H | null {
    const hosts = this.#hosts;
    if (hosts.length < 2) return hosts[0] ?? null;
    if (this.#edf !== null) return this.#pickWeighted(this.#edf);
    let best = hosts[Math.floor(this.#random() * hosts.length)] as H;
    for (let i = 1; i < this.#choiceCount; i++) {
      const other = hosts[Math.floor(this.#random() * hosts.length)] as H;
      if (other.activeRequests < best.activeRequests) best = other;
    }
    return best;
  }

  #pickWeighted(edf: EdfScheduler): H {
    const item = edf.pop();
    const host = this.#hosts[item] as H;
    edf.push(item, edf.deadlineOf(item) + 1 / effectiveWeight(host));
    return host;
  }
}

function effectiveWeight(host: BalancedHost): number {
  return host.weight / (host.activeRequests + 1);
}
