/** What the peer's certificate says, parsed once for each certificate: RBAC, XFCC and logs read it for every request. */
import type { X509Certificate } from "node:crypto";
import { type CertificateInfo, describeCertificate } from "../../certs/inspect.ts";
import type { PeerInfo } from "../../telemetry/stream-info.ts";

/** A peer with what only the SAN matchers need. */
export interface Peer {
  readonly certificate: X509Certificate;
  readonly names: CertificateInfo;
}

/** Peers of the busiest sidecar, many times over; beyond it the oldest are parsed again. */
const MAX_CACHED = 1024;

const peers = new Map<string, { readonly peer: Peer; verified: PeerInfo | null; unverified: PeerInfo | null }>();

/** The parsed form of a certificate; the same object for the same certificate while it is cached. */
export function peerOf(certificate: X509Certificate): Peer {
  return entryOf(certificate).peer;
}

/** The same as loggers and matchers want it; `verified` tells whether its chain was checked against roots. */
export function peerInfo(certificate: X509Certificate, verified: boolean): PeerInfo {
  const entry = entryOf(certificate);
  if (verified) return (entry.verified ??= toInfo(entry.peer, true));
  return (entry.unverified ??= toInfo(entry.peer, false));
}

function entryOf(certificate: X509Certificate) {
  const key = certificate.fingerprint256;
  let entry = peers.get(key);
  if (!entry) {
    if (peers.size >= MAX_CACHED) peers.delete(peers.keys().next().value ?? "");
    entry = { peer: { certificate, names: describeCertificate(certificate) }, verified: null, unverified: null };
    peers.set(key, entry);
  }
  return entry;
}

function toInfo({ certificate, names }: Peer, verified: boolean): PeerInfo {
  let pem: string | undefined;
  let chainPem: string | undefined;
  return {
    uriSans: names.uris,
    dnsSans: names.dnsNames,
    subject: names.subject,
    issuer: names.issuer,
    serial: names.serial,
    fingerprint256: names.sha256,
    notBefore: names.notBefore,
    notAfter: names.notAfter,
    pem: () => (pem ??= certificate.toString()),
    chainPem: () => (chainPem ??= chainOf(certificate).map(String).join("")),
    verified,
  };
}

/** The leaf and the issuers that came with it, as far as they are known. */
export function chainOf(leaf: X509Certificate): X509Certificate[] {
  const chain = [leaf];
  for (let next = leaf.issuerCertificate; next; next = next.issuerCertificate) {
    if (chain.some((known) => known.fingerprint256 === next?.fingerprint256)) break;
    chain.push(next);
  }
  return chain;
}
