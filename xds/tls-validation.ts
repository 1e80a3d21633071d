/** How a peer's certificate is checked: `CertificateValidationContext` to `PeerValidation` and back. */
import { create } from "@bufbuild/protobuf";
import {
  type CertificateValidationContext,
  CertificateValidationContextSchema,
  SubjectAltNameMatcher_SanType as SanType,
  type SubjectAltNameMatcher,
  SubjectAltNameMatcher_SanTypeSchema,
  SubjectAltNameMatcherSchema,
  CertificateValidationContext_TrustChainVerification as TrustChainVerification,
} from "../generated/envoy/extensions/transport_sockets/tls/v3/common_pb.js";
import type { PeerValidation, SanMatch, TrustRef } from "../model/tls.ts";
import { decodeStringMatcher, encodeStringMatcher } from "./matcher.ts";
import type { Place } from "./place.ts";
import { decodeTrust, encodeTrust } from "./secret.ts";
import { numberOf, wordOf } from "./values.ts";

/** SHA-256 in hex, with or without a colon after each byte. */
const HASH = /^[0-9a-f]{64}$/;
/** 32 bytes in base64. */
const SPKI = /^[A-Za-z0-9+/]{43}=$/;

/**
 * The checks of a context, with roots from `sds` if that is given, else from the context itself. null if it checks
 * nothing at all.
 */
export function decodeValidation(
  message: CertificateValidationContext | undefined,
  sds: TrustRef | null,
  at: Place,
): PeerValidation | null {
  const checks = message ?? create(CertificateValidationContextSchema);
  if (checks.requireSignedCertificateTimestamp) {
    at.field("require_signed_certificate_timestamp").error("is not supported");
  }
  const validation: PeerValidation = {
    roots: sds ?? decodeRoots(checks, at),
    subjectAltNames: decodeSans(checks, at),
    certificateHashes: checks.verifyCertificateHash.map((hash, i) =>
      decodeHash(hash, at.item("verify_certificate_hash", i)),
    ),
    spkiHashes: checks.verifyCertificateSpki.map((hash, i) => decodeSpki(hash, at.item("verify_certificate_spki", i))),
    acceptUntrusted: checks.trustChainVerification === TrustChainVerification.ACCEPT_UNTRUSTED,
    allowExpired: checks.allowExpiredCertificate,
  };
  if (!validation.roots) refuseWithoutRoots(validation, at);
  const { roots, certificateHashes, spkiHashes, acceptUntrusted } = validation;
  const empty = !roots && certificateHashes.length === 0 && spkiHashes.length === 0 && !acceptUntrusted;
  return empty ? null : validation;
}

function decodeRoots(message: CertificateValidationContext, at: Place): TrustRef | null {
  const material = decodeTrust(message, at);
  if (message.trustedCa) return { kind: "inline", material };
  if (message.crl) at.field("crl").error("has no meaning without a trusted CA");
  return null;
}

/** Envoy refuses these too: a name in a certificate that anyone may have signed proves nothing. */
function refuseWithoutRoots(validation: PeerValidation, at: Place): void {
  if (validation.subjectAltNames.length > 0) {
    at.field("match_typed_subject_alt_names").error("checking names without a trusted CA is not secure");
  }
  if (validation.allowExpired) at.field("allow_expired_certificate").error("has no meaning without a trusted CA");
}

const SAN_TYPES: Readonly<Record<number, Exclude<SanMatch["type"], "any">>> = {
  [SanType.EMAIL]: "email",
  [SanType.DNS]: "dns",
  [SanType.URI]: "uri",
  [SanType.IP_ADDRESS]: "ip",
};

/** The typed matchers come before those of any type, as in Envoy: where both are given the latter are not used. */
function decodeSans(message: CertificateValidationContext, at: Place): SanMatch[] {
  const typed = message.matchTypedSubjectAltNames;
  if (typed.length > 0) return typed.map((item, i) => decodeSan(item, at.item("match_typed_subject_alt_names", i)));
  return message.matchSubjectAltNames.map((matcher, i) => ({
    type: "any",
    match: decodeStringMatcher(matcher, at.item("match_subject_alt_names", i)),
  }));
}

function decodeSan(message: SubjectAltNameMatcher, at: Place): SanMatch {
  if (!message.matcher) at.field("matcher").error("is required");
  if (message.sanType === SanType.SAN_TYPE_UNSPECIFIED) at.field("san_type").error("is required");
  else wordOf(SubjectAltNameMatcher_SanTypeSchema, message.sanType, SAN_TYPES, at.field("san_type"));
  return {
    type: SAN_TYPES[message.sanType] ?? "any",
    match: message.matcher
      ? decodeStringMatcher(message.matcher, at.field("matcher"))
      : { kind: "exact", value: "", ignoreCase: false },
  };
}

function decodeHash(text: string, at: Place): string {
  const hash = text.replaceAll(":", "").toLowerCase();
  if (!HASH.test(hash)) at.error("expected a SHA-256 hash as 64 hex digits");
  return hash;
}

function decodeSpki(text: string, at: Place): string {
  if (!SPKI.test(text)) at.error("expected a SHA-256 hash in base64");
  return text;
}

/** The checks; roots only if they are given in place. */
export function encodeValidation(validation: PeerValidation): CertificateValidationContext {
  const message =
    validation.roots?.kind === "inline"
      ? encodeTrust(validation.roots.material)
      : create(CertificateValidationContextSchema);
  message.verifyCertificateHash = [...validation.certificateHashes];
  message.verifyCertificateSpki = [...validation.spkiHashes];
  message.allowExpiredCertificate = validation.allowExpired;
  if (validation.acceptUntrusted) message.trustChainVerification = TrustChainVerification.ACCEPT_UNTRUSTED;
  for (const { type, match } of validation.subjectAltNames) {
    const matcher = encodeStringMatcher(match);
    if (type === "any") message.matchSubjectAltNames.push(matcher);
    else {
      const sanType = numberOf(SAN_TYPES, type);
      message.matchTypedSubjectAltNames.push(create(SubjectAltNameMatcherSchema, { sanType, matcher }));
    }
  }
  return message;
}
