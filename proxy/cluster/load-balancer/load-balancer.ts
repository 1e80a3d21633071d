/**
 * Chooses an upstream host: first the priority level, then the locality where localities are weighted, then by policy.
 * Built when endpoints or their health change; a request only picks.
 */
import type { SocketAddress } from "../../../core/ip.ts";
import type { Random } from "../../../core/random.ts";
import type { Cluster, CommonLb } from "../../../model/cluster.ts";
import { LeastRequestPicker } from "./least-request.ts";
import { LocalityPicker } from "./locality.ts";
import type { BalancedHost, HostGroup, HostPicker } from "./picker.ts";
import { type PriorityLoads, priorityLoads } from "./priority-load.ts";
import { RandomPicker } from "./random-choice.ts";
import { RingHashPicker } from "./ring-hash.ts";
import { RoundRobinPicker } from "./round-robin.ts";

/** What a request brings to the choice; the exchange implements it, so that nothing is made for it. */
export interface LbContext {
  /** XXH64 of what the route's hash policies name, null: none. */
  readonly hash: bigint | null;
  /** How often another host is asked for when the chosen one was tried before; 0 on the first attempt. */
  readonly hostSelectionRetries: number;
  /** Hosts that earlier attempts went to (`previous_hosts`). */
  readonly triedHosts: readonly object[];
  /** The only host that is meant (`destinationOf`); null: the balancer chooses. */
  readonly destination: Destination | null;
}

/** An address that a caller asked for. */
export interface Destination extends SocketAddress {
  /** The caller's address, from which the call is to go on. Absent: the cluster's bind address, or any. */
  readonly source?: string;
}

export interface PriorityLevel<H extends BalancedHost> {
  readonly localities: readonly { readonly weight: number | null; readonly hosts: readonly H[] }[];
}

export interface BalancerConfig {
  readonly policy: Cluster["lbPolicy"];
  readonly common: CommonLb;
  /** Percent. */
  readonly overprovisioningFactor: number;
}

/** Where the balancer counts picks made in panic. */
export interface BalancerStats {
  lb_healthy_panic: number;
}

interface Level<H extends BalancedHost> {
  readonly healthy: HostPicker<H>;
  readonly degraded: HostPicker<H>;
  readonly panic: boolean;
}

export class LoadBalancer<H extends BalancedHost> {
  readonly loads: PriorityLoads;
  readonly #levels: readonly Level<H>[];
  /** The level that gets everything from its healthy hosts, if there is one: the usual case. */
  readonly #only: Level<H> | null;
  readonly #hashed: boolean;
  readonly #random: Random;
  readonly #stats: BalancerStats;

  constructor(
    config: BalancerConfig,
    levels: readonly PriorityLevel<H>[],
    random: Random,
    stats: BalancerStats = { lb_healthy_panic: 0 },
  ) {
    const counts = levels.map((level) => {
      const hosts = level.localities.flatMap((locality) => locality.hosts);
      return {
        total: hosts.length,
        healthy: hosts.filter((host) => host.healthy).length,
        degraded: hosts.filter((host) => host.degraded).length,
      };
    });
    this.loads = priorityLoads(counts, config.overprovisioningFactor, config.common.healthyPanicThreshold);
    this.#levels = levels.map((level, i) => buildLevel(config, level, this.loads.panic[i] === true, random));
    const whole = this.loads.healthy.indexOf(100);
    this.#only = whole < 0 ? null : (this.#levels[whole] ?? null);
    this.#hashed = config.policy.kind === "ring_hash";
    this.#random = random;
    this.#stats = stats;
  }

  /** The host for a request, null when none may be used. A host tried before is returned only if no other came up. */
  choose(context: LbContext): H | null {
    let host = this.#chooseOnce(context.hash, 0);
    for (let i = 1; i <= context.hostSelectionRetries && host !== null; i++) {
      if (!context.triedHosts.includes(host)) break;
      host = this.#chooseOnce(context.hash, i);
    }
    return host;
  }

  #chooseOnce(hash: bigint | null, attempt: number): H | null {
    if (this.#only !== null) {
      if (this.#only.panic) this.#stats.lb_healthy_panic++;
      return this.#only.healthy.pick(hash, attempt);
    }
    const draw = this.#hashed && hash !== null ? Number(hash % 100n) : Math.floor(this.#random() * 100);
    return this.#chooseInLevel(draw, hash, attempt);
  }

