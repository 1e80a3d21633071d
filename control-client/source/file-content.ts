/** What a discovery file holds, and what of it was handed on: the pure half of `file-source.ts`. */
import { hash } from "node:crypto";
import type { Problem } from "../../core/errors.ts";
import type { ResourceKind, ResourceModels } from "../../xds/resources.ts";
import type { ResourceDecoder } from "../ads/decoder.ts";
import { FACTS, type UpdateOf } from "../resources.ts";

interface Entry<T> {
  readonly name: string;
  /** Of its JSON, so that an unchanged resource is not decoded again. */
  readonly digest: string;
  readonly value: T;
}

export interface LoadResult {
  readonly problems: readonly Problem[];
  /** Names of the resources that were refused, where they could be read. */
  readonly refused: readonly string[];
}

export class FileContent<K extends ResourceKind> {
  readonly #kind: K;
  readonly #decoder: ResourceDecoder;
  #entries = new Map<string, Entry<ResourceModels[K]>>();
  readonly #given = new Map<string, ResourceModels[K]>();
  #version = "";

  constructor(kind: K, decoder: ResourceDecoder) {
    this.#kind = kind;
    this.#decoder = decoder;
  }

  get version(): string {
    return this.#version;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Takes a DiscoveryResponse in JSON form; a refused resource keeps its last good value. */
  load(response: unknown): LoadResult {
    const { version_info, versionInfo, resources = [] } = (response ?? {}) as Readonly<Record<string, unknown>>;
    if (!Array.isArray(resources)) {
      return { problems: [{ path: "resources", message: "expected a list" }], refused: [] };
    }
    const known = new Map([...this.#entries.values()].map((entry) => [entry.digest, entry]));
    const next = new Map<string, Entry<ResourceModels[K]>>();
    const problems: Problem[] = [];
    const refused: string[] = [];
    for (const [index, json] of (resources as unknown[]).entries()) {
      const digest = digestOf(json);
      const entry = known.get(digest) ?? this.#decode(json, digest, index, problems, refused);
      if (!entry) continue;
      if (next.has(entry.name)) {
        problems.push({ path: `resources[${index}]`, message: `${JSON.stringify(entry.name)} comes twice` });
      } else next.set(entry.name, entry);
    }
    for (const name of refused) {
      const last = this.#entries.get(name);
      if (last && !next.has(name)) next.set(name, last);
    }
    this.#entries = next;
    const version = version_info ?? versionInfo;
    this.#version = version === undefined ? digestOf(response).slice(0, 12) : String(version);
    return { problems, refused };
  }

  #decode(
    json: unknown,
    digest: string,
    index: number,
    problems: Problem[],
    refused: string[],
  ): Entry<ResourceModels[K]> | null {
    const decoded = this.#decoder.decodeJson(this.#kind, json);
    if (decoded.ok) return { name: decoded.name, digest, value: decoded.value };
    refused.push(decoded.name);
    const path = `resources[${index}]`;
    problems.push(...decoded.problems.map((p) => ({ ...p, path: p.path ? `${path}.${p.path}` : path })));
    return null;
  }

  /** What of the wanted names differs from what was handed on before; clusters and listeners are wanted all. */
  hand(wanted: ReadonlySet<string>): UpdateOf<K> {
    const { wildcard } = FACTS[this.#kind];
    const upserts = new Map<string, ResourceModels[K]>();
    for (const [name, { value }] of this.#entries) {
      if ((wildcard || wanted.has(name)) && this.#given.get(name) !== value) upserts.set(name, value);
    }
    const removed: string[] = [];
    for (const name of [...this.#given.keys()]) {
      if (wildcard ? this.#entries.has(name) : wanted.has(name)) continue;
      this.#given.delete(name);
      // Absence from a file of endpoints, routes or secrets is not removal (as in a State-of-the-World response).
      if (wildcard) removed.push(name);
    }
    for (const [name, value] of upserts) this.#given.set(name, value);
    return { kind: this.#kind, version: this.#version, upserts, removed };
  }
}

function digestOf(json: unknown): string {
  return hash("sha256", JSON.stringify(json) ?? "", "base64url");
}
