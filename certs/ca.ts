/**
 * The mesh's certificate authority: signs workload certificates, and rotates its roots in steps that leave no moment
 * in which a valid certificate is not trusted: add (everybody trusts both) → activate (sign with the new) → retire.
 */
import { type KeyObject, randomBytes } from "node:crypto";
import type { Clock } from "../core/clock.ts";
import { UserError } from "../core/errors.ts";
import { type Watch, WatchCell } from "../core/watch.ts";
import { type Authority, type CaState, CaStore, type RootRecord } from "./ca-store.ts";
import { type DistinguishedName, signCertificate } from "./certificate.ts";
import type { SubjectAltName } from "./extensions.ts";
import { parseCertificates } from "./inspect.ts";
import { generateKeyPair, type KeyPair, spkiSha256 } from "./key.ts";

const DAY_MS = 24 * 60 * 60 * 1000;

/** No workload certificate lives longer unless `maxLifetimeMs` says otherwise. */
export const LONGEST_LIFETIME_MS = 7 * DAY_MS;

export interface CaOptions {
  /** The authority's files are in `<stateDir>/ca`. */
  readonly stateDir: string;
  readonly trustDomain: string;
  readonly clock: Clock;
  /** Sign leaves with an intermediate under the root. Default: false. */
  readonly intermediate?: boolean;
  /** Default: 3650 days. */
  readonly rootLifetimeMs?: number;
  /** Default: 365 days; renewed when a third is left. */
  readonly intermediateLifetimeMs?: number;
  /** What a workload gets that asks for nothing. Default: 24 h. */
  readonly defaultLifetimeMs?: number;
  /** No leaf lives longer, whatever is asked for. Default: 7 days. */
  readonly maxLifetimeMs?: number;
  /** How far certificates reach back, for clocks that are behind. Default: 2 min. */
  readonly backdateMs?: number;
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

interface Root extends RootRecord {
  readonly authority: Authority;
  intermediate: Authority | null;
}

export class CertificateAuthority {
  readonly trustDomain: string;
  readonly maxLifetimeMs: number;
  readonly backdateMs: number;
  readonly #options: CaOptions;
  readonly #clock: Clock;
  readonly #store: CaStore;
  readonly #bundle = new WatchCell<string>();
  #roots: readonly Root[] = [];
  #active = "";

  /**
   * Opens the authority in `stateDir`, or founds one. Throws a UserError (with the file) for a key that cannot be read
   * or that others can read, for damage, and for another trust domain's state.
   */
  constructor(options: CaOptions) {
    this.#options = options;
    this.#clock = options.clock;
    this.trustDomain = options.trustDomain;
    this.maxLifetimeMs = options.maxLifetimeMs ?? LONGEST_LIFETIME_MS;
    this.backdateMs = options.backdateMs ?? 2 * 60 * 1000;
    this.#store = new CaStore(options.stateDir);
    const state = this.#store.readState();
    if (state === null) this.#found();
    else this.#open(state);
    this.#bundle.set(this.#bundlePem());
  }

  /** The trusted roots in PEM, the signing one first; changes when roots are added or retired. */
  get bundle(): Watch<string> {
    return this.#bundle;
  }

  /** Oldest first. */
  roots(): readonly RootInfo[] {
    return this.#roots.map(({ id, addedAt, activatedAt, authority }) => ({
      id,
      addedAt,
      activatedAt,
      active: id === this.#active,
      pem: authority.pem,
      notAfter: authority.certificate.validToDate.getTime(),
      pin: spkiSha256(authority.keys.publicKey),
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
    const root = this.#root(this.#active);
    const issuer = this.#issuer(root, now);
    const issuerEnd = issuer.certificate.validToDate.getTime();
    if (issuerEnd <= now)
      throw new UserError(`the CA's ${issuer === root.authority ? "root" : "intermediate"} has expired`);
    const wanted = lifetimeMs ?? this.#options.defaultLifetimeMs ?? DAY_MS;
    const lifetime = Math.min(Math.max(wanted, 1000), this.maxLifetimeMs);
    const notAfter = wholeSecond(Math.min(now + lifetime, issuerEnd), Math.ceil);
    const notBefore = wholeSecond(
      Math.max(now - this.backdateMs, issuer.certificate.validFromDate.getTime()),
      Math.floor,
    );
    const leafPem = signCertificate(
      { subject: {}, publicKey, notBefore, notAfter, names, ca: null },
      { ...issuer.keys, subject: this.#name(issuer === root.authority ? "root" : "intermediate", root.id) },
    );
    const intermediatesPem = issuer === root.authority ? [] : [issuer.pem];
    return {
      leafPem,
      intermediatesPem,
      rootPem: root.authority.pem,
      chainPem: leafPem + intermediatesPem.join(""),
      notBefore,
      notAfter,
    };
  }

  /** Step 1 of a rotation: a new root joins the bundle; it does not sign yet. Returns its id. */
  addRoot(): string {
    const root = this.#newRoot(null);
    this.#commit([...this.#roots, root], this.#active);
    return root.id;
  }

  /** Step 2: sign with this root from now on. Do it once everybody has had time to receive the bundle. */
  activateRoot(id: string): void {
    const now = this.#clock.wallTime();
    this.#root(id);
    this.#commit(
      this.#roots.map((root) => (root.id === id ? { ...root, activatedAt: now } : root)),
      id,
    );
  }

