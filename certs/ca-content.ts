/** What a certificate authority consists of, as plain data: its roots, and which of them signs. Wherever it is kept, it is this. */
import type { X509Certificate } from "node:crypto";
import type { KeyPair } from "./key.ts";

/** Whoever can sign: a root, or an intermediate under it. */
export interface Authority {
  readonly certificate: X509Certificate;
  readonly pem: string;
  readonly keys: KeyPair;
}

/** Signs leaves in place of its root. */
export interface Intermediate extends Authority {
  /** Between it and the root, PEM, the nearest first. */
  readonly above: readonly string[];
}

export interface RootRecord {
  readonly id: string;
  /** Unix ms. */
  readonly addedAt: number;
  /** When it began to sign, Unix ms; null: never yet. */
  readonly activatedAt: number | null;
}

export interface CaRoot extends RootRecord {
  readonly certificate: X509Certificate;
  readonly pem: string;
  /** null: its key is elsewhere, and only an intermediate signs. */
  readonly keys: KeyPair | null;
  readonly intermediate: Intermediate | null;
}

export interface CaContent {
  readonly trustDomain: string;
  /** `RootRecord.id` of the one that signs. */
  readonly active: string;
  /** The bundle, oldest first. */
  readonly roots: readonly CaRoot[];
  /** Made elsewhere: whoever brought it changes its roots. */
  readonly brought: boolean;
}

/** The trusted roots in PEM, the signing one first. */
export function bundlePem({ roots, active }: CaContent): string {
  const signingFirst = [...roots].sort((a, b) => Number(b.id === active) - Number(a.id === active));
  return signingFirst.map(({ pem }) => pem).join("");
}
