/**
 * The state of the mesh over time. What did not change keeps its identity from one state to the next, so that readers
 * compare with `===`; a workload that comes or goes costs as much as the services that it belongs to.
 */
import { isDeepStrictEqual } from "node:util";
import { SERVICE_NAME_LABEL } from "../manifest/endpoint-slice.ts";
import type { Manifest, ManifestOf } from "../manifest/parse.ts";
import { buildState } from "./build.ts";
import { isMember } from "./membership.ts";
import { undeclared } from "./services.ts";
import { standingBehind } from "./standing.ts";
import { type MeshEndpoint, type MeshState, type ServiceState, serviceKey } from "./state.ts";
import type { Registration, Workload } from "./workload.ts";

export class Mesh {
  readonly #trustDomain: string;
  #objects: ReadonlyMap<string, Manifest> = new Map();
  readonly #registrations = new Map<string, Registration>();
  #state: MeshState;

  constructor(trustDomain: string) {
    this.#trustDomain = trustDomain;
    this.#state = buildState({ trustDomain, objects: new Map(), registrations: [] });
  }

  get state(): MeshState {
    return this.#state;
  }

  setManifests(objects: ReadonlyMap<string, Manifest>): void {
    this.#objects = objects;
    this.#rebuild();
  }

  /** `registration` undefined: the workload is forgotten. */
  setRegistration(id: string, registration: Registration | undefined): void {
    const before = this.#registrations.get(id);
    if (registration) this.#registrations.set(id, registration);
    else this.#registrations.delete(id);
    const touched = [before?.workload, registration?.workload].filter((workload) => workload !== undefined);
    if (touched.every((workload) => this.#isDefined(workload))) this.#restand(touched);
    else this.#rebuild();
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

  /** Looks again at who stands behind the services of these workloads, and at nothing else. */
  #restand(workloads: readonly Workload[]): void {
    const services = new Map(this.#state.services);
    let changed = false;
    for (const [key, service] of this.#state.services) {
      const { definition } = service;
      if (!workloads.some((workload) => isMember(definition, workload))) continue;
      const members = [...this.#registrations.values()].filter(({ workload }) => isMember(definition, workload));
      const next = shared(service, {
        ...service,
        ...standingBehind(definition, members, this.#slicesOf(key), {
          trustDomain: this.#trustDomain,
          mtls: this.#state.mtls,
          definitionOf: (service) => this.#state.services.get(service)?.definition,
        }),
      });
      if (next === service) continue;
      services.set(key, next);
      changed = true;
    }
    if (changed) this.#state = { ...this.#state, services };
  }

  #slicesOf(key: string): readonly ManifestOf<"EndpointSlice">[] {
    return [...this.#objects.values()].filter(
      (object) =>
        object.kind === "EndpointSlice" &&
        serviceKey(object.value.metadata.namespace, object.value.metadata.labels[SERVICE_NAME_LABEL] ?? "") === key,
    ) as ManifestOf<"EndpointSlice">[];
  }

  #rebuild(): void {
    const before = this.#state;
    const after = buildState({
      trustDomain: this.#trustDomain,
      objects: this.#objects,
      registrations: [...this.#registrations.values()],
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
