/**
 * The mesh's certificate authority: signs workload certificates, and rotates its roots in steps that leave no moment
 * in which a valid certificate is not trusted: add (everybody trusts both) → activate (sign with the new) → retire.
 */
import type { KeyObject } from "node:crypto";
import type { Clock } from "../core/clock.ts";
import { UserError } from "../core/errors.ts";
import { type Watch, WatchCell } from "../core/watch.ts";
import { type Authority, bundlePem, type CaContent, type CaRoot, type RootRecord } from "./ca-content.ts";
import { CaDirectory } from "./ca-directory.ts";
import { signCertificate } from "./certificate.ts";
import type { SubjectAltName } from "./extensions.ts";
import { type AuthorityLifetimes, foundAuthority, newIntermediate, newRoot } from "./founding.ts";
import { spkiSha256 } from "./key.ts";

const DAY_MS = 24 * 60 * 60 * 1000;

/** No workload certificate lives longer unless `maxLifetimeMs` says otherwise. */
export const LONGEST_LIFETIME_MS = 7 * DAY_MS;

export interface CaSettings extends AuthorityLifetimes {
  readonly trustDomain: string;
  readonly clock: Clock;
  /** Sign leaves with an intermediate under the root. Default: false. */
  readonly intermediate?: boolean;
  /** What a workload gets that asks for nothing. Default: 24 h. */
  readonly defaultLifetimeMs?: number;
  /** No leaf lives longer, whatever is asked for. Default: 7 days. */
  readonly maxLifetimeMs?: number;
}

export interface CaOptions extends CaSettings {
  /** The authority's files are in `<stateDir>/ca`. */
  readonly stateDir: string;
}

/** For an authority that somebody else keeps, and tells of by `adopt`. */
export interface HeldCaOptions extends CaSettings {
  readonly content: CaContent;
}

export interface IssuedCertificate {
  readonly leafPem: string;
  readonly intermediatesPem: readonly string[];
  readonly rootPem: string;
  /** Leaf and intermediates: what a TLS handshake presents. */
  readonly chainPem: string;
  /** Unix ms. */
  readonly notBefore: number;
  readonly notAfter: number;
}

export interface RootInfo extends RootRecord {
  readonly active: boolean;
  readonly pem: string;
  /** Unix ms. */
  readonly notAfter: number;
  /** SHA-256 of its SPKI: what a join token pins. */
  readonly pin: Buffer;
}

/** One step of a rotation. */
export type RootChange =
  | { readonly step: "added" }
  | { readonly step: "activated"; readonly id: string }
  | { readonly step: "retired"; readonly id: string };

interface Issuer {
  readonly authority: Authority;
  readonly intermediatesPem: readonly string[];
}

export class CertificateAuthority {
  readonly trustDomain: string;
  readonly maxLifetimeMs: number;
  readonly backdateMs: number;
  readonly #options: CaSettings;
  readonly #clock: Clock;
  /** null: kept elsewhere. */
  readonly #directory: CaDirectory | null;
  readonly #bundle = new WatchCell<string>();
  #content: CaContent;

  /**
   * Opens the authority in `stateDir`, or founds one. Throws a UserError (with the file) for a key that cannot be read
   * or that others can read, for damage, and for another trust domain's state.
   */
  constructor(options: CaOptions | HeldCaOptions) {
    this.#options = options;
    this.#clock = options.clock;
    this.trustDomain = options.trustDomain;
    this.maxLifetimeMs = options.maxLifetimeMs ?? LONGEST_LIFETIME_MS;
    this.backdateMs = options.backdateMs ?? 2 * 60 * 1000;
    if ("content" in options) {
      this.#directory = null;
      this.#content = options.content;
    } else {
      this.#directory = new CaDirectory(options.stateDir);
      this.#content = this.#open(this.#directory, options.stateDir);
    }
    this.#bundle.set(bundlePem(this.#content));
  }

  /** The trusted roots in PEM, the signing one first; changes when roots are added or retired. */
  get bundle(): Watch<string> {
    return this.#bundle;
  }

  /** Whether its roots were made elsewhere, and are not rotated here. */
  get brought(): boolean {
    return this.#content.brought;
  }

  /** When what signs leaves ends, Unix ms. */
  get signsUntil(): number {
    const root = this.#root(this.#content.active);
    return (root.intermediate ?? root).certificate.validToDate.getTime();
  }

