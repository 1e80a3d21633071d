/**
 * Which of several control planes leads, by a Lease that they all want to hold (`coordination.k8s.io/v1`; the rules are
 * those of client-go's package `leaderelection`). Whoever holds it renews it; whoever does not takes it once it has seen
 * no renewal for as long as the holder had promised. Only what each of them measures by its own clock counts, never a
 * time that another wrote, and a holder counts from when it asked, others from when they saw the answer: so no two lead
 * at once as long as no clock runs half as fast again as another, however slow the API server is.
 */
import type { Clock, Timer } from "../../core/clock.ts";
import { messageOf } from "../../core/errors.ts";
import type { Logger } from "../../core/log.ts";
import type { Random } from "../../core/random.ts";
import { type ApiCall, ApiError, type Json, type JsonObject, type KubernetesApi } from "./api.ts";
import { callWithin } from "./call-within.ts";
import { firstLease, heldLease, type LeaseRecord, readLease, releasedLease } from "./leader-record.ts";
import { Pause } from "./pause.ts";

export interface ElectionOptions {
  /** `KubernetesApi.call`: an election needs PUT, and to be able to give a call up. */
  readonly call: KubernetesApi["call"];
  /** Of the Lease. */
  readonly namespace: string;
  readonly name: string;
  /** Of this process alone: one that is started again in the same pod has another. */
  readonly identity: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** Called when this one begins to lead; what it returns is called when it does no longer. Neither may throw. */
  readonly onLead: () => () => void;
}

export interface Election {
  /** True only for as long as nobody else can lead, also where the event loop was held up and nothing has ended yet. */
  readonly isLeader: boolean;
  /** The identity that was last seen to hold the Lease; "": none. */
  readonly holder: string;
  /** Ends what `onLead` began, then gives the Lease back, so that another leads at once. Never rejects. */
  close(): Promise<void>;
}

/** client-go's defaults, ms. */
const LEASE_MS = 15_000;
const RENEW_DEADLINE_MS = 10_000;
const RETRY_MS = 2000;
/** Of those who wait, so that they don't all ask at once: up to so many times the wait on top of it. */
const JITTER = 1.2;
/** A call that hangs must leave time for another before the deadline, ms. */
const CALL_MS = RENEW_DEADLINE_MS / 2;
/** Of each call when it ends: the process is to stop, ms. */
const RELEASE_CALL_MS = 2000;

/** Takes part in the election from now on. */
export function startElection(options: ElectionOptions): Election {
  const election = new LeaseElection(options);
  election.start();
  return election;
}

class LeaseElection implements Election {
  readonly #options: ElectionOptions;
  readonly #path: string;
  #record: LeaseRecord | null = null;
  /** When this record was first seen, by our clock. */
  #seenAt = 0;
  /** Until when nobody else can lead after our last renewal. */
  #until = Number.NEGATIVE_INFINITY;
  #deadline: Timer | null = null;
  /** What `onLead` returned; null: it does not lead. */
  #stop: (() => void) | null = null;
  readonly #ended = new AbortController();
  /** Whether a write of ours may stand in the Lease, also one that was not answered. */
  #mayHold = false;
  #running: Promise<void> = Promise.resolve();
  #closing: Promise<void> | null = null;
  readonly #pause: Pause;
  #told = "";

  constructor(options: ElectionOptions) {
    this.#options = options;
    this.#pause = new Pause(options.clock);
    this.#path = `/apis/coordination.k8s.io/v1/namespaces/${options.namespace}/leases`;
  }

  get isLeader(): boolean {
    return this.#stop !== null && this.#options.clock.now() < this.#until;
  }

  get holder(): string {
    return this.#record?.holder ?? "";
  }

