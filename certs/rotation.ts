/**
 * A workload's own certificate, kept current: asks for one, publishes it as a watch, renews at half of its life, and
 * tries again with backoff while the old one still serves. The private key is made here and stays in the process.
 */
import { type BackoffPolicy, backoffDelay } from "../core/backoff.ts";
import type { Clock, Timer } from "../core/clock.ts";
import { messageOf } from "../core/errors.ts";
import type { Random } from "../core/random.ts";
import { type Watch, WatchCell } from "../core/watch.ts";
import { formatIdentity, type Identity } from "../model/identity.ts";
import { createCsr } from "./csr.ts";
import { parseCertificates } from "./inspect.ts";
import { generateKeyPair, type KeyPair } from "./key.ts";
import { chainEndsIn, clockProblem, issuedCertificate, type WorkloadCertificate } from "./workload-certificate.ts";

/** Asks a CA to sign; `chain` is the leaf and its intermediates, `roots` the trust bundle, both PEM. */
export type IssueCertificate = (
  csrPem: string,
  lifetimeMs: number | null,
) => Promise<{ readonly chain: string; readonly roots: string }>;

export interface WorkloadIdentityOptions {
  readonly identity: Identity;
  readonly issue: IssueCertificate;
  readonly clock: Clock;
  readonly random: Random;
  /** Asked of the CA; null: its default. */
  readonly lifetimeMs?: number | null;
  /** Default: 0.25 s, at most 30 s. */
  readonly backoff?: BackoffPolicy;
  /** Hears of each failure, with the sentence that `status` will show. */
  readonly onError?: (error: Error) => void;
}

export interface IdentityStatus {
  /** `waiting`: none yet; `skewed`: there is one, but by the local clock it is not valid yet. */
  readonly state: "waiting" | "valid" | "skewed" | "expired";
  readonly spiffeId: string;
  readonly issued: number;
  /** Consecutive failures since the last success. */
  readonly failures: number;
  readonly lastError: string | null;
  /** Unix ms of the next attempt; null while one is under way or when stopped. */
  readonly nextAttemptAt: number | null;
}

/** The monotonic clock stands still while a laptop sleeps; look at the wall clock at least this often. */
const LONGEST_SLEEP_MS = 30_000;
/** Whatever a CA answers, it is not asked more often than this. */
const SHORTEST_SLEEP_MS = 50;

export class WorkloadIdentity {
  readonly spiffeId: string;
  readonly #options: WorkloadIdentityOptions;
  readonly #certificate = new WatchCell<WorkloadCertificate>();
  readonly #backoff: BackoffPolicy;
  /** Kept over the attempts of one renewal, so that a CA sees one request repeated and not many. */
  #pending: { readonly keys: KeyPair; readonly csr: string } | null = null;
  #timer: Timer | null = null;
  #running = false;
  #asking = false;
  #issued = 0;
  #failures = 0;
  #lastError: string | null = null;
  #nextAttemptAt: number | null = null;

  constructor(options: WorkloadIdentityOptions) {
    this.#options = options;
    this.#backoff = options.backoff ?? { baseMs: 250, maxMs: 30_000 };
    this.spiffeId = formatIdentity(options.identity);
  }

  /** The newest certificate, key and roots. */
  get certificate(): Watch<WorkloadCertificate> {
    return this.#certificate;
  }

  get status(): IdentityStatus {
    return {
      state: this.#state(),
      spiffeId: this.spiffeId,
      issued: this.#issued,
      failures: this.#failures,
      lastError: this.#lastError,
      nextAttemptAt: this.#nextAttemptAt,
    };
  }

