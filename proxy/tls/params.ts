/** Versions, ciphers and curves: Envoy's `TlsParameters` and its defaults, in OpenSSL's words. */
import { constants } from "node:crypto";
import type { SecureContextOptions } from "node:tls";
import type { TlsParams, TlsVersion } from "../../model/tls.ts";

const ORDER: readonly TlsVersion[] = ["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"];

/** Envoy configures no TLS 1.3 suites. AES-128 first: the cheapest where the CPU has AES, as BoringSSL orders them. */
const TLS13_CIPHERS = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";

/** Envoy's default `cipher_suites`. */
const TLS12_CIPHERS = [
  "ECDHE-ECDSA-AES128-GCM-SHA256",
  "ECDHE-ECDSA-CHACHA20-POLY1305",
  "ECDHE-RSA-AES128-GCM-SHA256",
  "ECDHE-RSA-CHACHA20-POLY1305",
  "ECDHE-ECDSA-AES256-GCM-SHA384",
  "ECDHE-RSA-AES256-GCM-SHA384",
];

/** Envoy's default `ecdh_curves`. */
const CURVES = ["X25519", "P-256"];

/** The part of a context that does not depend on certificates. */
export function secureOptions(
  params: TlsParams,
  side: "server" | "client",
  sessionTickets: boolean,
): SecureContextOptions {
  const minVersion = params.minVersion ?? "TLSv1.2";
  // Envoy's TLS_AUTO: clients up to 1.2, servers up to 1.3.
  const auto: TlsVersion = side === "client" ? "TLSv1.2" : "TLSv1.3";
  const maxVersion = params.maxVersion ?? (ORDER.indexOf(minVersion) > ORDER.indexOf(auto) ? minVersion : auto);
  const ciphers = [TLS13_CIPHERS, ...(params.cipherSuites.length > 0 ? params.cipherSuites : TLS12_CIPHERS)];
  // OpenSSL refuses TLS 1.0 and 1.1 above its security level 0, whatever the version limits say.
  if (ORDER.indexOf(minVersion) < ORDER.indexOf("TLSv1.2")) ciphers.push("@SECLEVEL=0");
  return {
    minVersion,
    maxVersion,
    ciphers: ciphers.join(":"),
    ecdhCurve: (params.ecdhCurves.length > 0 ? params.ecdhCurves : CURVES).join(":"),
    honorCipherOrder: side === "server",
    ...(sessionTickets ? {} : { secureOptions: constants.SSL_OP_NO_TICKET }),
  };
}
