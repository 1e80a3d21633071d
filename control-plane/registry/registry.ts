/**
 * Who is in the mesh. A workload is there while its sidecar's stream is, and a while longer:
 *
 *     joining ──inbound listener in force──▶ serving ──stream lost──▶ lost ──grace over──▶ departed ──▶ forgotten
 *                                               ▲                      │
 *                                               └───────stream back────┘
 *
 * `restored` (read from disk at start) is like `lost` with a longer grace. `departed` ones have no endpoints; they keep
 * a service's name, port and identities from changing while its last instance restarts.
 */
import { isDeepStrictEqual } from "node:util";
import type { Clock, Timer } from "../../core/clock.ts";
import { type Logger, logger } from "../../core/log.ts";
import type { Registration, Workload } from "../mesh/workload.ts";
import type { LeaseFile, StoredRegistration } from "./lease-file.ts";

export type RegistrationStage = "joining" | "serving" | "lost" | "restored" | "departed";

export interface RegistryOptions {
  readonly clock: Clock;
  /** null: nothing outlives the process. */
  readonly file: LeaseFile | null;
  readonly log?: Logger;
  /** How long a workload whose stream broke stays in its services, ms. */
  readonly graceMs?: number;
  /** How long a workload of the last run has to come back, ms: longer than a sidecar's longest wait to reconnect. */
  readonly leaseMs?: number;
  /** How long a service remembers who stood behind it, ms. */
  readonly departedMs?: number;
}

interface Entry {
  workload: Workload;
  servicePort: number;
  stage: RegistrationStage;
  /** The stream that holds it; null while there is none. */
  holder: object | null;
  departedAt: number | null;
  timer: Timer | null;
}

export interface RegistryView extends Registration {
  readonly stage: RegistrationStage;
}

export class Registry {
  readonly #options: RegistryOptions;
  readonly #log: Logger;
  readonly #entries = new Map<string, Entry>();
  readonly #listeners = new Set<(id: string) => void>();
  #closed = false;

  /** Takes up the registrations of the last run, if there is a file. */
  constructor(options: RegistryOptions) {
    this.#options = options;
    this.#log = options.log ?? logger("registry");
    for (const stored of options.file?.read() ?? []) this.#restore(stored);
  }

  /** In order of registration. */
  views(): readonly RegistryView[] {
    return [...this.#entries.values()].map((entry) => ({ ...toRegistration(entry), stage: entry.stage }));
  }

  /** undefined: unknown. */
  get(id: string): Registration | undefined {
    const entry = this.#entries.get(id);
    return entry && toRegistration(entry);
  }

  /** Calls back with the id of each registration that changed. */
  subscribe(listener: (id: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** A sidecar's stream began. One that comes back within its grace goes on as if it had never been away. */
  join(workload: Workload, holder: object): void {
    this.#takeOver(workload);
    const known = this.#entries.get(workload.id);
    if (known) {
      known.timer?.cancel();
      known.timer = null;
      known.holder = holder;
      known.departedAt = null;
      const same = isDeepStrictEqual(known.workload, workload);
      known.workload = workload;
      const back = known.stage === "lost" || known.stage === "restored" || known.stage === "serving";
      known.stage = same && back ? "serving" : "joining";
    } else {
      this.#entries.set(workload.id, {
        workload,
        servicePort: this.#servicePort(workload),
        stage: "joining",
        holder,
        departedAt: null,
        timer: null,
      });
      this.#log.info(
        { node: workload.id, service: workload.service, namespace: workload.namespace },
        "workload joined",
      );
    }
    this.#changed(workload.id);
  }

  /** More, or something else, is known of a registered workload. */
  describe(workload: Workload): void {
    const entry = this.#entries.get(workload.id);
    if (!entry) return;
    entry.workload = workload;
    this.#changed(workload.id);
  }

