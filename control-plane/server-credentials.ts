/**
 * TLS of the control plane's own port: its certificate follows the CA without a restart. Client certificates are asked
 * for and not required, because a workload's first request, with a join token, is for one; each service decides what it
 * demands of its callers.
 */
import { ServerCredentials } from "@grpc/grpc-js";
import type { CertificateAuthority } from "../certs/ca.ts";
import { parseCsr } from "../certs/csr.ts";
import type { SubjectAltName } from "../certs/extensions.ts";
import { WorkloadIdentity } from "../certs/rotation.ts";
import type { WorkloadCertificate } from "../certs/workload-certificate.ts";
import type { Clock } from "../core/clock.ts";
import { messageOf } from "../core/errors.ts";
import type { Logger } from "../core/log.ts";
import type { Random } from "../core/random.ts";
import { nextValue, type Watch } from "../core/watch.ts";
import { controlPlaneIdentity, formatIdentity } from "../model/identity.ts";

/** Under which names the control plane answers, besides its SPIFFE id. */
const SERVER_NAMES: readonly SubjectAltName[] = [
  { type: "dns", value: "localhost" },
  { type: "dns", value: "outrigger-control-plane" },
  { type: "ip", value: "127.0.0.1" },
  { type: "ip", value: "::1" },
];

class RotatingCredentials extends ServerCredentials {
  constructor(certificate: WorkloadCertificate) {
    super({ requestCert: true, rejectUnauthorized: false, minVersion: "TLSv1.2" }, secureContext(certificate));
  }

  replace(certificate: WorkloadCertificate): void {
    this.updateSecureContextOptions(secureContext(certificate));
  }

  override _equals(other: ServerCredentials): boolean {
    return this === other;
  }
}

function secureContext(certificate: WorkloadCertificate): { cert: string; key: string; ca: string } {
  // The roots are presented as well: a workload that joins knows only their hashes, and takes them from here.
  const cert = certificate.chainPem + certificate.rootsPem;
  return { cert, key: certificate.keyPem, ca: certificate.rootsPem };
}

export interface ServerIdentity {
  readonly credentials: ServerCredentials;
  /** The certificate in force, for other servers of the control plane. */
  readonly certificate: Watch<WorkloadCertificate>;
  stop(): void;
}

/** Issues the server's certificate and keeps it and the trusted roots current. `extraNames` are names that it is reached by. */
export async function serverIdentity(
  ca: CertificateAuthority,
  clock: Clock,
  random: Random,
  log: Logger,
  extraNames: readonly SubjectAltName[] = [],
): Promise<ServerIdentity> {
  const identity = controlPlaneIdentity(ca.trustDomain);
  const names: readonly SubjectAltName[] = [
    { type: "uri", value: formatIdentity(identity) },
    ...SERVER_NAMES,
    ...extraNames,
  ];
  const own = new WorkloadIdentity({
    identity,
    clock,
    random,
    issue: async (csr, lifetimeMs) => ({
      chain: ca.issue(parseCsr(csr).publicKey, names, lifetimeMs).chainPem,
      roots: ca.bundle.get() ?? "",
    }),
    onError: (error) => log.error({ error: messageOf(error) }, "the control plane has no valid certificate"),
  });
  own.start();
  const credentials = new RotatingCredentials(await nextValue(own.certificate));
  const stopFollowing = own.certificate.subscribe((certificate) => credentials.replace(certificate));
  const stopRoots = ca.bundle.subscribe((roots) => own.updateRoots(roots));
  return {
    credentials,
    certificate: own.certificate,
    stop() {
      stopRoots();
      stopFollowing();
      own.stop();
    },
  };
}
