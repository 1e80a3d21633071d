/**
 * The last good dynamic configuration on disk, so that a sidecar can start while its control plane is down. Written
 * whole or not at all, for the owner's eyes only; what is not exactly ours and intact is ignored with a warning.
 */
import { createHash, hash } from "node:crypto";
import { mkdir, open, readFile, rename, rm } from "node:fs/promises";
import path from "node:path";
import type { Clock } from "../core/clock.ts";
import { codeOf, messageOf } from "../core/errors.ts";
import type { Logger } from "../core/log.ts";
import { Pace } from "../core/slices.ts";
import { deepFreeze, type Snapshot } from "../model/snapshot.ts";
import { withoutPrivateKeys } from "./private-keys.ts";

const FORMAT = "outrigger-last-good";
/** Grows whenever a model type changes, so that a file of another shape is not taken for one of ours. */
const VERSION = 1;

export interface LastGoodOptions {
  readonly file: string;
  /** Whose configuration it is (the node's id): a file of another owner is not used. */
  readonly owner: string;
  /** Outrigger's version: the file of another one may have another shape. */
  readonly build: string;
  /** Whether private keys that came with the configuration go to disk too. */
  readonly includePrivateKeys: boolean;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface LastGood {
  readonly snapshot: Snapshot;
  /** When it was written, Unix ms. */
  readonly savedAt: number;
}

interface Header {
  readonly format: string;
  readonly version: number;
  readonly build: string;
  readonly owner: string;
  readonly savedAt: number;
}

const KINDS = ["listeners", "routes", "clusters", "endpoints", "secrets"] as const;

export class LastGoodFile {
  readonly #options: LastGoodOptions;
  #warned = false;
  #last: Promise<void> = Promise.resolve();

  constructor(options: LastGoodOptions) {
    this.#options = options;
  }

  /** What was saved, or null if there is nothing usable (which is warned of, unless there is no file at all). */
  async load(): Promise<LastGood | null> {
    const { file, log } = this.#options;
    try {
      return this.#parse(await readFile(file, "utf8"));
    } catch (error) {
      if (codeOf(error) !== "ENOENT")
        log.warn({ file, reason: messageOf(error) }, "ignored the last-good configuration");
      return null;
    }
  }

  /** Replaces the file; resolves when it is on disk. A disk that cannot be written is warned of once. */
  save(snapshot: Snapshot): Promise<void> {
    this.#last = this.#last.then(() => this.#write(snapshot));
    return this.#last;
  }

  #parse(text: string): LastGood {
    const { owner, build } = this.#options;
    const [head = "", digest = "", body = ""] = text.split("\n");
    if (digest !== digestOf(head, body)) throw new Error("it is not intact");
    const header = JSON.parse(head) as Header;
    if (header.format !== FORMAT) throw new Error("it is something else");
    if (header.version !== VERSION || header.build !== build) throw new Error("another version of Outrigger wrote it");
    if (header.owner !== owner) throw new Error(`it belongs to ${JSON.stringify(header.owner)}`);
    const { revision, ...entries } = JSON.parse(body) as { revision: string } & Record<string, [string, unknown][]>;
    const maps = Object.fromEntries(KINDS.map((kind) => [kind, new Map(entries[kind])]));
    return { snapshot: deepFreeze({ revision, ...maps } as unknown as Snapshot), savedAt: header.savedAt };
  }

  async #write(snapshot: Snapshot): Promise<void> {
    const { file, owner, build, clock, log, includePrivateKeys } = this.#options;
    const kept = includePrivateKeys ? snapshot : withoutPrivateKeys(snapshot);
    const header: Header = { format: FORMAT, version: VERSION, build, owner, savedAt: clock.wallTime() };
    const head = JSON.stringify(header);
    const digest = createHash("sha256").update(`${head}\n`);
    const body: string[] = [];
    const pace = new Pace(clock);
    for (const text of bodyOf(kept)) {
      digest.update(text);
      body.push(text);
      if (pace.due) await pace.rest();
    }
    try {
      await writeWhole(file, [`${head}\n${digest.digest("hex")}\n`, ...body, "\n"]);
      this.#warned = false;
    } catch (error) {
      if (this.#warned) return;
      this.#warned = true;
      log.warn({ file, reason: messageOf(error) }, "cannot save the last-good configuration: going on without");
    }
  }
}

/** The snapshot as JSON, resource by resource: of a big mesh it is tens of megabytes. */
function* bodyOf(snapshot: Snapshot): Generator<string, void> {
  yield `{"revision":${JSON.stringify(snapshot.revision)}`;
  for (const kind of KINDS) {
    yield `,"${kind}":[`;
    let separator = "";
    for (const entry of snapshot[kind]) {
      yield separator + JSON.stringify(entry);
      separator = ",";
    }
    yield "]";
  }
  yield "}";
}

function digestOf(head: string, body: string): string {
  return hash("sha256", `${head}\n${body}`, "hex");
}

/** How much is written at once, characters. */
const CHUNK = 1 << 18;

async function writeWhole(file: string, content: readonly string[]): Promise<void> {
  const directory = path.dirname(file);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const temporary = `${file}.${process.pid}.new`;
  try {
    // Left over from a crash, perhaps with other rights: "wx" must make it anew.
    await rm(temporary, { force: true });
    const handle = await open(temporary, "wx", 0o600);
    try {
      await handle.writeFile(inChunks(content));
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, file);
    await syncDirectory(directory);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {});
    throw error;
  }
}

function* inChunks(content: readonly string[]): Generator<string, void> {
  let chunk = "";
  for (const text of content) {
    chunk += text;
    if (chunk.length < CHUNK) continue;
    yield chunk;
    chunk = "";
  }
  yield chunk;
}

/** Without this a power cut could undo the rename. */
async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
