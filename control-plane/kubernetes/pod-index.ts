/** The pods of a cluster by name and by address. */
import { type Pod, podKey } from "../mesh/cluster.ts";

export class PodIndex {
  readonly #pods = new Map<string, Pod>();
  /** Keys of pods by address: those with the host's network have it in common. */
  readonly #byAddress = new Map<string, Set<string>>();

  /** Edited as pods come and go. */
  get pods(): ReadonlyMap<string, Pod> {
    return this.#pods;
  }

  /** `pod` null: it is gone. */
  set(key: string, pod: Pod | null): void {
    for (const address of this.#pods.get(key)?.addresses ?? []) {
      const keys = this.#byAddress.get(address);
      keys?.delete(key);
      if (keys?.size === 0) this.#byAddress.delete(address);
    }
    if (pod === null) {
      this.#pods.delete(key);
      return;
    }
    this.#pods.set(key, pod);
    for (const address of pod.addresses) {
      const keys = this.#byAddress.get(address);
      if (keys) keys.add(key);
      else this.#byAddress.set(address, new Set([key]));
    }
  }

  /** The pod in the mesh that has one of these addresses; null: none is known. */
  at(addresses: readonly string[], namespace: string): Pod | null {
    for (const address of addresses) {
      for (const key of this.#byAddress.get(address) ?? []) {
        const pod = this.#pods.get(key);
        if (pod?.mesh && pod.namespace === namespace && podKey(namespace, pod.name) === key) return pod;
      }
    }
    return null;
  }
}
