/**
 * What outlier detection remembers of one endpoint: runs of failures, rates by interval, and its ejection. Of this thread
 * alone (here), or of all threads of the process (`shared-record.ts`).
 */
import type { Clock } from "../../../core/clock.ts";
import type { EjectionKind } from "./outlier-stats.ts";
import { LocalReadmission, type Readmission, type ReadmissionListener } from "./readmission.ts";
import type { IntervalCounts } from "./success-rate.ts";

/** Failures in a row. */
export interface Run {
  /** One more; returns how many they are now. */
  add(): number;
  reset(): void;
}

/** Requests and successes, those of the running interval and of the one before. */
export interface Rates extends IntervalCounts {
  count(success: boolean): void;
  /** Ends an interval. */
  turn(): void;
}

export interface HostRecord {
  readonly run5xx: Run;
  readonly runGatewayFailure: Run;
  readonly runLocalOriginFailure: Run;
  readonly external: Rates;
  readonly local: Rates;
  readonly ejected: boolean;
  /** On this thread's clock. */
  readonly ejectedAt: number;
  /** How long the present ejection lasts at least, ms, jitter included. */
  readonly ejectedForMs: number;
  /** Ejections since the endpoint is known. */
  readonly ejections: number;
  /** Multiplies the base ejection time; goes down again while the endpoint behaves. */
  readonly backoff: number;
  /** null: never readmitted yet. */
  readonly readmittedAt: number | null;
  /** Why it was ejected last. */
  readonly kind: EjectionKind;
  /** The arithmetic of that, "" if another thread did it. */
  readonly reason: string;
  /** Set while it is ejected under Outrigger's own policy. */
  readonly readmission: Readmission | null;
  /** Takes it out of service. False: another thread was first. */
  eject(ejection: Ejection): boolean;
  /** After a probe that failed. False: another thread was first. */
  ejectAgain(ejection: Omit<Ejection, "kind" | "reason">): boolean;
  /** As if it had not been ejected. */
  undo(): void;
  /** False: another thread was first. */
  readmit(): boolean;
  /** It has behaved for an interval. */
  lowerBackoff(): void;
  /** It was ejected here and is to come back through a probe. */
  probe(onChange: ReadmissionListener): void;
  /** Takes in what another thread has changed. null: ejections end by time alone. */
  follow(onChange: ReadmissionListener | null): void;
  close(): void;
}

export interface Ejection {
  readonly forMs: number;
  readonly backoff: number;
  readonly kind: EjectionKind;
  readonly reason: string;
}

class LocalRun implements Run {
  #length = 0;

  add(): number {
    return ++this.#length;
  }

  reset(): void {
    this.#length = 0;
  }
}

class LocalRates implements Rates {
  #total = 0;
  #success = 0;
  lastTotal = 0;
  lastSuccess = 0;

  count(success: boolean): void {
    this.#total++;
    if (success) this.#success++;
  }

  turn(): void {
    this.lastTotal = this.#total;
    this.lastSuccess = this.#success;
    this.#total = 0;
    this.#success = 0;
  }
}

export class LocalRecord implements HostRecord {
  readonly run5xx = new LocalRun();
  readonly runGatewayFailure = new LocalRun();
  readonly runLocalOriginFailure = new LocalRun();
  readonly external = new LocalRates();
  readonly local = new LocalRates();
  readonly #clock: Clock;
  ejected = false;
  ejectedAt = 0;
  ejectedForMs = 0;
  ejections = 0;
  backoff = 0;
  readmittedAt: number | null = null;
  kind: EjectionKind = "consecutive_5xx";
  reason = "";
  readmission: Readmission | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  eject({ kind, reason, ...rest }: Ejection): boolean {
    this.ejected = true;
    this.ejections++;
    this.kind = kind;
    this.reason = reason;
    return this.ejectAgain(rest);
  }

  ejectAgain({ forMs, backoff }: Omit<Ejection, "kind" | "reason">): boolean {
    this.backoff = backoff;
    this.ejectedAt = this.#clock.now();
    this.ejectedForMs = forMs;
    return true;
  }

  undo(): void {
    this.ejected = false;
  }

  readmit(): boolean {
    this.close();
    this.ejected = false;
    this.readmittedAt = this.#clock.now();
    return true;
  }

  lowerBackoff(): void {
    this.backoff--;
  }

  probe(onChange: ReadmissionListener): void {
    this.close();
    this.readmission = new LocalReadmission(this.ejectedForMs, this.#clock, onChange);
  }

  follow(): void {}

  close(): void {
    this.readmission?.close();
    this.readmission = null;
  }
}
