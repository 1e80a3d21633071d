/**
 * Writes what became of routes and policies into their `status`: the leader's work. Only what differs is written, as a
 * patch that holds for the version it was made from, so that nobody else's words are lost; each object waits for itself
 * where it can't be written; and what is written comes back by the watch, says what it should, and leads to nothing.
 */
import type { Clock, Timer } from "../../../core/clock.ts";
import { messageOf } from "../../../core/errors.ts";
import type { Logger } from "../../../core/log.ts";
import type { Random } from "../../../core/random.ts";
import type { Finding } from "../../mesh/state.ts";
import { ApiError, isObject, type KubernetesApi } from "../api.ts";
import { callWithin } from "../call-within.ts";
import { resourceVersionOf } from "../decode.ts";
import type { ObjectPlace } from "../reflector.ts";
import type { KubernetesSource } from "../source.ts";
import { type StatusChange, statusChange } from "./changes.ts";
import { RareWarnings } from "./rare-warnings.ts";
import { type Subject, Subjects } from "./subjects.ts";
import { WriteRate } from "./write-rate.ts";

/** `conflict`: somebody else was quicker. */
export type WriteOutcome = "written" | "conflict" | "failed";

export interface StatusWriterOptions {
  readonly source: Pick<KubernetesSource, "entries" | "find" | "moments" | "settled">;
  /** Of the mesh that was made of the source's newest content: `Mesh.state.findings`. */
  readonly findings: () => readonly Finding[];
  readonly call: KubernetesApi["call"];
  /** Told of each write. */
  readonly onWrite?: (outcome: WriteOutcome) => void;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

/** Changes come in bursts: what they come to in the end is written, ms. */
const QUIET_MS = 100;
/** After a look at all objects none follows for so many times what it took. */
const REST = 9;
const AT_ONCE = 4;
/** Many objects that say what they should already must not hold up what else runs here. */
const SLICE_MS = 5;
const CALL_MS = 15_000;
/** How long an object waits after a failure, ms: doubled each time. */
const FAILED = { baseMs: 1000, maxMs: 60_000 };
/** Somebody else wrote: what they wrote is read by the watch at any moment. */
const CONFLICT = { baseMs: 100, maxMs: 5000 };
const UNDONE = { baseMs: 2000, maxMs: 300_000 };
/** How soon a version is looked for that must come, ms. */
const AWAIT_MS = 500;
/** What was written so long ago was not undone by anybody who fights, ms. */
const FORGET_MS = 600_000;

/** Begins to write, at once where the source has been read; what it returns ends it at once. */
export function startStatusWriter(options: StatusWriterOptions): () => void {
  const writer = new StatusWriter(options);
  writer.start();
  return () => writer.stop();
}

class StatusWriter {
  readonly #options: StatusWriterOptions;
  readonly #ended = new AbortController();
  readonly #rate: WriteRate;
  readonly #subjects = new Subjects();
  #writes = 0;
  #look: Timer | null = null;
  /** To be done at the next moment. */
  #overdue = false;
  /** No look before this, monotonic ms. */
  #restUntil = 0;
  #pump: Timer | null = null;
  /** The server wants to be left alone until then, monotonic ms. */
  #pausedUntil = 0;
  readonly #warnings: RareWarnings;
  #unfollow: () => void = () => {};

  constructor(options: StatusWriterOptions) {
    this.#options = options;
    this.#rate = new WriteRate(options.clock);
    this.#warnings = new RareWarnings(options.clock, options.log);
  }

