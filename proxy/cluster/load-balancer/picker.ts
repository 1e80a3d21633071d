/** The contract of balancing policies: each picks one of a fixed set of hosts; a new set makes a new picker. */

/** What a balancer needs to know of a host. */
export interface BalancedHost {
  /** 1 or more. */
  readonly weight: number;
  readonly activeRequests: number;
  readonly healthy: boolean;
  readonly degraded: boolean;
  /** What ring hashing places on the ring: the address. */
  readonly key: string;
}

export interface HostPicker<H extends BalancedHost> {
  /**
   * The host for one request, null if there is none. `hash` is the request's, null if its route has no hash policy.
   * `attempt` counts from 0 how often a host was picked for the same request and refused.
   */
  pick(hash: bigint | null, attempt: number): H | null;
}

/** Hosts of one locality with the locality's share, or all hosts with share 1 where localities do not count. */
export interface HostGroup<H extends BalancedHost> {
  readonly hosts: readonly H[];
  /** Relative to the other groups; more than 0. */
  readonly weight: number;
}

/** Whether every host has the same weight, so that weights need not be looked at. */
export function equalWeights(hosts: readonly BalancedHost[]): boolean {
  const first = hosts[0]?.weight;
  return hosts.every((host) => host.weight === first);
}