  start(): void {
    this.#running = this.#run();
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#end();
    this.#ended.abort(new Error("the election was closed"));
    this.#pause.wake();
    await this.#running;
    if (this.#mayHold) await this.#release();
  }

  async #run(): Promise<void> {
    const { random } = this.#options;
    while (this.#closing === null) {
      let notBeforeMs = 0;
      try {
        await this.#attempt();
        this.#told = "";
      } catch (error) {
        this.#tell(error);
        notBeforeMs = error instanceof ApiError ? error.retryAfterMs : 0;
      }
      const waitMs = this.#stop === null ? RETRY_MS * (1 + JITTER * random()) : RETRY_MS;
      if (this.#closing === null) await this.#pause.wait(Math.max(waitMs, notBeforeMs));
    }
  }

  /** Renews the Lease, or takes it where nobody holds it. */
  async #attempt(): Promise<void> {
    const { identity, namespace, name, clock } = this.#options;
    // Mostly nobody else has written: that saves reading it.
    if (this.isLeader && this.#record !== null && (await this.#hold(this.#record))) return;
    const record = await this.#read();
    if (record !== null) this.#see(record);
    if (this.holder !== "" && this.holder !== identity) {
      this.#lose(`${this.holder} holds the Lease`);
      // Whoever held one that was deleted meanwhile may not know yet.
      const { durationMs = LEASE_MS } = this.#record ?? {};
      if (clock.now() < this.#seenAt + (durationMs || LEASE_MS)) return;
    }
    if (record !== null) await this.#hold(record);
    else await this.#write("POST", firstLease(namespace, name, identity, LEASE_MS, clock.wallTime()));
  }

  /** Resolves with false where somebody else has written since `record` was read. */
  #hold(record: LeaseRecord): Promise<boolean> {
    const { identity, clock } = this.#options;
    // A renewal that changes nothing is none: nobody would see it if our wall clock stood still.
    const at = record.holder === identity ? Math.max(clock.wallTime(), record.renewedAt + 1) : clock.wallTime();
    return this.#write("PUT", heldLease(record, identity, LEASE_MS, at));
  }

  async #write(method: "POST" | "PUT", body: JsonObject): Promise<boolean> {
    const { name, identity, clock } = this.#options;
    const path = method === "POST" ? this.#path : `${this.#path}/${name}`;
    this.#mayHold = true;
    const askedAt = clock.now();
    let record: LeaseRecord;
    try {
      record = readLease(await this.#ask({ method, path, body }, CALL_MS));
    } catch (error) {
      if (error instanceof ApiError && (error.status === 409 || error.status === 404)) return false;
      throw error;
    }
    this.#see(record);
    if (record.holder !== identity) throw new ApiError(0, "", "the API server did not take what was written");
    this.#lead(askedAt + RENEW_DEADLINE_MS);
    return true;
  }

  async #read(): Promise<LeaseRecord | null> {
    try {
      return readLease(await this.#ask({ method: "GET", path: `${this.#path}/${this.#options.name}` }, CALL_MS));
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return null;
      throw error;
    }
  }

  #see(record: LeaseRecord): void {
    if (record.version === this.#record?.version) return;
    const { identity, clock, log, name } = this.#options;
    const { holder } = record;
    if (holder !== this.holder && holder !== identity && holder !== "")
      log.info({ leader: holder, lease: name }, "leader");
    if (holder !== identity) this.#mayHold = false;
    this.#record = record;
    this.#seenAt = clock.now();
  }

  #lead(until: number): void {
    const { clock, log, name, identity, onLead } = this.#options;
    // An answer that took too long: it may be another's by now.
    if (this.#closing !== null || clock.now() >= until) return;
    this.#until = until;
    this.#deadline?.cancel();
    const missed = `the Lease could not be renewed for ${RENEW_DEADLINE_MS / 1000} s`;
    this.#deadline = clock.after(until - clock.now(), () => this.#lose(missed));
    if (this.#stop !== null) return;
    log.info({ leader: identity, lease: name }, "this control plane leads");
    this.#stop = onLead();
  }

  #lose(why: string): void {
    if (this.#stop === null) return;
    this.#end();
    this.#options.log.warn({ lease: this.#options.name, why }, "this control plane does not lead any longer");
  }

  #end(): void {
    const stop = this.#stop;
    this.#stop = null;
    this.#until = Number.NEGATIVE_INFINITY;
    this.#deadline?.cancel();
    stop?.();
  }

  async #release(): Promise<void> {
    const { name, identity, clock, log } = this.#options;
    const path = `${this.#path}/${name}`;
    const after = new AbortController();
    try {
      // Read again: of a write that was not answered the version is not known.
      const record = readLease(await this.#ask({ method: "GET", path }, RELEASE_CALL_MS, after));
      if (record.holder !== identity) return;
      await this.#ask({ method: "PUT", path, body: releasedLease(record, clock.wallTime()) }, RELEASE_CALL_MS, after);
    } catch (error) {
      const message = "the Lease could not be given back: another control plane leads once it has expired";
      log.info({ lease: name, error: messageOf(error) }, message);
    }
  }

  #ask(request: ApiCall, limitMs: number, { signal } = this.#ended): Promise<Json> {
    const { call, clock } = this.#options;
    return callWithin(call, request, { clock, limitMs, signal });
  }

  #tell(error: unknown): void {
    const message = messageOf(error);
    if (this.#closing !== null || message === this.#told) return;
    this.#told = message;
    const { log, name } = this.#options;
    log.warn({ lease: name, error: message }, "the Lease could not be read or written; it is tried again");
  }
}
