/**
 * Resources of one kind from a file with a DiscoveryResponse (`path_config_source`), read again whenever something
 * happens to it. Envoy waits for the file to be moved into place; here a half-written one is refused and read again.
 */
import { hash } from "node:crypto";
import { type FSWatcher, watch } from "node:fs";
import { readFile } from "node:fs/promises";
import path from "node:path";
import type { Clock, Timer } from "../../core/clock.ts";
import { messageOf, type Problem } from "../../core/errors.ts";
import { locateProblems, parseText } from "../../xds/document.ts";
import type { ResourceKind } from "../../xds/resources.ts";
import type { ResourceDecoder } from "../ads/decoder.ts";
import type { XdsObserver } from "../observer.ts";
import { FACTS, type ResourceUpdate } from "../resources.ts";
import { FileContent } from "./file-content.ts";
import type { ResourceSource, SourceSink, SourceStatus } from "./source.ts";

/** Several events belong to one change. */
const SETTLE_MS = 50;
/** How often a directory that is not there is looked for. */
const RETRY_MS = 1000;

export interface FileSourceOptions<K extends ResourceKind> {
  readonly kind: K;
  readonly path: string;
  readonly clock: Clock;
  readonly decoder: ResourceDecoder;
  readonly observer: XdsObserver;
  readonly sink: SourceSink;
}

export class FileSource<K extends ResourceKind> implements ResourceSource {
  readonly #o: FileSourceOptions<K>;
  readonly #content: FileContent<K>;
  #wanted: ReadonlySet<string> = new Set();
  /** Digest of the text last taken or refused, "" before the first. */
  #seen = "";
  #loaded = false;
  #watcher: FSWatcher | null = null;
  #timer: Timer | null = null;
  #reading: Promise<void> = Promise.resolve();
  #closed = false;
  #lastError = "not read yet";

  constructor(options: FileSourceOptions<K>) {
    this.#o = options;
    this.#content = new FileContent(options.kind, options.decoder);
  }

  start(): void {
    this.#watch();
    this.#read();
  }

  want(_kind: ResourceKind, names: ReadonlySet<string>): void {
    this.#wanted = names;
    if (this.#loaded && !FACTS[this.#o.kind].wildcard) this.#hand();
  }

  status(): SourceStatus {
    return { connected: this.#lastError === "", target: this.#o.path, server: "", lastError: this.#lastError };
  }

  close(): void {
    this.#closed = true;
    this.#watcher?.close();
    this.#timer?.cancel();
  }

  #watch(): void {
    try {
      // The directory, because a move replaces the file that a watch would be on.
      this.#watcher = watch(path.dirname(this.#o.path), { persistent: false }, () => this.#later(SETTLE_MS));
      this.#watcher.on("error", () => this.#unwatch());
    } catch {
      this.#unwatch();
    }
  }

  #unwatch(): void {
    this.#watcher?.close();
    this.#watcher = null;
    this.#later(RETRY_MS);
  }

  #later(ms: number): void {
    if (this.#timer || this.#closed) return;
    this.#timer = this.#o.clock.after(ms, () => {
      this.#timer = null;
      if (!this.#watcher) this.#watch();
      this.#read();
    });
  }

  /** One after the other, so that an older content never comes after a newer one. */
  #read(): void {
    this.#reading = this.#reading.then(() => this.#readOnce());
  }

  async #readOnce(): Promise<void> {
    let text: string;
    try {
      text = await readFile(this.#o.path, "utf8");
    } catch (error) {
      this.#becomes(messageOf(error));
      return;
    }
    const digest = hash("sha256", text, "hex");
    if (this.#closed || digest === this.#seen) return;
    this.#seen = digest;
    this.#becomes("");
    const { kind, observer } = this.#o;
    const file = { text, file: this.#o.path };
    const parsed = parseText(file);
    if ("problem" in parsed) {
      this.#refuse([...this.#wanted], [parsed.problem]);
      return;
    }
    const { problems, refused } = this.#content.load(parsed.json);
    this.#loaded = true;
    this.#hand();
    if (problems.length > 0) this.#refuse(refused, locateProblems(problems, file));
    else observer.accepted(FACTS[kind].api, this.#content.version, this.#content.size);
  }

  #becomes(lastError: string): void {
    if (this.#closed || lastError === this.#lastError) return;
    this.#lastError = lastError;
    if (lastError === "") this.#o.observer.connected(this.#o.path);
    else this.#o.observer.disconnected(this.#o.path, lastError);
  }

  #refuse(names: readonly string[], problems: readonly Problem[]): void {
    this.#o.observer.rejected(FACTS[this.#o.kind].api, this.#content.version, problems);
    this.#o.sink.refused(this.#o.kind, names, problems);
  }

  #hand(): void {
    this.#o.sink.update(this.#content.hand(this.#wanted) as ResourceUpdate);
  }
}
