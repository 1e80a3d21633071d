/**
 * Calls to what no configuration is known of, which wait while the control plane is asked. A call is tried again whenever
 * something new is in force, and goes on without an answer when its time is up: what then becomes of it is as if nothing
 * had been asked.
 */
import type { EventClock } from "../core/clock.ts";
import type { TimerWheel, WheelTimer } from "../core/timer-wheel.ts";
import type { Watch } from "../core/watch.ts";
import { askedName } from "../model/on-demand.ts";

/** Who is asked. */
export interface NameService {
  /** Asks for a listener by a name that is not its own (`model/on-demand.ts`). What comes of it is in a later snapshot. */
  ask(name: string): void;
  /** Names that were asked for and stand for nothing. */
  readonly absent: Watch<ReadonlySet<string>>;
}

/** Why a call goes on as one to what the mesh does not know: it was said so, or nobody said anything in time. */
export type NoAnswer = "absent" | "unanswered";

export interface Waiter {
  /** Goes on if what was called is known by now. */
  retry(): boolean;
  /** It is not, and is not waited for any longer. */
  end(why: NoAnswer): void;
}

export interface Waiting {
  /** The caller is gone. */
  cancel(): void;
}

/** Told of each call that had to wait, when it waits no longer. `place` is where it was going. */
export type OnDemandObserver = (outcome: "found" | NoAnswer, place: string) => void;

/** Calls that wait at the same time; further ones don't. */
const MAX_WAITING = 1024;

/** For how long nobody waits again for what was not answered, ms. */
const QUIET_MS = 5000;

interface Question {
  readonly place: string;
  readonly waiters: Set<Waiter>;
  readonly timer: WheelTimer;
}

export class OnDemand {
  readonly #names: NameService;
  readonly #clock: EventClock;
  readonly #wheel: TimerWheel;
  readonly #observe: OnDemandObserver;
  /** By name. */
  readonly #questions = new Map<string, Question>();
  /** Until when a name that was not answered is not waited for, monotonic ms. */
  readonly #quiet = new Map<string, number>();
  readonly #stop: () => void;
  #waiting = 0;

  constructor(names: NameService, clock: EventClock, wheel: TimerWheel, observe: OnDemandObserver) {
    this.#names = names;
    this.#clock = clock;
    this.#wheel = wheel;
    this.#observe = observe;
    this.#stop = names.absent.subscribe(() => {
      clock.refresh();
      this.look();
    });
  }

  /**
   * Asks for a place, `HOST:PORT` or a host's name; the caller waits, for `timeoutMs` at most. A word instead: it need not,
   * because the answer is known or there would be none.
   */
  hold(place: string, timeoutMs: number, waiter: Waiter): Waiting | NoAnswer {
    const name = askedName(place);
    if (this.#names.absent.get()?.has(name)) return "absent";
    if (this.#isQuiet(name) || this.#waiting >= MAX_WAITING) {
      this.#observe("unanswered", place);
      return "unanswered";
    }
    let question = this.#questions.get(name);
    if (question === undefined) {
      question = { place, waiters: new Set(), timer: this.#wheel.after(timeoutMs, () => this.#giveUp(name)) };
      this.#questions.set(name, question);
      this.#names.ask(name);
    }
    const { waiters } = question;
    waiters.add(waiter);
    this.#waiting++;
    return {
      cancel: () => {
        if (waiters.delete(waiter)) this.#waiting--;
      },
    };
  }

  /** Something new is in force or was said: whoever waits tries again. */
  look(): void {
    for (const [name, question] of this.#questions) {
      for (const waiter of question.waiters) {
        if (waiter.retry()) this.#done(question, waiter, "found");
      }
      if (this.#names.absent.get()?.has(name)) this.#end(name, question, "absent");
      else if (question.waiters.size === 0) this.#forget(name, question);
    }
  }

  close(): void {
    this.#stop();
    for (const [name, question] of this.#questions) this.#forget(name, question);
  }

  #giveUp(name: string): void {
    const question = this.#questions.get(name);
    if (question === undefined) return;
    const now = this.#clock.now();
    for (const [other, until] of this.#quiet) if (until <= now) this.#quiet.delete(other);
    this.#quiet.set(name, now + QUIET_MS);
    this.#end(name, question, "unanswered");
  }

  #isQuiet(name: string): boolean {
    const until = this.#quiet.get(name);
    if (until === undefined) return false;
    if (until > this.#clock.now()) return true;
    this.#quiet.delete(name);
    return false;
  }

  #end(name: string, question: Question, why: NoAnswer): void {
    this.#forget(name, question);
    for (const waiter of question.waiters) {
      this.#done(question, waiter, why);
      waiter.end(why);
    }
  }

  #done({ place, waiters }: Question, waiter: Waiter, outcome: "found" | NoAnswer): void {
    if (waiters.delete(waiter)) this.#waiting--;
    this.#observe(outcome, place);
  }

  #forget(name: string, { timer }: Question): void {
    this.#wheel.cancel(timer);
    this.#questions.delete(name);
  }
}
