/** The objects whose status is written, each with how its writes went, and which of them may need another one. */
import { isDeepStrictEqual } from "node:util";
import type { ManifestKind } from "../../manifest/kinds.ts";
import type { Finding } from "../../mesh/state.ts";
import type { KubernetesSource } from "../source.ts";
import { STATUS_KINDS } from "./changes.ts";
import type { StatusedEntry } from "./reported.ts";

export interface Subject {
  readonly kind: ManifestKind;
  /** `shop/orders` */
  readonly name: string;
  statused: StatusedEntry;
  findings: readonly Finding[];
  /** In a row. */
  failures: number;
  /** Monotonic ms. */
  notBefore: number;
  writing: boolean;
  /** The version that was written to last: there is nothing to say of it until its successor was read. */
  writtenTo: string;
  /** What was written last, without times; "": nothing. */
  said: string;
  saidAt: number;
  /** How often in a row it did not stand there any more when it was looked at again. */
  undone: number;
  /** Whether it has waited for that. */
  waited: boolean;
}

const NONE: readonly Finding[] = [];

const FRESH = {
  failures: 0,
  notBefore: 0,
  writing: false,
  writtenTo: "",
  said: "",
  saidAt: 0,
  undone: 0,
  waited: false,
};

export class Subjects {
  readonly #all = new Map<string, Subject>();
  /** Those that may need another status, by key. */
  readonly #due = new Map<string, Subject>();
  #findings: readonly Finding[] = [];
  /** The same by object. */
  #found: ReadonlyMap<string, readonly Finding[]> = new Map();

  /** Finds what has changed since the last look, by identity where nothing has. */
  lookAt(source: Pick<KubernetesSource, "entries">, findings: readonly Finding[]): void {
    if (findings !== this.#findings) {
      this.#findings = findings;
      this.#found = Map.groupBy(findings, ({ key }) => key);
    }
    const gone = new Set(this.#all.keys());
    for (const kind of STATUS_KINDS) {
      for (const statused of source.entries(kind)) {
        gone.delete(statused.entry.key);
        this.#take(kind, statused, this.#found.get(statused.entry.key) ?? NONE);
      }
    }
    for (const key of gone) {
      this.#all.delete(key);
      this.#due.delete(key);
    }
  }

  /** Those that are due and not being written; those that have failed come after those that have not. */
  *inOrder(): Iterable<Subject> {
    for (const failed of [false, true]) {
      for (const subject of this.#due.values()) {
        if (!subject.writing && subject.failures > 0 === failed) yield subject;
      }
    }
  }

  /** There is nothing to write of it before it changes. */
  settle(subject: Subject): void {
    this.#due.delete(subject.statused.entry.key);
    subject.failures = 0;
  }

  #take(kind: ManifestKind, statused: StatusedEntry, findings: readonly Finding[]): void {
    const { key, generation } = statused.entry;
    const known = this.#all.get(key);
    const same = known?.findings === findings || isDeepStrictEqual(known?.findings, findings);
    if (known?.statused === statused && same) return;
    // What was refused may be taken as it is now.
    if (known && known.statused.entry.generation !== generation) known.failures = known.notBefore = 0;
    const subject = known ?? { kind, name: key.slice(key.indexOf("/") + 1), statused, findings, ...FRESH };
    subject.statused = statused;
    subject.findings = findings;
    this.#all.set(key, subject);
    this.#due.set(key, subject);
  }
}
