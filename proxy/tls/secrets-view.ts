/** Where TLS material comes from: given in place, by SDS, or the workload's own identity. Always the newest. */
import type { WorkloadCertificate } from "../../certs/workload-certificate.ts";
import { materialOf } from "../../certs/workload-certificate.ts";
import type { Watch } from "../../core/watch.ts";
import type { CertificateMaterial, TrustMaterial } from "../../model/secret.ts";
import type { Snapshot } from "../../model/snapshot.ts";
import { type CertificateRef, type TrustRef, WORKLOAD_CERT, WORKLOAD_ROOTS } from "../../model/tls.ts";

/** The same object for the same material, so that `===` tells whether something has changed. */
export interface SecretsView {
  /** null: not there (yet). */
  certificate(ref: CertificateRef): CertificateMaterial | null;
  trust(ref: TrustRef): TrustMaterial | null;
}

/**
 * Looks names up in the newest snapshot's secrets; `default` and `ROOTCA` that are not there are the workload's own
 * identity and the roots that came with it.
 */
export function secretsView(
  snapshots: Pick<Watch<Snapshot>, "get">,
  identity: Pick<Watch<WorkloadCertificate>, "get"> | null,
): SecretsView {
  return {
    certificate(ref) {
      if (ref.kind === "inline") return ref.material;
      const secret = snapshots.get()?.secrets.get(ref.name);
      if (secret?.kind === "certificate") return secret.material;
      const own = ref.name === WORKLOAD_CERT ? identity?.get() : undefined;
      return own ? materialOf(own).certificate : null;
    },
    trust(ref) {
      if (ref.kind === "inline") return ref.material;
      const secret = snapshots.get()?.secrets.get(ref.name);
      if (secret?.kind === "trust") return secret.material;
      const own = ref.name === WORKLOAD_ROOTS ? identity?.get() : undefined;
      return own ? materialOf(own).trust : null;
    },
  };
}
