/**
 * Manifests from a directory: watched, read again when a file changes, and given out as the latest merged set. Events
 * only say "look again": what holds is always what a scan of the directory finds, so a lost event costs seconds, not
 * correctness.
 */
import { type FSWatcher, watch } from "node:fs";
import { readdir, readFile, stat } from "node:fs/promises";
import path from "node:path";
import type { Clock, Timer } from "../core/clock.ts";
import { codeOf, formatProblem, messageOf, UserError } from "../core/errors.ts";
import { type Logger, logger } from "../core/log.ts";
import { type Watch, WatchCell } from "../core/watch.ts";
import { type ManifestFile, mergeManifests, NO_MANIFESTS } from "./manifest/merge.ts";
import { type ParsedDocument, parseManifests } from "./manifest/parse.ts";
import type { Workload } from "./mesh/workload.ts";
import type { KindReport, MeshContent, MeshSource } from "./source.ts";

export interface DirectoryOptions {
  readonly directory: string;
  readonly clock: Clock;
  readonly log?: Logger;
  /** Quiet time after the last event before the directory is read, ms: editors write in several steps. */
  readonly debounceMs?: number;
  /** How often the directory is looked at without any event, ms (network file systems give none). */
  readonly pollMs?: number;
}

const EXTENSIONS = /\.(ya?ml|json)$/;
const MAX_FILE_BYTES = 4 * 1024 * 1024;
const MAX_DEPTH = 16;
/** Events that never pause hold a scan back for at most so many quiet times. */
const MAX_DEBOUNCE = 5;

interface KnownFile {
  readonly signature: string;
  /** Order of discovery: the lower one is the older file. */
  readonly age: number;
  readonly documents: readonly ParsedDocument[];
}

interface FoundFile {
  readonly name: string;
  readonly signature: string;
  readonly modifiedMs: number;
  readonly bytes: number;
}

export class DirectorySource implements MeshSource {
  readonly #options: DirectoryOptions;
  readonly #log: Logger;
  readonly #cell = new WatchCell<MeshContent>();
  readonly #files = new Map<string, KnownFile>();
  readonly #watchers = new Map<string, FSWatcher>();
  #nextAge = 0;
  #debounce: Timer | null = null;
  /** When the first event came that no scan has followed yet; null: there is none. */
  #eventAt: number | null = null;
  #poll: Timer | null = null;
  #scanning: Promise<void> | null = null;
  #closed = false;
  #reported = new Set<string>();

  constructor(options: DirectoryOptions) {
    this.#options = options;
    this.#log = options.log ?? logger("manifests");
  }

  get content(): Watch<MeshContent> {
    return this.#cell;
  }

