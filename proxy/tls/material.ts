/** Resolving references to TLS material, or saying which is missing. No certificate means no connection, never plaintext. */
import type { CertificateMaterial, TrustMaterial } from "../../model/secret.ts";
import type { CertificateRef, PeerValidation, TrustRef } from "../../model/tls.ts";
import { TlsFailure } from "./failure.ts";
import type { SecretsView } from "./secrets-view.ts";

/** Throws a TlsFailure `no_material` naming the first secret that is not there. */
export function resolveCertificates(refs: readonly CertificateRef[], secrets: SecretsView): CertificateMaterial[] {
  return refs.map((ref) => secrets.certificate(ref) ?? missing(ref, "certificate"));
}

/** null: the chain is not verified. Throws a TlsFailure `no_material` when the roots are not there. */
export function resolveTrust(validation: PeerValidation | null, secrets: SecretsView): TrustMaterial | null {
  if (validation === null || validation.roots === null) return null;
  return secrets.trust(validation.roots) ?? missing(validation.roots, "trust bundle");
}

function missing(ref: CertificateRef | TrustRef, what: string): never {
  const name = ref.kind === "sds" ? ` "${ref.name}"` : "";
  throw new TlsFailure("no_material", `the ${what}${name} has not arrived yet`);
}
