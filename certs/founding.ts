/** New authorities: self-signed roots, and intermediates under them. */
import { randomBytes } from "node:crypto";
import type { Authority, CaContent, CaRoot, Intermediate } from "./ca-content.ts";
import { type DistinguishedName, signCertificate } from "./certificate.ts";
import { parseCertificates } from "./inspect.ts";
import { generateKeyPair, type KeyPair } from "./key.ts";

const DAY_MS = 24 * 60 * 60 * 1000;

export interface AuthorityLifetimes {
  /** Default: 3650 days. */
  readonly rootLifetimeMs?: number;
  /** Default: 365 days; renewed when a third is left. */
  readonly intermediateLifetimeMs?: number;
  /** How far certificates reach back, for clocks that are behind. Default: 2 min. */
  readonly backdateMs?: number;
}

const BACKDATE_MS = 2 * 60 * 1000;

/** An authority that nobody knows yet: one root, which signs. `now`: Unix ms. */
export function foundAuthority(trustDomain: string, now: number, lifetimes: AuthorityLifetimes = {}): CaContent {
  const root = newRoot(trustDomain, now, now, lifetimes);
  return { trustDomain, active: root.id, roots: [root], brought: false };
}

/** `activatedAt`: when it begins to sign; null: not yet. Times are Unix ms. */
export function newRoot(
  trustDomain: string,
  now: number,
  activatedAt: number | null,
  { rootLifetimeMs = 3650 * DAY_MS, backdateMs = BACKDATE_MS }: AuthorityLifetimes,
): CaRoot {
  const id = randomBytes(4).toString("hex");
  const keys = generateKeyPair();
  const subject = nameOf("root", id, trustDomain);
  const pem = signCertificate(
    {
      subject,
      publicKey: keys.publicKey,
      notBefore: now - backdateMs,
      notAfter: now + rootLifetimeMs,
      names: [{ type: "uri", value: `spiffe://${trustDomain}` }],
      ca: { pathLength: 1 },
    },
    { ...keys, subject },
  );
  return { id, addedAt: now, activatedAt, ...toAuthority(pem, keys), intermediate: null };
}

/** `now`: Unix ms. It ends with its root at the latest. */
export function newIntermediate(
  trustDomain: string,
  id: string,
  root: Authority,
  now: number,
  { intermediateLifetimeMs = 365 * DAY_MS, backdateMs = BACKDATE_MS }: AuthorityLifetimes,
): Intermediate {
  const keys = generateKeyPair();
  const pem = signCertificate(
    {
      subject: nameOf("intermediate", id, trustDomain),
      publicKey: keys.publicKey,
      notBefore: now - backdateMs,
      notAfter: Math.min(now + intermediateLifetimeMs, root.certificate.validToDate.getTime()),
      names: [{ type: "uri", value: `spiffe://${trustDomain}` }],
      ca: { pathLength: 0 },
    },
    { certificate: root.certificate, privateKey: root.keys.privateKey },
  );
  return { ...toAuthority(pem, keys), above: [] };
}

function nameOf(role: "root" | "intermediate", id: string, trustDomain: string): DistinguishedName {
  return { organization: trustDomain, commonName: `Outrigger ${role} CA ${id}` };
}

function toAuthority(pem: string, keys: KeyPair): Authority {
  const certificate = parseCertificates(pem)[0];
  if (!certificate) throw new Error("a certificate that was just signed cannot be read");
  return { certificate, pem, keys };
}