  /** Reads the directory and begins to watch it. Rejects with a `UserError` when it can't be read. */
  async start(): Promise<void> {
    try {
      await readdir(this.#options.directory);
    } catch (error) {
      const reason = codeOf(error) === "ENOENT" ? "does not exist" : messageOf(error);
      throw new UserError(`manifest directory ${this.#options.directory}: ${reason}`);
    }
    await this.rescan();
    this.#armPoll();
  }

  /** Reads what changed since the last scan; resolves when the result is given out. */
  async rescan(): Promise<void> {
    // A scan that is under way may have passed the file that just changed: wait for it, then look again.
    while (this.#scanning) await this.#scanning;
    if (this.#closed) return;
    this.#scanning = this.#scan().finally(() => {
      this.#scanning = null;
    });
    await this.#scanning;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#debounce?.cancel();
    this.#poll?.cancel();
    for (const watcher of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
    await this.#scanning;
  }

  report(): readonly KindReport[] {
    return [];
  }

  describe(workload: Workload): Workload {
    return workload;
  }

  async #scan(): Promise<void> {
    const directories: string[] = [];
    const found: FoundFile[] = [];
    await this.#walk("", 0, directories, found);
    this.#watchDirectories(directories);
    let changed = this.#cell.get() === undefined;
    const names = new Set(found.map((file) => file.name));
    for (const name of this.#files.keys()) {
      if (names.has(name)) continue;
      this.#files.delete(name);
      changed = true;
    }
    found.sort((a, b) => a.modifiedMs - b.modifiedMs || (a.name < b.name ? -1 : 1));
    for (const file of found) {
      const known = this.#files.get(file.name);
      if (known?.signature === file.signature) continue;
      const documents = await this.#read(file);
      this.#files.set(file.name, { signature: file.signature, age: known?.age ?? this.#nextAge++, documents });
      changed = true;
    }
    if (changed && !this.#closed) this.#publish();
  }

  async #walk(relative: string, depth: number, directories: string[], found: FoundFile[]): Promise<void> {
    const absolute = path.join(this.#options.directory, relative);
    let entries: string[];
    try {
      entries = await readdir(absolute);
    } catch (error) {
      this.#log.warn({ directory: absolute, error: messageOf(error) }, "cannot read a manifest directory");
      return;
    }
    directories.push(relative);
    for (const entry of entries.sort()) {
      // Editors' swap files, and the hidden halves of a mounted ConfigMap.
      if (entry.startsWith(".")) continue;
      const name = path.posix.join(relative, entry);
      try {
        const info = await stat(path.join(absolute, entry), { bigint: true });
        if (info.isDirectory()) {
          if (depth < MAX_DEPTH) await this.#walk(name, depth + 1, directories, found);
        } else if (info.isFile() && EXTENSIONS.test(entry)) {
          const signature = `${info.mtimeNs}:${info.size}:${info.ino}`;
          found.push({ name, signature, modifiedMs: Number(info.mtimeMs), bytes: Number(info.size) });
        }
      } catch (error) {
        // Gone between listing and looking: the scan that its event brings will see what took its place.
        if (codeOf(error) !== "ENOENT")
          this.#log.warn({ file: name, error: messageOf(error) }, "cannot look at a file");
      }
    }
  }

  async #read(file: FoundFile): Promise<readonly ParsedDocument[]> {
    const unreadable = (message: string): readonly ParsedDocument[] => [
      { key: null, manifest: null, problems: [{ message, file: file.name }] },
    ];
    if (file.bytes > MAX_FILE_BYTES) return unreadable(`larger than ${MAX_FILE_BYTES} bytes: split it`);
    try {
      return parseManifests(file.name, await readFile(path.join(this.#options.directory, file.name), "utf8"));
    } catch (error) {
      return unreadable(`cannot be read: ${messageOf(error)}`);
    }
  }

  #publish(): void {
    const ordered = [...this.#files].sort(([, a], [, b]) => a.age - b.age);
    const files = ordered.map(([file, { documents }]): ManifestFile => ({ file, documents }));
    const before = this.#cell.get();
    const merged = mergeManifests(files, before?.manifests ?? NO_MANIFESTS);
    const reported = new Set<string>();
    for (const { problems, inForce } of merged.rejections) {
      for (const problem of problems) {
        const text = formatProblem(problem);
        reported.add(text);
        if (!this.#reported.has(text)) this.#log.error({ inForce }, `manifest refused: ${text}`);
      }
    }
    this.#reported = reported;
    this.#log.info({ objects: merged.objects.size, refused: merged.rejections.length }, "manifests read");
    this.#cell.set({ revision: (before?.revision ?? 0) + 1, manifests: merged, cluster: null, change: null });
  }

  #watchDirectories(directories: readonly string[]): void {
    for (const [directory, watcher] of this.#watchers) {
      if (directories.includes(directory)) continue;
      watcher.close();
      this.#watchers.delete(directory);
    }
    for (const directory of directories) {
      if (this.#watchers.has(directory) || this.#closed) continue;
      try {
        const watcher = watch(path.join(this.#options.directory, directory), { persistent: false }, () =>
          this.#lookSoon(),
        );
        watcher.on("error", () => {
          watcher.close();
          this.#watchers.delete(directory);
        });
        this.#watchers.set(directory, watcher);
      } catch (error) {
        // Out of watches, or gone already: polling goes on.
        this.#log.warn({ directory, error: messageOf(error) }, "cannot watch a manifest directory; polling it");
      }
    }
  }

  #lookSoon(): void {
    if (this.#closed) return;
    const { clock, debounceMs = 100 } = this.#options;
    this.#eventAt ??= clock.now();
    const patience = this.#eventAt + MAX_DEBOUNCE * debounceMs - clock.now();
    this.#debounce?.cancel();
    this.#debounce = clock.after(Math.max(0, Math.min(debounceMs, patience)), () => {
      this.#eventAt = null;
      void this.rescan();
    });
  }

  #armPoll(): void {
    if (this.#closed) return;
    this.#poll = this.#options.clock.after(this.#options.pollMs ?? 5000, () => {
      void this.rescan().finally(() => this.#armPoll());
    });
  }
}
