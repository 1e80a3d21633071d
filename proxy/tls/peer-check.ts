/**
 * Decides whether a peer is who it must be: Envoy's `CertificateValidationContext`. OpenSSL has verified the chain
 * during the handshake; everything that configuration adds is judged here, on full and on resumed handshakes alike.
 */
import { createHash, type X509Certificate } from "node:crypto";
import { parseCertificates } from "../../certs/inspect.ts";
import { chainEndsIn } from "../../certs/workload-certificate.ts";
import type { TrustMaterial } from "../../model/secret.ts";
import type { PeerValidation } from "../../model/tls.ts";
import { noCertificate, TlsFailure } from "./failure.ts";
import { chainOf, type Peer, peerOf } from "./peer-info.ts";
import { compileSanMatchers } from "./san-matcher.ts";

/** What a handshake left behind. */
export interface PeerEvidence {
  /** undefined: the peer showed none. */
  readonly certificate: X509Certificate | undefined;
  /** OpenSSL's code for the chain (`CERT_HAS_EXPIRED`), null when it verified. */
  readonly verifyError: string | null;
}

export interface PeerVerdict {
  /** null: accepted. */
  readonly failure: TlsFailure | null;
  /** Whether the chain was verified against roots. */
  readonly verified: boolean;
}

export type PeerCheck = (evidence: PeerEvidence, rootsPem: string, wallTime: number) => PeerVerdict;

const NOT_IN_TIME = new Set(["CERT_HAS_EXPIRED", "CERT_NOT_YET_VALID"]);

/**
 * Compiles the check for peers in the role of `side`. `required` makes a missing certificate a failure. Throws on
 * a SAN regex that is not RE2 syntax.
 */
export function compilePeerCheck(
  validation: PeerValidation | null,
  side: "server" | "client",
  required: boolean,
): PeerCheck {
  if (validation === null) return () => ({ failure: null, verified: false });
  const { certificateHashes, spkiHashes, subjectAltNames, acceptUntrusted, allowExpired } = validation;
  const sanMatches = subjectAltNames.length === 0 ? null : compileSanMatchers(subjectAltNames);
  const pinned = certificateHashes.length + spkiHashes.length > 0;
  const mandatory = certificateIsMandatory(validation, required);

  const names = (peer: Peer): TlsFailure | null => {
    if (sanMatches && !sanMatches(peer.names)) return new TlsFailure("san_mismatch", sanSentence(peer, validation));
    if (pinned && !certificateHashes.includes(peer.names.sha256) && !spkiHashes.includes(spkiHash(peer))) {
      return new TlsFailure(
        "pin_mismatch",
        `the peer's certificate (SHA-256 ${peer.names.sha256}) is not one of the pinned ones`,
      );
    }
    return null;
  };

  return ({ certificate, verifyError }, rootsPem, wallTime) => {
    if (!certificate) return { failure: mandatory ? noCertificate(side) : null, verified: false };
    const peer = peerOf(certificate);
    const chain = validation.roots === null ? null : checkChain(peer, verifyError, rootsPem, wallTime, allowExpired);
    const verified = validation.roots !== null && chain === null;
    const failure = acceptUntrusted ? null : (chain ?? names(peer));
    return { failure, verified };
  };
}

/** The checks of a context with those that the secret of its roots brings: names and hashes of either will do, as in Envoy. */
export function withTrust(validation: PeerValidation | null, trust: TrustMaterial | null): PeerValidation | null {
  const checks = trust?.checks;
  if (validation === null || checks === undefined) return validation;
  return {
    roots: validation.roots,
    subjectAltNames: [...validation.subjectAltNames, ...checks.subjectAltNames],
    certificateHashes: [...validation.certificateHashes, ...checks.certificateHashes],
    spkiHashes: [...validation.spkiHashes, ...checks.spkiHashes],
    acceptUntrusted: validation.acceptUntrusted || checks.acceptUntrusted,
    allowExpired: validation.allowExpired || checks.allowExpired,
  };
}

