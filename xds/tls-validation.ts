/** How a peer's certificate is checked: `CertificateValidationContext` to `PeerValidation` and back. */
import { create } from "@bufbuild/protobuf";
import {
  type CertificateValidationContext,
  CertificateValidationContextSchema,
} from "../generated/envoy/extensions/transport_sockets/tls/v3/common_pb.js";
import type { PeerValidation, TrustRef } from "../model/tls.ts";
import { decodeChecks, encodeChecks } from "./peer-checks.ts";
import type { Place } from "./place.ts";
import { decodeTrust, encodeTrust } from "./secret.ts";

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
  const validation: PeerValidation = { roots: sds ?? decodeRoots(checks, at), ...decodeChecks(checks, at) };
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

/** The checks; roots only if they are given in place. */
export function encodeValidation(validation: PeerValidation): CertificateValidationContext {
  const message =
    validation.roots?.kind === "inline"
      ? encodeTrust(validation.roots.material)
      : create(CertificateValidationContextSchema);
  encodeChecks(validation, message);
  return message;
}
