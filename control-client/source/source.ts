/** Anything that resources come from: an ADS stream, a gRPC service of one kind, a file. */
import type { Problem } from "../../core/errors.ts";
import type { ResourceKind } from "../../xds/resources.ts";
import type { ResourceUpdate } from "../resources.ts";

/** Where a source's findings go. */
export interface SourceSink {
  update(update: ResourceUpdate): void;
  /** An answer was refused, whole or in part; `names` are those of the bad resources, where they could be read. */
  refused(kind: ResourceKind, names: readonly string[], problems: readonly Problem[]): void;
}

export interface SourceStatus {
  readonly connected: boolean;
  /** An address or a file. */
  readonly target: string;
  /** What the server calls itself, "" if it does not. */
  readonly server: string;
  /** Why there is no connection, "" while there is one. */
  readonly lastError: string;
}

export interface ResourceSource {
  start(): void;
  /** Sets the names wanted of a kind (none are needed for clusters and listeners). */
  want(kind: ResourceKind, names: ReadonlySet<string>): void;
  /**
   * Asks for names beside a kind that is fetched as a whole, and lets go of others: aliases of what exists, which comes
   * then, or else names that are told to be removed. A source that has no such means does nothing.
   */
  ask?(kind: ResourceKind, names: readonly string[], dropped: readonly string[]): void;
  status(): SourceStatus;
  close(): void;
}
