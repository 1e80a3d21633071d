/**
 * One set of live objects out of many files: the older of two that claim a name wins, and an object whose newest text
 * is broken keeps its last good version. Pure, so that each rule can be tested without a file system.
 */
import type { Problem } from "../../core/errors.ts";
import { describeKey, type Manifest, type ParsedDocument, positionOf } from "./parse.ts";

/** One file's documents. */
export interface ManifestFile {
  readonly file: string;
  readonly documents: readonly ParsedDocument[];
}

/** A document that is not in force as it is written. */
export interface Rejection {
  readonly file: string;
  /** `HTTPRoute/shop/orders`; null where not even the name could be read. */
  readonly key: string | null;
  readonly problems: readonly Problem[];
  /** What holds in its place. */
  readonly inForce: "nothing" | "last good version" | "older object";
}

export interface ManifestSet {
  /** By key, older first. An object that did not change keeps its identity from one set to the next. */
  readonly objects: ReadonlyMap<string, Manifest>;
  readonly rejections: readonly Rejection[];
}

export const NO_MANIFESTS: ManifestSet = { objects: new Map(), rejections: [] };

/** Merges `files`, older first; `previous` gives the last good versions. */
export function mergeManifests(files: readonly ManifestFile[], previous: ManifestSet): ManifestSet {
  const objects = new Map<string, Manifest>();
  const rejections: Rejection[] = [];
  for (const { file, documents } of files) {
    const named = new Set(documents.map((document) => document.key));
    const kept = [...previous.objects.values()].filter((object) => object.file === file);
    for (const { key, manifest, problems } of documents) {
      if (manifest !== null) {
        const holder = objects.get(manifest.key);
        if (holder === undefined) objects.set(manifest.key, manifest);
        else rejections.push({ file, key, problems: [duplicate(manifest, holder)], inForce: "older object" });
        continue;
      }
      // Without a name, any object of this file that is no longer seen may be the broken one.
      const lastGood = kept.filter((object) => (key === null ? !named.has(object.key) : object.key === key));
      let retained = false;
      for (const object of lastGood) {
        if (objects.has(object.key)) continue;
        objects.set(object.key, object);
        retained = true;
      }
      rejections.push({ file, key, problems, inForce: retained ? "last good version" : "nothing" });
    }
  }
  return { objects, rejections };
}

function duplicate(manifest: Manifest, holder: Manifest): Problem {
  return {
    message: `is already given by ${positionOf(holder)}, which is older and stays in force`,
    resource: describeKey(manifest.key),
    file: manifest.file,
    line: manifest.line,
    column: 1,
  };
}
