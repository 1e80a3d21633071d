/** EndpointSlices by the Service that they belong to and the pods that they name, so that a change finds whom it concerns. */
import { SERVICE_NAME_LABEL } from "../manifest/endpoint-slice.ts";
import { podKey } from "./cluster.ts";
import type { SliceEndpoint, SliceManifest } from "./slice-endpoints.ts";
import { serviceKey } from "./state.ts";

export class SliceIndex {
  readonly #slices = new Map<string, SliceManifest>();
  readonly #ofService = new Map<string, Map<string, SliceManifest>>();
  /** Keys of slices by pod. */
  readonly #ofPod = new Map<string, Set<string>>();

  /** `slice` undefined: there is none of that key any more. */
  set(key: string, slice: SliceManifest | undefined): void {
    const before = this.#slices.get(key);
    if (before === slice) return;
    if (before) this.#remove(key, before);
    if (!slice) return;
    this.#slices.set(key, slice);
    const service = serviceOfSlice(slice);
    const group = this.#ofService.get(service);
    if (group) group.set(key, slice);
    else this.#ofService.set(service, new Map([[key, slice]]));
    for (const pod of podsOf(slice)) {
      const keys = this.#ofPod.get(pod);
      if (keys) keys.add(key);
      else this.#ofPod.set(pod, new Set([key]));
    }
  }

  clear(): void {
    this.#slices.clear();
    this.#ofService.clear();
    this.#ofPod.clear();
  }

  get(key: string): SliceManifest | undefined {
    return this.#slices.get(key);
  }

  /** The slices of a service (`namespace/name`). */
  ofService(service: string): readonly SliceManifest[] {
    return [...(this.#ofService.get(service)?.values() ?? [])];
  }

  /** The services behind which a pod stands, ready or not. */
  servicesOfPod(pod: string): readonly string[] {
    const services = new Set<string>();
    for (const key of this.#ofPod.get(pod) ?? []) {
      const slice = this.#slices.get(key);
      if (slice) services.add(serviceOfSlice(slice));
    }
    return [...services];
  }

  #remove(key: string, slice: SliceManifest): void {
    this.#slices.delete(key);
    const service = serviceOfSlice(slice);
    const group = this.#ofService.get(service);
    group?.delete(key);
    if (group?.size === 0) this.#ofService.delete(service);
    for (const pod of podsOf(slice)) {
      const keys = this.#ofPod.get(pod);
      keys?.delete(key);
      if (keys?.size === 0) this.#ofPod.delete(pod);
    }
  }
}

/** `namespace/name` of the Service that a slice belongs to. */
export function serviceOfSlice({ value: { metadata } }: SliceManifest): string {
  return serviceKey(metadata.namespace, metadata.labels[SERVICE_NAME_LABEL] ?? "");
}

/** `namespace/name` of the pod whose address an endpoint is; null: it is not said to be a pod's. */
export function podOf(slice: SliceManifest, { targetRef }: SliceEndpoint): string | null {
  if (targetRef === null || targetRef.kind !== "Pod" || targetRef.name === "") return null;
  return podKey(targetRef.namespace === "" ? slice.value.metadata.namespace : targetRef.namespace, targetRef.name);
}

function podsOf(slice: SliceManifest): ReadonlySet<string> {
  return new Set(slice.value.endpoints.map((endpoint) => podOf(slice, endpoint)).filter((pod) => pod !== null));
}