  /** The sidecar has taken its inbound listener: peers may come. */
  ready(id: string, holder: object): void {
    const entry = this.#entries.get(id);
    if (entry?.holder !== holder || entry.stage !== "joining") return;
    entry.stage = "serving";
    this.#changed(id);
  }

  /** The stream ended: `clean` where the sidecar said so itself, else it may only have lost its connection. */
  leave(id: string, holder: object, clean: boolean): void {
    const entry = this.#entries.get(id);
    if (this.#closed || entry?.holder !== holder) return;
    entry.holder = null;
    if (clean || entry.stage !== "serving") this.#depart(id, entry);
    else {
      entry.stage = "lost";
      entry.timer = this.#options.clock.after(this.#options.graceMs ?? 3000, () => this.#depart(id, entry));
      this.#changed(id);
    }
  }

  /** From now on streams that end are our doing, not their sidecars'. Writes what is to be known at the next start. */
  close(): void {
    this.#closed = true;
    for (const entry of this.#entries.values()) entry.timer?.cancel();
    this.#options.file?.flush();
  }

  #restore({ workload, servicePort, serving, departedAt }: StoredRegistration): void {
    const { clock } = this.#options;
    const entry: Entry = { workload, servicePort, stage: "restored", holder: null, departedAt, timer: null };
    this.#entries.set(workload.id, entry);
    if (departedAt !== null) {
      entry.stage = "departed";
      const left = departedAt + this.#departedMs - clock.wallTime();
      entry.timer = clock.after(Math.max(0, left), () => this.#forget(workload.id, entry));
    } else {
      // One that had not become ready is not to be sent calls now either.
      if (!serving) entry.stage = "joining";
      entry.timer = clock.after(this.#options.leaseMs ?? 60_000, () => this.#depart(workload.id, entry));
    }
  }

  #depart(id: string, entry: Entry): void {
    if (this.#entries.get(id) !== entry || entry.stage === "departed") return;
    const { clock } = this.#options;
    entry.timer?.cancel();
    entry.stage = "departed";
    entry.holder = null;
    entry.departedAt = clock.wallTime();
    entry.timer = clock.after(this.#departedMs, () => this.#forget(id, entry));
    this.#log.info({ node: id, service: entry.workload.service }, "workload left");
    this.#changed(id);
  }

  #forget(id: string, entry: Entry): void {
    if (this.#entries.get(id) !== entry) return;
    this.#entries.delete(id);
    this.#changed(id);
  }

  /** Whoever has an address now is its only holder: a workload without a stream that had it before is gone. */
  #takeOver(workload: Workload): void {
    for (const [id, entry] of this.#entries) {
      if (id === workload.id || entry.holder !== null || entry.workload.inboundPort !== workload.inboundPort) continue;
      const has = addressesOf(entry.workload);
      if (addressesOf(workload).some((address) => has.includes(address))) this.#depart(id, entry);
    }
  }

  #servicePort(workload: Workload): number {
    for (const { workload: other, servicePort } of this.#entries.values()) {
      if (other.service === workload.service && other.namespace === workload.namespace) return servicePort;
    }
    return workload.appPort;
  }

  get #departedMs(): number {
    return this.#options.departedMs ?? 3_600_000;
  }

  #changed(id: string): void {
    if (this.#closed) return;
    this.#options.file?.writeSoon(() =>
      [...this.#entries.values()].map((entry) => ({
        workload: entry.workload,
        servicePort: entry.servicePort,
        serving: isServing(entry),
        departedAt: entry.departedAt,
      })),
    );
    for (const listener of this.#listeners) listener(id);
  }
}

function addressesOf({ address, addresses }: Workload): readonly string[] {
  return [address, ...addresses];
}

function isServing({ stage }: Entry): boolean {
  return stage === "serving" || stage === "lost" || stage === "restored";
}

function toRegistration(entry: Entry): Registration {
  return { workload: entry.workload, servicePort: entry.servicePort, serving: isServing(entry) };
}