/**
 * Whether a peer without a certificate is refused. As in Envoy: what can only be checked on a certificate makes it
 * mandatory, and where nothing is to be checked it is not even asked for, required or not.
 */
export function certificateIsMandatory(validation: PeerValidation | null, required: boolean): boolean {
  if (validation === null) return false;
  const { subjectAltNames, certificateHashes, spkiHashes, acceptUntrusted } = validation;
  const checked = subjectAltNames.length + certificateHashes.length + spkiHashes.length > 0;
  return required || (checked && !acceptUntrusted);
}

function checkChain(
  peer: Peer,
  verifyError: string | null,
  rootsPem: string,
  wallTime: number,
  allowExpired: boolean,
): TlsFailure | null {
  if (allowExpired && verifyError !== null && NOT_IN_TIME.has(verifyError)) {
    // OpenSSL keeps its last complaint only: that the time is wrong does not say that the signatures are right.
    const [leaf, ...issuers] = chainOf(peer.certificate);
    if (leaf && chainEndsIn(leaf, issuers, parseCertificates(rootsPem))) return null;
    return new TlsFailure("untrusted", "the peer's certificate does not chain to a trusted root");
  }
  if (verifyError !== null && !NOT_IN_TIME.has(verifyError))
    return new TlsFailure("untrusted", untrustedSentence(peer, verifyError));
  if (allowExpired) return null;
  // A resumed session repeats the verdict of its first handshake, which may be older than the certificate's end.
  const { notBefore, notAfter } = peer.names;
  const clock = `local clock says ${iso(wallTime)}`;
  if (wallTime > notAfter)
    return new TlsFailure("expired", `the peer's certificate expired at ${iso(notAfter)}; ${clock}`);
  if (wallTime < notBefore) {
    return new TlsFailure("not_yet_valid", `the peer's certificate is not valid before ${iso(notBefore)}; ${clock}`);
  }
  if (verifyError === null) return null;
  const kind = verifyError === "CERT_HAS_EXPIRED" ? "expired" : "not_yet_valid";
  const what = kind === "expired" ? "has expired" : "is not valid yet";
  return new TlsFailure(kind, `a certificate in the peer's chain ${what}; ${clock}`);
}

const REASONS: Readonly<Record<string, string>> = {
  UNABLE_TO_GET_ISSUER_CERT: "its issuer is not known here",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "its issuer is not among the trusted roots",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "its issuer is not among the trusted roots",
  SELF_SIGNED_CERT_IN_CHAIN: "its root is not among the trusted ones",
  DEPTH_ZERO_SELF_SIGNED_CERT: "it is self-signed",
  CERT_REVOKED: "it is revoked",
  CERT_SIGNATURE_FAILURE: "its signature is wrong",
  INVALID_PURPOSE: "it may not be used in this role (extended key usage)",
};

function untrustedSentence(peer: Peer, code: string): string {
  const who = nameOf(peer);
  return `the peer's certificate${who} is not trusted: ${REASONS[code] ?? code.toLowerCase().replaceAll("_", " ")} (issuer ${peer.names.issuer || "unnamed"})`;
}

function sanSentence(peer: Peer, validation: PeerValidation): string {
  const wanted = validation.subjectAltNames.map(({ match }) => `${match.kind} "${match.value}"`);
  return `the peer's certificate${nameOf(peer)} is for somebody else: expected ${wanted.join(" or ")}`;
}

function nameOf(peer: Peer): string {
  const { uris, dnsNames, ipAddresses } = peer.names;
  const names = [...uris, ...dnsNames, ...ipAddresses];
  return names.length === 0 ? "" : ` (${names.join(", ")})`;
}

function spkiHash(peer: Peer): string {
  const spki = peer.certificate.publicKey.export({ type: "spki", format: "der" });
  return createHash("sha256").update(spki).digest("base64");
}

function iso(unixMs: number): string {
  return new Date(unixMs).toISOString();
}
