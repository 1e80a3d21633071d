/** TLS contexts: `envoy.extensions.transport_sockets.tls.v3`, resolved as far as references by name. */
import type { ConfigSource } from "./bootstrap.ts";
import type { CertificateMaterial, SanMatch, TrustChecks, TrustMaterial } from "./secret.ts";

/**
 * TLS material given in place, or by SDS name (looked up in `Snapshot.secrets`, or from Outrigger's own CA:
 * `WORKLOAD_CERT`, `WORKLOAD_ROOTS`). `source` is `sds_config`; absent: a static secret, or the CA's.
 */
export type CertificateRef =
  | { readonly kind: "inline"; readonly material: CertificateMaterial }
  | { readonly kind: "sds"; readonly name: string; readonly source?: ConfigSource };
export type TrustRef =
  | { readonly kind: "inline"; readonly material: TrustMaterial }
  | { readonly kind: "sds"; readonly name: string; readonly source?: ConfigSource };

/** SDS names (Istio's) of the workload's own certificate and of the mesh's roots. */
export const WORKLOAD_CERT = "default";
export const WORKLOAD_ROOTS = "ROOTCA";

/** ALPN between sidecars for a connection whose bytes are not looked into. */
export const OPAQUE_ALPN = "outrigger-tcp/1";

/** ALPN between sidecars for a connection that carries many of those as streams. */
export const OPAQUE_STREAMS_ALPN = "outrigger-tcp-mux/1";

export interface TlsParams {
  /** e.g. `TLSv1.2`; null: the default. */
  readonly minVersion: TlsVersion | null;
  readonly maxVersion: TlsVersion | null;
  /** OpenSSL names; unknown ones were dropped with a note. */
  readonly cipherSuites: readonly string[];
  readonly ecdhCurves: readonly string[];
}

export type TlsVersion = "TLSv1" | "TLSv1.1" | "TLSv1.2" | "TLSv1.3";

/** How the peer's certificate is checked. */
export interface PeerValidation extends TrustChecks {
  /** null: the chain is not verified (Envoy's meaning of no trusted CA). */
  readonly roots: TrustRef | null;
}

export type { SanMatch };

export interface DownstreamTls {
  readonly params: TlsParams;
  readonly certificates: readonly CertificateRef[];
  /** null: the peer's certificate is not asked for. */
  readonly validation: PeerValidation | null;
  readonly requireClientCertificate: boolean;
  readonly alpn: readonly string[];
  readonly requireSni: boolean;
  readonly sessionTickets: boolean;
}

export interface UpstreamTls {
  readonly params: TlsParams;
  readonly certificates: readonly CertificateRef[];
  /** null: the server's certificate is not verified. */
  readonly validation: PeerValidation | null;
  readonly alpn: readonly string[];
  /** "" for none. */
  readonly sni: string;
  readonly autoHostSni: boolean;
  readonly autoSanValidation: boolean;
  readonly maxSessionKeys: number;
}
