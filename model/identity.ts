/** SPIFFE identities (SPIFFE-ID specification, section 2), in the form that meshes use. */

export interface Identity {
  readonly trustDomain: string;
  readonly namespace: string;
  readonly serviceAccount: string;
}

/** `spiffe://<trust-domain>/ns/<namespace>/sa/<service-account>` */
export function formatIdentity(identity: Identity): string {
  return `spiffe://${identity.trustDomain}/ns/${identity.namespace}/sa/${identity.serviceAccount}`;
}

const PATTERN = /^spiffe:\/\/([a-z0-9._-]{1,255})\/ns\/([a-zA-Z0-9._-]+)\/sa\/([a-zA-Z0-9._-]+)$/;

/** Reads a SPIFFE id of that form; null for anything else. */
export function parseIdentity(uri: string): Identity | null {
  const match = PATTERN.exec(uri);
  if (!match) return null;
  return { trustDomain: match[1] ?? "", namespace: match[2] ?? "", serviceAccount: match[3] ?? "" };
}

/** Who the control plane is in its own mesh: what sidecars expect at the other end of their streams. */
export function controlPlaneIdentity(trustDomain: string): Identity {
  return { trustDomain, namespace: "outrigger-system", serviceAccount: "outrigger-control-plane" };
}