  start(): void {
    if (this.#running) return;
    this.#running = true;
    void this.#attempt();
  }

  stop(): void {
    this.#running = false;
    this.#timer?.cancel();
    this.#timer = null;
    this.#nextAttemptAt = null;
  }

  /** Asks for a new certificate at once. */
  renew(): void {
    if (this.#running && !this.#asking) void this.#attempt();
  }

  /**
   * A new trust bundle that arrived by another way (SDS `ROOTCA`, a file). Ignored while there is no certificate. When
   * the root that vouches for the present certificate is no longer in it, a new certificate is asked for at once; until
   * there is one the CA may still be known by the roots from before, because a bundle that was late is none to be lost by.
   */
  updateRoots(rootsPem: string): void {
    const current = this.#certificate.get();
    if (!current || current.rootsPem === rootsPem) return;
    const roots = parseCertificates(rootsPem);
    if (roots.length === 0) throw new Error("the new trust bundle holds no certificate");
    const [leaf, ...intermediates] = parseCertificates(current.chainPem);
    const vouched = leaf !== undefined && chainEndsIn(leaf, intermediates, roots);
    this.#certificate.set({ ...current, rootsPem: vouched ? rootsPem : rootsPem + current.rootsPem });
    if (!vouched) this.renew();
  }

  async #attempt(): Promise<void> {
    this.#timer?.cancel();
    this.#nextAttemptAt = null;
    this.#asking = true;
    try {
      this.#pending ??= this.#request();
      const { keys, csr } = this.#pending;
      const lifetimeMs = this.#options.lifetimeMs ?? null;
      const { chain, roots } = await this.#options.issue(csr, lifetimeMs);
      if (!this.#running) return;
      const certificate = issuedCertificate(chain, roots, keys, this.spiffeId);
      this.#pending = null;
      this.#issued++;
      this.#failures = 0;
      this.#lastError = clockProblem(certificate, this.#options.clock.wallTime());
      if (this.#lastError !== null) this.#options.onError?.(new Error(this.#lastError));
      this.#certificate.set(certificate);
      this.#sleepUntil(this.#options.clock.wallTime() + this.#renewalDelay(certificate));
    } catch (error) {
      if (!this.#running) return;
      this.#fail(error);
    } finally {
      this.#asking = false;
    }
  }

  #request(): { keys: KeyPair; csr: string } {
    const keys = generateKeyPair();
    return { keys, csr: createCsr(keys, [{ type: "uri", value: this.spiffeId }]) };
  }

  #fail(error: unknown): void {
    const { clock, random, onError } = this.#options;
    const now = clock.wallTime();
    const current = this.#certificate.get();
    let delay = backoffDelay(this.#backoff, this.#failures, random);
    // A short-lived certificate must not expire between two attempts, and one that has must not stay so for long.
    if (current) {
      delay = Math.min(delay, this.#life(current) / 8);
    }
    this.#failures++;
    const problem = current ? clockProblem(current, now) : null;
    const consequence = current
      ? (problem ?? `the present one is valid until ${new Date(current.notAfter).toISOString()}`)
      : "there is none yet";
    this.#lastError = `cannot obtain a certificate for ${this.spiffeId}: ${messageOf(error)}; ${consequence}`;
    onError?.(new Error(this.#lastError, { cause: error }));
    this.#sleepUntil(now + Math.max(delay, SHORTEST_SLEEP_MS));
  }

  /** Half of what is left, ±10 %. */
  #renewalDelay(certificate: WorkloadCertificate): number {
    return Math.max((this.#life(certificate) / 2) * (0.9 + 0.2 * this.#options.random()), SHORTEST_SLEEP_MS);
  }

  /**
   * What is left of a certificate's life, ms. Clocks may differ, so the local one is believed only as far as the
   * certificate's own length and the lifetime that was asked for allow; when it says that nothing is left, the length
   * alone counts.
   */
  #life({ notBefore, notAfter }: WorkloadCertificate): number {
    const whole = Math.min(notAfter - notBefore, this.#options.lifetimeMs ?? Number.POSITIVE_INFINITY);
    const left = notAfter - this.#options.clock.wallTime();
    return left > 0 ? Math.min(left, whole) : whole;
  }

  #sleepUntil(wallTime: number): void {
    const { clock } = this.#options;
    this.#nextAttemptAt = wallTime;
    const left = wallTime - clock.wallTime();
    if (left <= 0) return void this.#attempt();
    this.#timer = clock.after(Math.min(left, LONGEST_SLEEP_MS), () => this.#sleepUntil(wallTime));
  }

  #state(): IdentityStatus["state"] {
    const current = this.#certificate.get();
    if (!current) return "waiting";
    const now = this.#options.clock.wallTime();
    if (now > current.notAfter) return "expired";
    return now < current.notBefore ? "skewed" : "valid";
  }
}
