/** Checks of a peer's certificate beside its chain: the names, hashes and switches of `CertificateValidationContext`. */
import { create } from "@bufbuild/protobuf";
import {
  type CertificateValidationContext,
  SubjectAltNameMatcher_SanType as SanType,
  type SubjectAltNameMatcher,
  SubjectAltNameMatcher_SanTypeSchema,
  SubjectAltNameMatcherSchema,
  CertificateValidationContext_TrustChainVerification as TrustChainVerification,
} from "../generated/envoy/extensions/transport_sockets/tls/v3/common_pb.js";
import type { SanMatch, TrustChecks } from "../model/secret.ts";
import { decodeStringMatcher, encodeStringMatcher } from "./matcher.ts";
import type { Place } from "./place.ts";
import { numberOf, wordOf } from "./values.ts";

/** SHA-256 in hex, with or without a colon after each byte. */
const HASH = /^[0-9a-f]{64}$/;
/** 32 bytes in base64. */
const SPKI = /^[A-Za-z0-9+/]{43}=$/;

export function decodeChecks(message: CertificateValidationContext, at: Place): TrustChecks {
  if (message.requireSignedCertificateTimestamp) {
    at.field("require_signed_certificate_timestamp").error("is not supported");
  }
  return {
    subjectAltNames: decodeSans(message, at),
    certificateHashes: message.verifyCertificateHash.map((hash, i) =>
      decodeHash(hash, at.item("verify_certificate_hash", i)),
    ),
    spkiHashes: message.verifyCertificateSpki.map((hash, i) => decodeSpki(hash, at.item("verify_certificate_spki", i))),
    acceptUntrusted: message.trustChainVerification === TrustChainVerification.ACCEPT_UNTRUSTED,
    allowExpired: message.allowExpiredCertificate,
  };
}

/** Whether anything is asked. */
export function asksNothing(checks: TrustChecks): boolean {
  const { subjectAltNames, certificateHashes, spkiHashes, acceptUntrusted, allowExpired } = checks;
  const lists = subjectAltNames.length + certificateHashes.length + spkiHashes.length;
  return lists === 0 && !acceptUntrusted && !allowExpired;
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

/** Sets the checks' fields of the message. */
export function encodeChecks(checks: TrustChecks, message: CertificateValidationContext): void {
  message.verifyCertificateHash = [...checks.certificateHashes];
  message.verifyCertificateSpki = [...checks.spkiHashes];
  message.allowExpiredCertificate = checks.allowExpired;
  if (checks.acceptUntrusted) message.trustChainVerification = TrustChainVerification.ACCEPT_UNTRUSTED;
  for (const { type, match } of checks.subjectAltNames) {
    const matcher = encodeStringMatcher(match);
    if (type === "any") message.matchSubjectAltNames.push(matcher);
    else {
      const sanType = numberOf(SAN_TYPES, type);
      message.matchTypedSubjectAltNames.push(create(SubjectAltNameMatcherSchema, { sanType, matcher }));
    }
  }
}
