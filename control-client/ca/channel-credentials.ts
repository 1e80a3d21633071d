/** TLS towards the control plane: its chain must end in a root of the mesh, and its name must be the control plane's. */
import { checkServerIdentity, createSecureContext, type PeerCertificate } from "node:tls";
import { type ChannelCredentials, credentials } from "@grpc/grpc-js";
import { parseAltNames } from "../../certs/inspect.ts";
import type { WorkloadCertificate } from "../../certs/workload-certificate.ts";

export interface ControlPlaneTrust {
  /** PEM. */
  readonly rootsPem: string;
  /** The control plane's SPIFFE id. null: it has none (Istio's), only its DNS name counts. */
  readonly spiffeId: string | null;
}

/**
 * Credentials for connections that begin now; make new ones after a rotation. `certificate` is shown to the control
 * plane if it is given. Throws what OpenSSL says about material that it cannot use.
 */
export function controlPlaneCredentials(
  trust: ControlPlaneTrust,
  certificate: Pick<WorkloadCertificate, "chainPem" | "keyPem"> | null,
): ChannelCredentials {
  const context = createSecureContext({
    minVersion: "TLSv1.2",
    ca: trust.rootsPem,
    ...(certificate ? { cert: certificate.chainPem, key: certificate.keyPem } : {}),
  });
  return credentials.createFromSecureContext(context, {
    checkServerIdentity: (host, peer) => checkControlPlane(trust.spiffeId, host, peer),
  });
}

/** undefined: it is the control plane. No workload's certificate has a DNS name, so a name is as good as the id. */
export function checkControlPlane(spiffeId: string | null, host: string, peer: PeerCertificate): Error | undefined {
  const names = parseAltNames(peer.subjectaltname ?? "");
  if (spiffeId !== null && names.some(({ type, value }) => type === "URI" && value === spiffeId)) return undefined;
  if (checkServerIdentity(host, peer) === undefined) return undefined;
  const given = names.map(({ value }) => value).join(", ") || "no name";
  const wanted = spiffeId === null ? host : `${spiffeId} or ${host}`;
  return new Error(`the server is not the control plane: its certificate is for ${given}, expected ${wanted}`);
}