  start(): void {
    this.#unfollow = this.#options.source.moments.subscribe((moment) => {
      // Before the first moment not everything was read: what is missing is not known to be missing.
      if (moment > 0) this.#changed();
    });
  }

  stop(): void {
    this.#ended.abort(new Error("this control plane does not lead"));
    this.#unfollow();
    this.#look?.cancel();
    this.#pump?.cancel();
  }

  /** To be called at a moment: then, or while no other is to come, objects and findings are of one state. */
  #changed(): void {
    const { source, clock } = this.#options;
    if (this.#overdue) this.#lookAtAll();
    else
      this.#look ??= clock.after(Math.max(QUIET_MS, this.#restUntil - clock.now()), () => {
        this.#look = null;
        if (source.settled) this.#lookAtAll();
        else this.#overdue = true;
      });
  }

  #lookAtAll(): void {
    const { source, findings, clock } = this.#options;
    this.#overdue = false;
    const began = clock.now();
    this.#subjects.lookAt(source, findings());
    this.#restUntil = clock.now() + (clock.now() - began) * REST;
    this.#work();
  }

  /** Writes what may be written now, and comes back when there is more. */
  #work(): void {
    const { clock } = this.#options;
    this.#pump?.cancel();
    this.#pump = null;
    const began = clock.now();
    let wakeAt = Number.POSITIVE_INFINITY;
    for (const subject of this.#subjects.inOrder()) {
      // The end of one brings us back.
      if (this.#writes >= AT_ONCE) return;
      const at = Math.max(subject.notBefore, this.#pausedUntil, this.#rate.nextAt);
      if (at > began) wakeAt = Math.min(wakeAt, at);
      else if (!this.#begin(subject)) wakeAt = Math.min(wakeAt, subject.notBefore);
      if (clock.now() - began < SLICE_MS) continue;
      wakeAt = began;
      break;
    }
    if (wakeAt !== Number.POSITIVE_INFINITY) {
      this.#pump = clock.after(Math.max(1, wakeAt - clock.now()), () => this.#work());
    }
  }

  /** Begins to write an object's status if it is to be another. False: it is to be, but not yet. */
  #begin(subject: Subject): boolean {
    const { source, clock, random } = this.#options;
    const { kind, name, statused, findings } = subject;
    const place = source.find(kind, name);
    if (place && place.statused !== statused) {
      // Another version than was looked at: what was found about this one is not known before the next look.
      subject.notBefore = clock.now() + QUIET_MS;
      return false;
    }
    const change = place && statusChange(kind, statused, findings, clock.wallTime());
    if (!change) {
      this.#subjects.settle(subject);
      return true;
    }
    if (place.version === subject.writtenTo) {
      subject.notBefore = clock.now() + AWAIT_MS;
      return false;
    }
    const said = withoutTimes(change);
    if (said !== subject.said || clock.now() - subject.saidAt > FORGET_MS) subject.undone = 0;
    else if (!subject.waited) {
      this.#warnings.tell(`another program undoes the status of ${change.key}: it is written again ever more seldom`);
      subject.notBefore = clock.now() + backoff(UNDONE, subject.undone++, random);
      subject.waited = true;
      return false;
    }
    this.#rate.take();
    this.#writes++;
    subject.writing = true;
    void this.#write(subject, change, place, said);
    return true;
  }

  async #write(subject: Subject, change: StatusChange, place: ObjectPlace, said: string): Promise<void> {
    const { call, clock } = this.#options;
    const { signal } = this.#ended;
    const { statused, findings } = subject;
    try {
      const answer = await callWithin(
        call,
        {
          method: "PATCH",
          path: `${place.path}/status`,
          contentType: "application/merge-patch+json",
          // The version makes it a conflict where anybody has written since: lists are replaced as a whole.
          body: { metadata: { resourceVersion: place.version }, status: change.status },
        },
        { clock, limitMs: CALL_MS, signal },
      );
      this.#options.onWrite?.("written");
      subject.failures = 0;
      Object.assign(subject, { said, saidAt: clock.now(), waited: false });
      // A server that stored nothing new sends no event: it has its reasons, and is not asked again.
      const stored = isObject(answer) ? resourceVersionOf(answer) : "";
      if (stored !== place.version) subject.writtenTo = place.version;
      else if (subject.statused === statused && subject.findings === findings) this.#subjects.settle(subject);
    } catch (error) {
      if (!signal.aborted) this.#failed(subject, change, error);
    }
    this.#writes--;
    subject.writing = false;
    if (!signal.aborted) this.#work();
  }

  #failed(subject: Subject, { key, kind }: StatusChange, error: unknown): void {
    const { clock, random } = this.#options;
    const { status, retryAfterMs } = error instanceof ApiError ? error : { status: 0, retryAfterMs: 0 };
    this.#options.onWrite?.(status === 409 ? "conflict" : "failed");
    const attempt = subject.failures++;
    const policy = status === 409 ? CONFLICT : FAILED;
    subject.notBefore = clock.now() + Math.max(backoff(policy, attempt, random), retryAfterMs);
    if (status === 429) this.#pausedUntil = Math.max(this.#pausedUntil, clock.now() + Math.max(retryAfterMs, 1000));
    // Somebody was quicker; or the object went, which the watch is about to say.
    if (status === 409 || (status === 404 && attempt === 0)) return;
    const why = status === 404 ? "its CustomResourceDefinition has no status subresource" : messageOf(error);
    const concerned = status === 400 || status === 422 ? key : kind;
    this.#warnings.tell(`the status of ${concerned} cannot be written, it is tried again: ${why}`);
  }
}

/** At least half of the step, so that no two tries follow at once, ms. */
function backoff({ baseMs, maxMs }: typeof FAILED, attempt: number, random: Random): number {
  return Math.min(maxMs, baseMs * 2 ** Math.min(attempt, 20)) * (0.5 + random() / 2);
}

function withoutTimes({ status }: StatusChange): string {
  return JSON.stringify(status, (key, value: unknown) => (key === "lastTransitionTime" ? undefined : value));
}
