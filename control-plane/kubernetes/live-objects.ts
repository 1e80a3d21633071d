/** The cluster's manifests that are in force, older first, and those that are not as they are written. */
import type { ManifestSet, Rejection } from "../manifest/merge.ts";
import type { Manifest } from "../manifest/parse.ts";
import { type ManifestEntry, ORIGIN } from "./objects/manifest.ts";

export class LiveObjects {
  #objects = new Map<string, Manifest>();
  readonly #createdAt = new Map<string, number>();
  readonly #rejections = new Map<string, Rejection>();
  #unordered = false;
  #rejectionsChanged = false;

  /** Whether there are other rejections than were given out last. */
  get rejectionsChanged(): boolean {
    return this.#rejectionsChanged;
  }

  /** `entry` undefined: the object is gone. Gives whether another manifest is in force now. */
  set(key: string, entry: ManifestEntry | undefined): boolean {
    this.#setRejection(key, entry);
    const before = this.#objects.get(key);
    const manifest = entry?.manifest ?? undefined;
    if (before === manifest) return false;
    if (manifest && entry) {
      this.#objects.set(key, manifest);
      this.#createdAt.set(key, entry.createdAt);
    } else {
      this.#objects.delete(key);
      this.#createdAt.delete(key);
    }
    // Who is older does not matter among slices, and they are what changes most.
    this.#unordered ||= manifest !== undefined && manifest.kind !== "EndpointSlice";
    return true;
  }

  /** All that is in force: the same map as the last time, edited, where nothing but slices came. */
  give(): ManifestSet {
    if (this.#unordered) {
      const age = (key: string): number => this.#createdAt.get(key) ?? 0;
      // Gateway API: of two that are of one age, the first by name.
      this.#objects = new Map([...this.#objects].sort(([a], [b]) => age(a) - age(b) || (a < b ? -1 : 1)));
      this.#unordered = false;
    }
    this.#rejectionsChanged = false;
    return { objects: this.#objects, rejections: [...this.#rejections.values()] };
  }

  #setRejection(key: string, entry: ManifestEntry | undefined): void {
    if (!entry || entry.problems.length === 0) {
      if (this.#rejections.delete(key)) this.#rejectionsChanged = true;
      return;
    }
    if (this.#rejections.get(key)?.problems === entry.problems) return;
    const inForce = entry.manifest === null ? "nothing" : "last good version";
    this.#rejections.set(key, { file: ORIGIN, key, problems: entry.problems, inForce });
    this.#rejectionsChanged = true;
  }
}
