/** The names of the mesh's services, as Kubernetes has them, and the addresses that the sidecar knows them by. */
import type { Address } from "../../model/address.ts";
import type { Listener } from "../../model/listener.ts";

/** Addresses by name, in lower case and without a final dot. */
export type ServiceNames = ReadonlyMap<string, readonly string[]>;

const ANY_ADDRESS = ["0.0.0.0", "::"];

/**
 * Names of all services that have an address of their own; those of `namespace` by their bare name, too. A service without
 * (a headless one) has no name here.
 */
export function serviceNames(listeners: Iterable<Listener>, namespace: string): ServiceNames {
  const names = new Map<string, Set<string>>();
  for (const { address, additionalAddresses = [], outrigger } of listeners) {
    if (!outrigger?.service) continue;
    const { service } = outrigger;
    const full = `${service.name}.${service.namespace}`;
    const own = service.namespace === namespace ? [service.name] : [];
    for (const name of [...own, full, `${full}.svc`, `${full}.svc.cluster.local`]) {
      const known = names.get(name) ?? new Set();
      for (const host of [address, ...additionalAddresses].flatMap(hostOf)) known.add(host);
      names.set(name, known);
    }
  }
  return new Map([...names].filter(([, hosts]) => hosts.size > 0).map(([name, hosts]) => [name, [...hosts].sort()]));
}

function hostOf(address: Address): readonly string[] {
  return address.kind === "tcp" && !ANY_ADDRESS.includes(address.host) ? [address.host] : [];
}
