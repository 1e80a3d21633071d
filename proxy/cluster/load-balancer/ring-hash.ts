/**
 * Consistent hashing (Envoy's RING_HASH, ketama-like): requests with the same hash go to the same host, and a host that
 * comes or goes moves only its own share. Places on the ring are computed as Envoy computes them.
 */
import type { Random } from "../../../core/random.ts";
import type { BalancedHost, HostGroup, HostPicker } from "./picker.ts";
import { xxHash64 } from "./xxhash64.ts";

export interface RingSize {
  readonly minimumRingSize: number;
  readonly maximumRingSize: number;
}

export class RingHashPicker<H extends BalancedHost> implements HostPicker<H> {
  readonly #hashes: BigUint64Array;
  readonly #hosts: readonly H[];
  readonly #random: Random;

  constructor(groups: readonly HostGroup<H>[], size: RingSize, random: Random) {
    const places = ringPlaces(groups, size);
    places.sort((a, b) => (a.hash < b.hash ? -1 : a.hash > b.hash ? 1 : 0));
    this.#hashes = BigUint64Array.from(places, (place) => place.hash);
    this.#hosts = places.map((place) => place.host);
    this.#random = random;
  }

  get size(): number {
    return this.#hosts.length;
  }

  /** A refused host's place is skipped by `attempt` places, as in Envoy; the same host may follow. */
  pick(hash: bigint | null, attempt: number): H | null {
    const count = this.#hosts.length;
    if (count === 0) return null;
    if (hash === null) return this.#hosts[Math.floor(this.#random() * count)] as H;
    let from = 0;
    let to = count;
    while (from < to) {
      const middle = (from + to) >> 1;
      if ((this.#hashes[middle] as bigint) < hash) from = middle + 1;
      else to = middle;
    }
    return this.#hosts[(from + attempt) % count] as H;
  }
}

/** Each host's places in proportion to its weight: at least `minimumRingSize` in all, each host with one at least. */
function ringPlaces<H extends BalancedHost>(
  groups: readonly HostGroup<H>[],
  size: RingSize,
): { readonly hash: bigint; readonly host: H }[] {
  const totalGroupWeight = groups.reduce((sum, group) => sum + group.weight, 0);
  const shares: { host: H; share: number }[] = [];
  let smallest = 1;
  for (const group of groups) {
    const total = group.hosts.reduce((sum, host) => sum + host.weight, 0);
    for (const host of group.hosts) {
      const share = (host.weight * group.weight) / (total * totalGroupWeight);
      smallest = Math.min(smallest, share);
      shares.push({ host, share });
    }
  }
  const scale = Math.min(Math.ceil(smallest * size.minimumRingSize) / smallest, size.maximumRingSize);
  const places: { hash: bigint; host: H }[] = [];
  let target = 0;
  for (const { host, share } of shares) {
    target += scale * share;
    for (let i = 0; places.length < target; i++) places.push({ hash: xxHash64(`${host.key}_${i}`), host });
  }
  return places;
}
