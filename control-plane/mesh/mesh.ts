/**
 * The state of the mesh over time. What did not change keeps its identity from one state to the next, so that readers
 * compare with `===`; a workload that comes or goes costs as much as the services that it belongs to.
 */
import { isDeepStrictEqual } from "node:util";
import type { Manifest } from "../manifest/parse.ts";
import type { ContentChange, MeshContent } from "../source.ts";
import { buildState } from "./build.ts";
import type { Cluster } from "./cluster.ts";
import { isMember } from "./membership.ts";
import { undeclared } from "./services.ts";
import { SliceIndex, serviceOfSlice } from "./slice-index.ts";
import { type ServiceStanding, standingBehind } from "./standing.ts";
import {
  type MeshEndpoint,
  type MeshState,
  type MtlsPolicies,
  type ServiceDefinition,
  type ServiceState,
  serviceKey,
} from "./state.ts";
import type { Registration, Workload } from "./workload.ts";

export class Mesh {
  readonly #trustDomain: string;
  readonly #meshNamespace: string | null;
  #objects: ReadonlyMap<string, Manifest> = new Map();
  #cluster: Cluster | null = null;
  /** Of the content that is in force; null: it came from no source. */
  #revision: number | null = null;
  readonly #slices = new SliceIndex();
  readonly #registrations = new Map<string, Registration>();
  #state: MeshState;

  /** `meshNamespace`: where alone a policy for the whole mesh may be; null: anywhere. */
  constructor(trustDomain: string, meshNamespace: string | null = null) {
    this.#trustDomain = trustDomain;
    this.#meshNamespace = meshNamespace;
    this.#state = buildState({ trustDomain, objects: new Map(), registrations: [], cluster: null });
  }

  get state(): MeshState {
    return this.#state;
  }

  /** Takes what a source gives; a change of endpoints alone costs as much as the services that it concerns. */
  apply({ revision, manifests, cluster, change }: MeshContent): void {
    const known = change !== null && change.since === this.#revision ? change : null;
    // Until all of it is taken up nothing is known that a change could be added to.
    this.#revision = null;
    this.#objects = manifests.objects;
    this.#cluster = cluster;
    const concerned = known && this.#take(known);
    if (!known || !concerned || known.surroundings) this.#rebuild(null);
    else if (concerned.otherwise) this.#rebuild(concerned.services);
    else this.#restand(concerned.services);
    this.#revision = revision;
  }

  setManifests(objects: ReadonlyMap<string, Manifest>): void {
    this.#revision = null;
    this.#objects = objects;
    this.#rebuild(null);
  }

