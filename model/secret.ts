/** TLS material: `envoy.extensions.transport_sockets.tls.v3.Secret`. PEM text; where a file was named it has been read. */

export interface CertificateMaterial {
  /** Leaf first, PEM. */
  readonly certificateChain: string;
  /** PKCS#1, PKCS#8 or SEC1, PEM. */
  readonly privateKey: string;
  /** "" for none. */
  readonly password: string;
}

export interface TrustMaterial {
  /** One or more certificates, PEM. */
  readonly roots: string;
  /** PEM, "" for none. */
  readonly crl: string;
}

export type Secret =
  | { readonly kind: "certificate"; readonly name: string; readonly material: CertificateMaterial }
  | { readonly kind: "trust"; readonly name: string; readonly material: TrustMaterial };