  /** Step 3: the root leaves the bundle and its key is deleted. Do it once every certificate under it has expired. */
  retireRoot(id: string): void {
    const root = this.#root(id);
    if (id === this.#active)
      throw new UserError(`root ${id} signs at present: activate another one before retiring it`);
    this.#commit(
      this.#roots.filter((other) => other !== root),
      this.#active,
    );
    this.#store.removeAuthorities(id);
  }

  #found(): void {
    const root = this.#newRoot(this.#clock.wallTime());
    this.#commit([root], root.id);
  }

  #open(state: CaState): void {
    if (state.trustDomain !== this.trustDomain) {
      const message = `the CA there is for trust domain "${state.trustDomain}", not "${this.trustDomain}"`;
      throw new UserError([{ message, file: this.#options.stateDir }]);
    }
    this.#roots = state.roots.map((record) => {
      const authority = this.#store.readAuthority(record.id, "root");
      if (authority === null) throw new UserError(`root ${record.id} is missing from ${this.#options.stateDir}`);
      return { ...record, authority, intermediate: this.#store.readAuthority(record.id, "intermediate") };
    });
    this.#active = state.active;
  }

  #commit(roots: readonly Root[], active: string): void {
    const records = roots.map(({ id, addedAt, activatedAt }) => ({ id, addedAt, activatedAt }));
    const before = { roots: this.#roots, active: this.#active };
    this.#roots = roots;
    this.#active = active;
    try {
      this.#store.writeState({ trustDomain: this.trustDomain, active, roots: records }, this.#bundlePem());
    } catch (error) {
      this.#roots = before.roots;
      this.#active = before.active;
      throw error;
    }
    if (this.#bundle.get() !== this.#bundlePem()) this.#bundle.set(this.#bundlePem());
  }

  #newRoot(activatedAt: number | null): Root {
    const now = this.#clock.wallTime();
    const id = randomBytes(4).toString("hex");
    const keys = generateKeyPair();
    const subject = this.#name("root", id);
    const pem = signCertificate(
      {
        subject,
        publicKey: keys.publicKey,
        notBefore: now - this.backdateMs,
        notAfter: now + (this.#options.rootLifetimeMs ?? 3650 * DAY_MS),
        names: [{ type: "uri", value: `spiffe://${this.trustDomain}` }],
        ca: { pathLength: 1 },
      },
      { ...keys, subject },
    );
    const authority = toAuthority(pem, keys);
    this.#store.writeAuthority(id, "root", authority);
    return { id, addedAt: now, activatedAt, authority, intermediate: null };
  }

  /** The intermediate in use, made or renewed if need be; the root itself where none is wanted. */
  #issuer(root: Root, now: number): Authority {
    if (!this.#options.intermediate) return root.authority;
    const current = root.intermediate;
    if (current) {
      const end = current.certificate.validToDate.getTime();
      const third = (end - current.certificate.validFromDate.getTime()) / 3;
      if (now < end - third) return current;
    }
    const keys = generateKeyPair();
    const rootEnd = root.authority.certificate.validToDate.getTime();
    const pem = signCertificate(
      {
        subject: this.#name("intermediate", root.id),
        publicKey: keys.publicKey,
        notBefore: now - this.backdateMs,
        notAfter: Math.min(now + (this.#options.intermediateLifetimeMs ?? 365 * DAY_MS), rootEnd),
        names: [{ type: "uri", value: `spiffe://${this.trustDomain}` }],
        ca: { pathLength: 0 },
      },
      { ...root.authority.keys, subject: this.#name("root", root.id) },
    );
    const intermediate = toAuthority(pem, keys);
    this.#store.writeAuthority(root.id, "intermediate", intermediate);
    root.intermediate = intermediate;
    return intermediate;
  }

  #root(id: string): Root {
    const root = this.#roots.find((candidate) => candidate.id === id);
    if (!root) throw new UserError(`the CA has no root ${id}`);
    return root;
  }

  #name(role: "root" | "intermediate", id: string): DistinguishedName {
    return { organization: this.trustDomain, commonName: `Outrigger ${role} CA ${id}` };
  }

  #bundlePem(): string {
    const signingFirst = [...this.#roots].sort((a, b) => Number(b.id === this.#active) - Number(a.id === this.#active));
    return signingFirst.map((root) => root.authority.pem).join("");
  }
}

/** X.509 times are whole seconds. */
function wholeSecond(unixMs: number, round: (seconds: number) => number): number {
  return round(unixMs / 1000) * 1000;
}

function toAuthority(pem: string, keys: KeyPair): Authority {
  const certificate = parseCertificates(pem)[0];
  if (!certificate) throw new Error("a certificate that was just signed cannot be read");
  return { certificate, pem, keys };
}