  /** `registration` undefined: the workload is forgotten. */
  setRegistration(id: string, registration: Registration | undefined): void {
    const before = this.#registrations.get(id);
    if (registration) this.#registrations.set(id, registration);
    else this.#registrations.delete(id);
    if (this.#cluster !== null) return;
    const touched = [before?.workload, registration?.workload].filter((workload) => workload !== undefined);
    if (!touched.every((workload) => this.#isDefined(workload))) this.#rebuild(null);
    else {
      const concerned = [...this.#state.services].filter(([, { definition }]) =>
        touched.some((workload) => isMember(definition, workload)),
      );
      this.#restand(concerned.map(([key]) => key));
    }
  }

  /** Whether the service that a workload names exists whether or not this workload does. */
  #isDefined(workload: Workload): boolean {
    const definition = this.#state.services.get(serviceKey(workload.namespace, workload.service))?.definition;
    if (!definition) return false;
    if (definition.source !== "") return true;
    const first = [...this.#registrations.values()].find(
      (other) => other.workload.service === workload.service && other.workload.namespace === workload.namespace,
    );
    const [port] = definition.ports;
    return first?.servicePort === port?.port && port?.protocol === (first && undeclared(first.workload).protocol);
  }

  /**
   * Takes up changed EndpointSlices and gives the services that they and changed pods are behind. `otherwise`: more has
   * changed than who stands behind these.
   */
  #take({ objects, pods }: ContentChange): { readonly services: ReadonlySet<string>; readonly otherwise: boolean } {
    const services = new Set<string>();
    let otherwise = false;
    for (const key of objects) {
      const object = this.#objects.get(key);
      const before = this.#slices.get(key);
      const after = object?.kind === "EndpointSlice" ? object : undefined;
      otherwise ||= object ? !after : !before;
      for (const slice of [before, after]) if (slice) services.add(serviceOfSlice(slice));
      this.#slices.set(key, after);
    }
    for (const pod of pods) for (const service of this.#slices.servicesOfPod(pod)) services.add(service);
    // A slice without its Service is told as a finding.
    otherwise ||= [...services].some((service) => !this.#state.services.has(service));
    return { services, otherwise };
  }

  /** Looks again at who stands behind these services, and at nothing else. */
  #restand(concerned: Iterable<string>): void {
    const services = new Map(this.#state.services);
    const members = this.#cluster === null ? [...this.#registrations.values()] : [];
    let changed = false;
    for (const key of concerned) {
      const service = services.get(key);
      if (!service) continue;
      const { definition } = service;
      const next = shared(service, {
        ...service,
        ...standingBehind(
          definition,
          members.filter(({ workload }) => isMember(definition, workload)),
          this.#slices.ofService(key),
          {
            trustDomain: this.#trustDomain,
            mtls: this.#state.mtls,
            definitionOf: (other) => this.#state.services.get(other)?.definition,
            cluster: this.#cluster,
          },
        ),
      });
      if (next === service) continue;
      services.set(key, next);
      changed = true;
    }
    if (changed) this.#state = { ...this.#state, services };
  }

  /** Who stood behind a service, if nothing that decides it has changed. */
  #standing(definition: ServiceDefinition, mtls: MtlsPolicies, concerned: ReadonlySet<string>): ServiceStanding | null {
    const key = serviceKey(definition.namespace, definition.name);
    const before = this.#state.services.get(key);
    // Which workloads a policy for single services is for is up to these services.
    const settled = mtls.services.length === 0 && isDeepStrictEqual(mtls, this.#state.mtls);
    if (!before || !settled || concerned.has(key) || !isDeepStrictEqual(definition, before.definition)) return null;
    return { peers: before.peers, endpoints: before.endpoints };
  }

  /** `concerned`: the services behind which others stand than before; null: any may be. */
  #rebuild(concerned: ReadonlySet<string> | null): void {
    const before = this.#state;
    if (concerned === null) {
      this.#slices.clear();
      for (const [key, object] of this.#objects) if (object.kind === "EndpointSlice") this.#slices.set(key, object);
    }
    const after = buildState({
      trustDomain: this.#trustDomain,
      meshNamespace: this.#meshNamespace,
      objects: this.#objects,
      registrations: [...this.#registrations.values()],
      cluster: this.#cluster,
      ...(concerned === null ? {} : { standing: (definition, mtls) => this.#standing(definition, mtls, concerned) }),
    });
    const services = new Map<string, ServiceState>();
    for (const [key, service] of after.services) services.set(key, shared(before.services.get(key), service));
    const access = new Map<string, MeshState["access"] extends ReadonlyMap<string, infer V> ? V : never>();
    for (const [key, policies] of after.access) access.set(key, same(before.access.get(key), policies));
    this.#state = {
      ...after,
      services,
      access,
      settings: same(before.settings, after.settings),
      mtls: same(before.mtls, after.mtls),
      reach: same(before.reach, after.reach),
    };
  }
}

/** `next`, with every part that equals `before`'s replaced by that. */
function shared(before: ServiceState | undefined, next: ServiceState): ServiceState {
  if (!before) return next;
  const endpoints = new Map<number, readonly MeshEndpoint[]>();
  for (const [port, list] of next.endpoints) endpoints.set(port, same(before.endpoints.get(port), list));
  const sameEndpoints =
    endpoints.size === before.endpoints.size &&
    [...endpoints].every(([port, list]) => before.endpoints.get(port) === list);
  const result: ServiceState = {
    definition: same(before.definition, next.definition),
    traffic: same(before.traffic, next.traffic),
    routing: same(before.routing, next.routing),
    opaque: same(before.opaque, next.opaque),
    peers: same(before.peers, next.peers),
    endpoints: sameEndpoints ? before.endpoints : endpoints,
  };
  const unchanged = (Object.keys(result) as (keyof ServiceState)[]).every((part) => result[part] === before[part]);
  return unchanged ? before : result;
}

function same<T>(before: T | undefined, next: T): T {
  return before !== undefined && isDeepStrictEqual(before, next) ? before : next;
}
