/** Reads a directory of manifests once, for a look at what is wrong with it before it is applied. */
import type { Clock } from "../core/clock.ts";
import type { Problem } from "../core/errors.ts";
import type { Logger } from "../core/log.ts";
import { DirectorySource } from "./directory.ts";
import { NO_MANIFESTS } from "./manifest/merge.ts";
import { buildState } from "./mesh/build.ts";
import type { Finding } from "./mesh/state.ts";

export interface ManifestVerdict {
  /** Why documents would be refused; empty: none would be. */
  readonly problems: readonly Problem[];
  /** What is well-formed and yet not as its author meant, as far as manifests alone can tell. */
  readonly findings: readonly Finding[];
  readonly objects: number;
}

/** What is found is the caller's to tell. */
const SILENT: Logger = { debug() {}, info() {}, warn() {}, error() {} };

/** Rejects with a `UserError` when the directory can't be read. */
export async function validateManifests(
  directory: string,
  trustDomain: string,
  clock: Clock,
): Promise<ManifestVerdict> {
  const source = new DirectorySource({ directory, clock, log: SILENT });
  try {
    await source.start();
    const { objects, rejections } = source.content.get()?.manifests ?? NO_MANIFESTS;
    const { findings } = buildState({ trustDomain, objects, registrations: [] });
    return { problems: rejections.flatMap(({ problems }) => problems), findings, objects: objects.size };
  } finally {
    await source.close();
  }
}
