/** Whether a stream may speak for the workload that it names. */
import { BlockList, isIPv6 } from "node:net";
import { formatIdentity, parseIdentity } from "../../model/identity.ts";
import type { Workload } from "../mesh/workload.ts";

/** What is known of the other end of a stream. */
export interface Peer {
  /** `127.0.0.1:40312`, as gRPC names it. */
  readonly address: string;
  /** Whether it came over TLS. */
  readonly secure: boolean;
  /** URI SANs of its verified certificate; empty without one. */
  readonly uris: readonly string[];
}

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet("127.0.0.0", 8, "ipv4");
LOOPBACK.addAddress("::1", "ipv6");
LOOPBACK.addSubnet("::ffff:127.0.0.0", 104, "ipv6");

/** Why the stream is refused, or null. Over TLS the certificate must be the workload's; plaintext is for this machine. */
export function refusal(peer: Peer, workload: Workload, trustDomain: string): string | null {
  if (workload.trustDomain !== trustDomain) {
    return `the sidecar belongs to trust domain "${workload.trustDomain}", this mesh is "${trustDomain}"`;
  }
  if (!peer.secure) {
    return isLoopback(peer.address) ? null : "plaintext is served to this machine only: connect over TLS (port 15012)";
  }
  const { namespace, serviceAccount } = workload;
  const claimed = formatIdentity({ trustDomain, namespace, serviceAccount });
  if (peer.uris.length === 0) return "a client certificate of this mesh is required";
  if (!peer.uris.some((uri) => parseIdentity(uri) !== null && uri === claimed)) {
    return `the certificate is for ${peer.uris.join(", ")}, the sidecar claims to be ${claimed}`;
  }
  return null;
}

function isLoopback(address: string): boolean {
  const host = address.replace(/:\d+$/, "").replace(/^\[|\]$/g, "");
  return LOOPBACK.check(host, isIPv6(host) ? "ipv6" : "ipv4");
}