  /** Oldest first. */
  roots(): readonly RootInfo[] {
    return this.#content.roots.map(({ id, addedAt, activatedAt, pem, certificate }) => ({
      id,
      addedAt,
      activatedAt,
      active: id === this.#content.active,
      pem,
      notAfter: certificate.validToDate.getTime(),
      pin: spkiSha256(certificate.publicKey),
    }));
  }

  /** The pins that a join token carries: all roots, so that a rotation does not spoil tokens that are on their way. */
  pins(): readonly Buffer[] {
    return this.roots().map((root) => root.pin);
  }

  /**
   * Signs a leaf. `lifetimeMs` is cut to the allowed range and to the issuer's own end; null asks for the default.
   * The names are the caller's responsibility: check them against an authenticated identity first.
   */
  issue(publicKey: KeyObject, names: readonly SubjectAltName[], lifetimeMs: number | null): IssuedCertificate {
    const now = this.#clock.wallTime();
    const root = this.#root(this.#content.active);
    const { authority, intermediatesPem } = this.#issuer(root, now);
    const { certificate } = authority;
    const issuerEnd = certificate.validToDate.getTime();
    if (issuerEnd <= now) {
      throw new UserError(`the CA's ${intermediatesPem.length === 0 ? "root" : "intermediate"} has expired`);
    }
    const wanted = lifetimeMs ?? this.#options.defaultLifetimeMs ?? DAY_MS;
    const lifetime = Math.min(Math.max(wanted, 1000), this.maxLifetimeMs);
    const notAfter = wholeSecond(Math.min(now + lifetime, issuerEnd), Math.ceil);
    const notBefore = wholeSecond(Math.max(now - this.backdateMs, certificate.validFromDate.getTime()), Math.floor);
    const leafPem = signCertificate(
      { subject: {}, publicKey, notBefore, notAfter, names, ca: null },
      { certificate, privateKey: authority.keys.privateKey },
    );
    return {
      leafPem,
      intermediatesPem,
      rootPem: root.pem,
      chainPem: leafPem + intermediatesPem.join(""),
      notBefore,
      notAfter,
    };
  }

  /** Step 1 of a rotation: a new root joins the bundle; it does not sign yet. Returns its id. */
  addRoot(): string {
    const next = this.changed({ step: "added" });
    this.#commit(next);
    return next.roots.at(-1)?.id ?? "";
  }

  /** Step 2: sign with this root from now on. Do it once everybody has had time to receive the bundle. */
  activateRoot(id: string): void {
    this.#commit(this.changed({ step: "activated", id }));
  }

  /** Step 3: the root leaves the bundle and its key is deleted. Do it once every certificate under it has expired. */
  retireRoot(id: string): void {
    this.#commit(this.changed({ step: "retired", id }));
  }

  /** What the authority would be after a step; nothing is changed or kept. Throws a UserError for one that cannot be. */
  changed(change: RootChange): CaContent {
    const now = this.#clock.wallTime();
    const { roots, active } = this.#content;
    if (this.#content.brought) throw new UserError("the CA's roots were made elsewhere: they are changed there");
    if (change.step === "added") {
      return { ...this.#content, roots: [...roots, newRoot(this.trustDomain, now, null, this.#options)] };
    }
    const { id } = change;
    this.#root(id);
    if (change.step === "activated") {
      const signing = roots.map((root) => (root.id === id ? { ...root, activatedAt: now } : root));
      return { ...this.#content, roots: signing, active: id };
    }
    if (id === active) throw new UserError(`root ${id} signs at present: activate another one before retiring it`);
    return { ...this.#content, roots: roots.filter((root) => root.id !== id) };
  }

  /** Is `content` from now on: somebody else has changed it. Intermediates that were made here stay. */
  adopt(content: CaContent): void {
    const own = new Map(this.#content.roots.map(({ pem, intermediate }) => [pem, intermediate]));
    const roots = content.roots.map((root) => ({
      ...root,
      intermediate: root.intermediate ?? own.get(root.pem) ?? null,
    }));
    this.#become({ ...content, roots });
  }

  #open(directory: CaDirectory, stateDir: string): CaContent {
    const content = directory.load();
    if (content === null) {
      const founded = foundAuthority(this.trustDomain, this.#clock.wallTime(), this.#options);
      directory.keep(founded);
      return founded;
    }
    if (content.trustDomain !== this.trustDomain) {
      const message = `the CA there is for trust domain "${content.trustDomain}", not "${this.trustDomain}"`;
      throw new UserError([{ message, file: stateDir }]);
    }
    return content;
  }

  #commit(content: CaContent): void {
    this.#directory?.keep(content);
    this.#become(content);
  }

  #become(content: CaContent): void {
    this.#content = content;
    const pem = bundlePem(content);
    if (this.#bundle.get() !== pem) this.#bundle.set(pem);
  }

  /** An intermediate where there is or should be one, made or renewed if need be; else the root itself. */
  #issuer(root: CaRoot, now: number): Issuer {
    const { keys } = root;
    const current = root.intermediate;
    // Without the root's key what was brought is all there is.
    if (keys === null) return current === null ? fail(root.id) : through(current);
    const own = { ...root, keys };
    if (!this.#options.intermediate || this.#content.brought) return { authority: own, intermediatesPem: [] };
    if (current) {
      const end = current.certificate.validToDate.getTime();
      const third = (end - current.certificate.validFromDate.getTime()) / 3;
      if (now < end - third) return through(current);
    }
    const intermediate = newIntermediate(this.trustDomain, root.id, own, now, this.#options);
    const roots = this.#content.roots.map((other) => (other === root ? { ...root, intermediate } : other));
    this.#commit({ ...this.#content, roots });
    return through(intermediate);
  }

  #root(id: string): CaRoot {
    const root = this.#content.roots.find((candidate) => candidate.id === id);
    if (!root) throw new UserError(`the CA has no root ${id}`);
    return root;
  }
}

function through(intermediate: Authority & { readonly above: readonly string[] }): Issuer {
  return { authority: intermediate, intermediatesPem: [intermediate.pem, ...intermediate.above] };
}

function fail(id: string): never {
  throw new UserError(`nothing that can sign for root ${id} was brought`);
}

/** X.509 times are whole seconds. */
function wholeSecond(unixMs: number, round: (seconds: number) => number): number {
  return round(unixMs / 1000) * 1000;
}
