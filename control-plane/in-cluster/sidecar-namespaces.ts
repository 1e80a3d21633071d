/** Which namespaces have to do with the mesh: those that ask for sidecars, and those in which there are some. */
import { isDeepStrictEqual } from "node:util";
import { type Watch, WatchCell } from "../../core/watch.ts";
import type { MeshContent } from "../source.ts";

export class SidecarNamespaces {
  readonly #cell = new WatchCell<ReadonlySet<string>>(new Set());
  #asking: ReadonlySet<string> = new Set();
  /** Namespace by pod with a sidecar, and how many of them each namespace has: a change costs what changed. */
  readonly #pods = new Map<string, string>();
  readonly #counts = new Map<string, number>();

  get names(): Watch<ReadonlySet<string>> {
    return this.#cell;
  }

  /** Namespaces that ask for sidecars, all of them. */
  asking(names: ReadonlySet<string>): void {
    this.#asking = names;
    this.#publish();
  }

  /** Each content, in their order. */
  apply({ cluster, change }: MeshContent): void {
    if (cluster === null) return;
    const changed = change === null ? new Set([...this.#pods.keys(), ...cluster.pods.keys()]) : change.pods;
    for (const name of changed) {
      const pod = cluster.pods.get(name);
      this.#set(name, pod?.mesh ? pod.namespace : undefined);
    }
    if (changed.size > 0) this.#publish();
  }

  #set(pod: string, namespace: string | undefined): void {
    const before = this.#pods.get(pod);
    if (before === namespace) return;
    if (before !== undefined) this.#count(before, -1);
    if (namespace === undefined) this.#pods.delete(pod);
    else {
      this.#pods.set(pod, namespace);
      this.#count(namespace, 1);
    }
  }

  #count(namespace: string, by: number): void {
    const count = (this.#counts.get(namespace) ?? 0) + by;
    if (count === 0) this.#counts.delete(namespace);
    else this.#counts.set(namespace, count);
  }

  #publish(): void {
    const names = new Set([...this.#asking, ...this.#counts.keys()]);
    if (!isDeepStrictEqual(names, this.#cell.get())) this.#cell.set(names);
  }
}
