/** Where a stream goes: a cluster of the bootstrap, or an address given on the command line, as gRPC targets. */
import { isIP } from "node:net";
import { createSecureContext, type SecureContextOptions } from "node:tls";
import { type ChannelCredentials, credentials } from "@grpc/grpc-js";
import { UserError } from "../core/errors.ts";
import type { Address } from "../model/address.ts";
import type { Cluster } from "../model/cluster.ts";
import type { Endpoint, EndpointSet } from "../model/endpoint.ts";
import type { Secret } from "../model/secret.ts";
import type { CertificateRef, PeerValidation, TrustRef, UpstreamTls } from "../model/tls.ts";
import type { GrpcTarget } from "./ads/grpc-transport.ts";
import { checkPeer } from "./peer-check.ts";

/** Finds TLS material by SDS name at the time of connecting; undefined while there is none. */
export type SecretLookup = (name: string) => Secret | undefined;

/**
 * The endpoints of a cluster, by priority, as targets. Throws UserError for a cluster that has no addresses of its own
 * (one that is itself discovered cannot lead to the control plane).
 */
export function clusterTargets(cluster: Cluster, secretOf: SecretLookup): GrpcTarget[] {
  const endpoints = "endpoints" in cluster.discovery ? usableEndpoints(cluster.discovery.endpoints) : [];
  if (endpoints.length === 0) {
    const resource = `cluster ${JSON.stringify(cluster.name)}`;
    throw new UserError([{ resource, message: "leads to the control plane but has no endpoints of its own" }]);
  }
  return endpoints.map((endpoint) => {
    const tls = tlsOf(cluster, endpoint);
    return {
      address: grpcAddress(endpoint.address),
      credentials: () => (tls ? tlsCredentials(tls, secretOf) : credentials.createInsecure()),
      // Envoy's authority is the cluster's name.
      options: { "grpc.default_authority": cluster.name, ...(tls ? serverName(tls.sni, endpoint.address) : {}) },
    };
  });
}

/**
 * A control plane given as `HOST:PORT` (`[::1]:15010` for IPv6), reached with the credentials that the caller found
 * right for it. `expectedName` is sent as SNI, "" for the host. Throws UserError for anything else.
 */
export function controlPlaneTarget(
  hostPort: string,
  channelCredentials: () => ChannelCredentials,
  expectedName = "",
): GrpcTarget {
  const address = parseHostPort(hostPort);
  return {
    address: grpcAddress(address),
    credentials: channelCredentials,
    options: serverName(expectedName, address),
  };
}

/** `HOST:PORT`. Throws UserError with what is wrong. */
export function parseHostPort(text: string): Address {
  const match = /^(?:\[([0-9a-f:.%]+)\]|([^:[\]]+)):(\d{1,5})$/i.exec(text);
  const host = match?.[1] ?? match?.[2] ?? "";
  const port = Number(match?.[3]);
  if (host === "" || !(port >= 1 && port <= 65_535)) {
    throw new UserError(`${JSON.stringify(text)} is no HOST:PORT`, 2);
  }
  return { kind: "tcp", host, port };
}

function usableEndpoints(set: EndpointSet): Endpoint[] {
  return [...set.localities]
    .sort((a, b) => a.priority - b.priority)
    .flatMap((locality) => locality.endpoints)
    .filter((endpoint) => endpoint.health === "healthy" || endpoint.health === "degraded");
}

function grpcAddress(address: Address): string {
  if (address.kind === "pipe") return `unix:${address.path}`;
  const { host, port } = address;
  const family = isIP(host);
  if (family === 0) return `dns:///${host}:${port}`;
  return family === 6 ? `ipv6:[${host}]:${port}` : `ipv4:${host}:${port}`;
}

/** The first match by the endpoint's metadata wins over the cluster's own context. */
function tlsOf(cluster: Cluster, endpoint: Endpoint): UpstreamTls | null {
  const match = cluster.tlsMatches.find((candidate) =>
    Object.entries(candidate.match).every(([key, value]) => endpoint.transportSocketMatch[key] === value),
  );
  return match ? match.tls : cluster.tls;
}

/** An IP address is no server name (RFC 6066 section 3), so one must be said instead. */
function serverName(sni: string, address: Address): { "grpc.ssl_target_name_override": string } {
  const host = address.kind === "tcp" && isIP(address.host) === 0 ? address.host : "localhost";
  return { "grpc.ssl_target_name_override": sni || host };
}

function tlsCredentials(tls: UpstreamTls, secretOf: SecretLookup): ChannelCredentials {
  const { validation, params } = tls;
  const options: SecureContextOptions = {};
  const roots = validation?.roots ? trustOf(validation.roots, secretOf) : null;
  if (roots) {
    options.ca = roots.roots;
    if (roots.crl) options.crl = roots.crl;
  }
  const certificates = tls.certificates.map((ref) => certificateOf(ref, secretOf));
  if (certificates.length > 0) {
    options.cert = certificates.map((certificate) => certificate.certificateChain);
    options.key = certificates.map(({ privateKey, password }) =>
      password ? { pem: privateKey, passphrase: password } : { pem: privateKey },
    );
  }
  if (params.minVersion) options.minVersion = params.minVersion;
  if (params.maxVersion) options.maxVersion = params.maxVersion;
  if (params.cipherSuites.length > 0) options.ciphers = params.cipherSuites.join(":");
  if (params.ecdhCurves.length > 0) options.ecdhCurve = params.ecdhCurves.join(":");
  // Envoy checks the chain only against roots that are configured, and names only if any are.
  const verified = roots !== null && validation?.acceptUntrusted !== true;
  if (!verified && validation && hasChecks(validation)) {
    throw new Error("names and hashes can be checked only of a certificate that chains to trusted roots");
  }
  return credentials.createFromSecureContext(createSecureContext(options), {
    rejectUnauthorized: verified,
    checkServerIdentity: (_, certificate) => (validation ? checkPeer(validation, certificate) : undefined),
  });
}

/** Node does not ask for more once it was told to take any chain; better no connection than an unchecked one. */
function hasChecks({ subjectAltNames, certificateHashes, spkiHashes }: PeerValidation): boolean {
  return subjectAltNames.length + certificateHashes.length + spkiHashes.length > 0;
}

function trustOf(ref: TrustRef, secretOf: SecretLookup) {
  if (ref.kind === "inline") return ref.material;
  const secret = secretOf(ref.name);
  if (secret?.kind !== "trust") throw new Error(`the roots ${JSON.stringify(ref.name)} are not there yet`);
  return secret.material;
}

function certificateOf(ref: CertificateRef, secretOf: SecretLookup) {
  if (ref.kind === "inline") return ref.material;
  const secret = secretOf(ref.name);
  if (secret?.kind !== "certificate") throw new Error(`the certificate ${JSON.stringify(ref.name)} is not there yet`);
  return secret.material;
}
