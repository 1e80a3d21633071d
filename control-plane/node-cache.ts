/** The resources that one sidecar has of its own: its listeners and the cluster of its application. */

import type { ResourceKind, ResourceModels } from "../xds/resources.ts";
import type { AccessPolicyManifest } from "./manifest/access-policy.ts";
import type { PortProtocol } from "./manifest/port-protocol.ts";
import { applicationProtocol } from "./mesh/build.ts";
import type { MeshState } from "./mesh/state.ts";
import type { Workload } from "./mesh/workload.ts";
import type { EncodedResource } from "./resource.ts";
import { policiesFor } from "./translate/access.ts";
import { allocateSlots, slotCount } from "./translate/addresses.ts";
import { inboundCluster } from "./translate/cluster.ts";
import { httpProxyListener, inboundListener } from "./translate/listener.ts";
import { routeScope } from "./translate/route-table.ts";
import { type PortOfService, portListener } from "./translate/translate.ts";

export type Encode = <K extends ResourceKind>(kind: K, name: string, value: ResourceModels[K]) => EncodedResource;

/** What a port's listener was made from. */
interface ListenerInputs {
  readonly definition: PortOfService["service"]["definition"];
  readonly port: PortOfService["port"];
  readonly scope: string | null;
  readonly slot: number;
}

export class NodeCache {
  readonly workload: Workload;
  /** Service ports that the sidecar's address range had no room for. */
  unplaced = 0;
  readonly #encode: Encode;
  readonly #listeners = new Map<string, EncodedResource>();
  readonly #clusters = new Map<string, EncodedResource>();
  readonly #inputs = new Map<string, ListenerInputs>();
  #ports: ReadonlyMap<string, PortOfService> | null = null;
  #policies: readonly AccessPolicyManifest[] | null = null;
  #protocol: PortProtocol | null = null;

  constructor(workload: Workload, encode: Encode) {
    this.workload = workload;
    this.#encode = encode;
  }

  lookup(kind: ResourceKind, name: string): EncodedResource | undefined {
    return this.#of(kind)?.get(name);
  }

  names(kind: ResourceKind): Iterable<string> {
    return this.#of(kind)?.keys() ?? [];
  }

  #of(kind: ResourceKind): ReadonlyMap<string, EncodedResource> | null {
    return kind === "listener" ? this.#listeners : kind === "cluster" ? this.#clusters : null;
  }

  /** Follows the mesh from `before` (null: from nothing) to `state`; gives what changed. */
  update(
    state: MeshState,
    ports: ReadonlyMap<string, PortOfService>,
    before: MeshState | null,
  ): readonly (readonly [ResourceKind, string])[] {
    const changed: [ResourceKind, string][] = [];
    const everything = before === null || state.settings !== before.settings;
    const put = (listener: ResourceModels["listener"]): void => {
      const encoded = this.#encode("listener", listener.name, listener);
      if (this.#listeners.get(listener.name)?.version === encoded.version) return;
      this.#listeners.set(listener.name, encoded);
      changed.push(["listener", listener.name]);
    };
    const protocol =
      ports === this.#ports && this.#protocol !== null ? this.#protocol : applicationProtocol(state, this.workload);
    if (protocol !== this.#protocol) {
      const cluster = inboundCluster(this.workload, protocol);
      this.#clusters.set(cluster.name, this.#encode("cluster", cluster.name, cluster));
      changed.push(["cluster", cluster.name]);
    }
    const policies = policiesFor(state, this.workload);
    if (everything || protocol !== this.#protocol || !sameItems(policies, this.#policies)) {
      put(inboundListener(this.workload, protocol, policies, state.trustDomain, state.settings));
      this.#policies = policies;
    }
    this.#protocol = protocol;
    if (everything) put(httpProxyListener(this.workload, state.settings));
    if (everything || ports !== this.#ports) {
      this.#ports = ports;
      const slots = allocateSlots(ports.keys(), slotCount(this.workload.loopback));
      this.unplaced = ports.size - slots.size;
      for (const name of this.#inputs.keys()) {
        if (slots.has(name)) continue;
        this.#inputs.delete(name);
        this.#listeners.delete(name);
        changed.push(["listener", name]);
      }
      for (const [name, of] of ports) {
        const slot = slots.get(name);
        if (slot === undefined) continue;
        const inputs: ListenerInputs = {
          definition: of.service.definition,
          port: of.port,
          scope: routeScope(of.service, this.workload.namespace),
          slot,
        };
        const known = this.#inputs.get(name);
        if (!everything && known && sameInputs(known, inputs)) continue;
        this.#inputs.set(name, inputs);
        put(portListener(state, this.workload, of, inputs.slot));
      }
    }
    return changed;
  }
}

function sameInputs(a: ListenerInputs, b: ListenerInputs): boolean {
  return a.definition === b.definition && a.port === b.port && a.scope === b.scope && a.slot === b.slot;
}

function sameItems(a: readonly unknown[], b: readonly unknown[] | null): boolean {
  return b !== null && a.length === b.length && a.every((item, index) => item === b[index]);
}
