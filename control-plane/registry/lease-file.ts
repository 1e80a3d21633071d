/**
 * Registrations on disk, so that a control plane that starts again knows who was there: sidecars come back one by one,
 * and until they have, none may vanish from the others.
 */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import path from "node:path";
import type { Clock, Timer } from "../../core/clock.ts";
import { codeOf, messageOf } from "../../core/errors.ts";
import type { Logger } from "../../core/log.ts";
import type { Workload } from "../mesh/workload.ts";

/** What is kept of a registration. Times are Unix ms. */
export interface StoredRegistration {
  readonly workload: Workload;
  readonly servicePort: number;
  /** Whether peers were being sent there. */
  readonly serving: boolean;
  /** When it left; null while it had not. */
  readonly departedAt: number | null;
}

const VERSION = 1;
/** A burst of registrations is written once. */
const WRITE_DELAY_MS = 50;

export class LeaseFile {
  readonly #file: string;
  readonly #clock: Clock;
  readonly #log: Logger;
  #timer: Timer | null = null;
  #snapshot: (() => readonly StoredRegistration[]) | null = null;

  constructor(stateDir: string, clock: Clock, log: Logger) {
    this.#file = path.join(stateDir, "registrations.json");
    this.#clock = clock;
    this.#log = log;
  }

  /** What was written last; nothing where there is no file or it is damaged (which is logged). */
  read(): readonly StoredRegistration[] {
    try {
      const value: unknown = JSON.parse(readFileSync(this.#file, "utf8"));
      if (isStored(value)) return value.registrations.map(completed);
      this.#log.warn({ file: this.#file }, "registrations of the last run are not understood: starting without them");
    } catch (error) {
      if (codeOf(error) !== "ENOENT") {
        this.#log.warn({ file: this.#file, error: messageOf(error) }, "cannot read the registrations of the last run");
      }
    }
    return [];
  }

  /** Writes what `snapshot` gives, a moment later. */
  writeSoon(snapshot: () => readonly StoredRegistration[]): void {
    this.#snapshot = snapshot;
    this.#timer ??= this.#clock.after(WRITE_DELAY_MS, () => this.flush());
  }

  /** Writes now what is due. A failure is logged: the mesh goes on without. */
  flush(): void {
    this.#timer?.cancel();
    this.#timer = null;
    if (this.#snapshot === null) return;
    const text = JSON.stringify({ version: VERSION, registrations: this.#snapshot() });
    this.#snapshot = null;
    try {
      mkdirSync(path.dirname(this.#file), { recursive: true });
      const temporary = `${this.#file}.new`;
      writeFileSync(temporary, text, { mode: 0o600 });
      renameSync(temporary, this.#file);
    } catch (error) {
      this.#log.warn({ file: this.#file, error: messageOf(error) }, "cannot write the registrations");
    }
  }
}

/** Registrations of an older version lack what it did not know. */
function completed(stored: StoredRegistration): StoredRegistration {
  return {
    ...stored,
    workload: {
      interception: null,
      addresses: [],
      probes: [],
      pod: null,
      namedPorts: {},
      ...(stored.workload as Partial<Workload>),
    } as Workload,
  };
}

function isStored(value: unknown): value is { readonly registrations: readonly StoredRegistration[] } {
  const { version, registrations } = (value ?? {}) as { version?: unknown; registrations?: unknown };
  return (
    version === VERSION &&
    Array.isArray(registrations) &&
    registrations.every((entry: Partial<StoredRegistration> | null) => typeof entry?.workload?.id === "string")
  );
}
