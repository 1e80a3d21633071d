/** TLS material: `envoy.extensions.transport_sockets.tls.v3.Secret`. PEM text; where a file was named it has been read. */
import type { StringMatch } from "./matcher.ts";

export interface CertificateMaterial {
  /** Leaf first, PEM. */
  readonly certificateChain: string;
  /** PKCS#1, PKCS#8 or SEC1, PEM. */
  readonly privateKey: string;
  /** "" for none. */
  readonly password: string;
}

export interface TrustMaterial {
  /** One or more certificates, PEM. */
  readonly roots: string;
  /** PEM, "" for none. */
  readonly crl: string;
  /** What a secret's validation context asks beyond the roots; absent: nothing. */
  readonly checks?: TrustChecks;
}

/** Checks of a peer's certificate beside its chain. */
export interface TrustChecks {
  /** One must match one SAN; empty: any. */
  readonly subjectAltNames: readonly SanMatch[];
  /** SHA-256 of the certificate, hex lower case without colons. */
  readonly certificateHashes: readonly string[];
  /** SHA-256 of the SPKI, base64. */
  readonly spkiHashes: readonly string[];
  readonly acceptUntrusted: boolean;
  readonly allowExpired: boolean;
}

export interface SanMatch {
  readonly type: "any" | "uri" | "dns" | "email" | "ip";
  readonly match: StringMatch;
}

export type Secret =
  | { readonly kind: "certificate"; readonly name: string; readonly material: CertificateMaterial }
  | { readonly kind: "trust"; readonly name: string; readonly material: TrustMaterial };