  /** `draw` in 0 … 99 decides by each level's percentage, healthy hosts of all levels first. */
  #chooseInLevel(draw: number, hash: bigint | null, attempt: number): H | null {
    let below = 0;
    for (let i = 0; i < this.#levels.length; i++) {
      below += this.loads.healthy[i] as number;
      if (draw >= below) continue;
      const level = this.#levels[i] as Level<H>;
      if (level.panic) this.#stats.lb_healthy_panic++;
      return level.healthy.pick(hash, attempt);
    }
    for (let i = 0; i < this.#levels.length; i++) {
      below += this.loads.degraded[i] as number;
      if (draw >= below) continue;
      const level = this.#levels[i] as Level<H>;
      if (level.panic) this.#stats.lb_healthy_panic++;
      return level.degraded.pick(hash, attempt);
    }
    return null;
  }
}

function buildLevel<H extends BalancedHost>(
  config: BalancerConfig,
  level: PriorityLevel<H>,
  panic: boolean,
  random: Random,
): Level<H> {
  if (panic) {
    // In panic Envoy looks at localities only where the ring is made of them.
    const groups =
      config.policy.kind === "ring_hash"
        ? groupsOf(config, level, () => true)
        : [{ hosts: level.localities.flatMap((locality) => locality.hosts), weight: 1 }];
    const picker = buildPicker(config, groups, random);
    return { healthy: picker, degraded: picker, panic };
  }
  const healthy = buildPicker(config, groupsOf(config, level, isHealthy), random);
  // Envoy's ring holds healthy hosts only.
  const degraded =
    config.policy.kind === "ring_hash" ? healthy : buildPicker(config, groupsOf(config, level, isDegraded), random);
  return { healthy, degraded, panic };
}

const isHealthy = (host: BalancedHost): boolean => host.healthy;
const isDegraded = (host: BalancedHost): boolean => host.degraded;

/** One group for each weighted locality, or one of all hosts where localities have no weights to go by. */
function groupsOf<H extends BalancedHost>(
  config: BalancerConfig,
  level: PriorityLevel<H>,
  accept: (host: H) => boolean,
): HostGroup<H>[] {
  const weighted = config.common.localityWeighted && level.localities.some((locality) => locality.weight !== null);
  if (!weighted) return [{ hosts: level.localities.flatMap((locality) => locality.hosts.filter(accept)), weight: 1 }];
  const groups: HostGroup<H>[] = [];
  for (const locality of level.localities) {
    const hosts = locality.hosts.filter(accept);
    if (hosts.length === 0 || locality.weight === null || locality.weight === 0) continue;
    // A locality keeps its whole share until fewer than 1/overprovisioning of its hosts are left.
    const available = ((config.overprovisioningFactor / 100) * hosts.length) / locality.hosts.length;
    // Envoy's ring takes the weight as it is.
    const share = config.policy.kind === "ring_hash" ? 1 : Math.min(1, available);
    groups.push({ hosts, weight: locality.weight * share });
  }
  return groups;
}

function buildPicker<H extends BalancedHost>(
  config: BalancerConfig,
  groups: readonly HostGroup<H>[],
  random: Random,
): HostPicker<H> {
  const policy = config.policy;
  if (policy.kind === "ring_hash") return new RingHashPicker(groups, policy, random);
  const pickers = groups.map((group) => flatPicker(policy, group.hosts, random));
  const first = pickers[0];
  if (first === undefined) return new RandomPicker([], random);
  if (pickers.length === 1) return first;
  return new LocalityPicker(
    pickers,
    groups.map((group) => group.weight),
  );
}

function flatPicker<H extends BalancedHost>(
  policy: Exclude<Cluster["lbPolicy"], { kind: "ring_hash" }>,
  hosts: readonly H[],
  random: Random,
): HostPicker<H> {
  switch (policy.kind) {
    case "round_robin":
      return new RoundRobinPicker(hosts, random);
    case "least_request":
      return new LeastRequestPicker(hosts, policy.choiceCount, random);
    // A cluster that is its own balancer is not asked here.
    case "cluster_provided":
    case "random":
      return new RandomPicker(hosts, random);
  }
}
