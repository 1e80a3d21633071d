/** Arbitrary TLS contexts and secrets. */
import fc from "fast-check";
import type { ConfigSource } from "../../model/bootstrap.ts";
import type { CertificateMaterial, Secret, TrustMaterial } from "../../model/secret.ts";
import type {
  CertificateRef,
  DownstreamTls,
  PeerValidation,
  SanMatch,
  TlsParams,
  UpstreamTls,
} from "../../model/tls.ts";
import { stringMatch } from "./arbitrary-matcher.ts";
import { andPerhaps, durationMs, few, name, nonEmptyText, orNull } from "./arbitrary-text.ts";
import { CERTIFICATE, PRIVATE_KEY } from "./pem.ts";

export const configSource: fc.Arbitrary<ConfigSource> = fc.oneof(
  fc.record({ kind: fc.constant("ads" as const), initialFetchTimeoutMs: durationMs }),
  fc.record({ kind: fc.constant("file" as const), path: nonEmptyText, initialFetchTimeoutMs: durationMs }),
  fc.record({
    kind: fc.constant("grpc" as const),
    source: fc.record({
      variant: fc.constantFrom("state_of_the_world" as const, "delta" as const),
      clusters: few(name, 1),
      initialMetadata: few(fc.record({ key: name, value: nonEmptyText })),
    }),
    initialFetchTimeoutMs: durationMs,
  }),
);

const material: CertificateMaterial = { certificateChain: CERTIFICATE, privateKey: PRIVATE_KEY, password: "" };

const sds = fc.record(
  { kind: fc.constant("sds" as const), name, source: configSource },
  { requiredKeys: ["kind", "name"] },
);

const inlineCertificate: fc.Arbitrary<CertificateRef> = fc.constant({ kind: "inline", material });

const params: fc.Arbitrary<TlsParams> = fc.record({
  minVersion: fc.constantFrom(null, "TLSv1" as const, "TLSv1.2" as const),
  maxVersion: fc.constantFrom(null, "TLSv1.2" as const, "TLSv1.3" as const),
  cipherSuites: fc.subarray(["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384"]),
  ecdhCurves: fc.subarray(["X25519", "P-256"]),
});

/** Typed and untyped matchers do not mix: of the two forms only one counts. */
const sans: fc.Arbitrary<SanMatch[]> = fc.oneof(
  few(fc.record({ type: fc.constant("any" as const), match: stringMatch })),
  few(
    fc.record({
      type: fc.constantFrom("uri" as const, "dns" as const, "email" as const, "ip" as const),
      match: stringMatch,
    }),
  ),
);

const checks = {
  subjectAltNames: sans,
  certificateHashes: fc.subarray(["ab".repeat(32)]),
  spkiHashes: fc.subarray([`${"A".repeat(43)}=`]),
  acceptUntrusted: fc.boolean(),
  allowExpired: fc.boolean(),
};

const validation: fc.Arbitrary<PeerValidation> = fc.record({
  roots: fc.oneof(fc.constantFrom({ kind: "inline" as const, material: { roots: CERTIFICATE, crl: "" } }), sds),
  ...checks,
});

const alpn = fc.subarray(["h2", "http/1.1"]);

export const upstreamTls: fc.Arbitrary<UpstreamTls> = fc.record({
  params,
  certificates: fc.oneof(fc.constant([]), fc.tuple(inlineCertificate), fc.tuple(sds)),
  validation,
  alpn,
  sni: fc.constantFrom("", "example.org"),
  autoHostSni: fc.boolean(),
  autoSanValidation: fc.boolean(),
  maxSessionKeys: fc.nat({ max: 9 }),
});

export const downstreamTls: fc.Arbitrary<DownstreamTls> = fc.record({
  params,
  certificates: fc.oneof(fc.array(inlineCertificate, { minLength: 1, maxLength: 2 }), few(sds, 1)),
  validation: orNull(validation),
  requireClientCertificate: fc.boolean(),
  alpn,
  requireSni: fc.boolean(),
  sessionTickets: fc.boolean(),
});

const trust: fc.Arbitrary<TrustMaterial> = andPerhaps(fc.constant({ roots: CERTIFICATE, crl: "" }), {
  // Checks that ask for nothing are none.
  checks: fc.record({ ...checks, allowExpired: fc.constant(true) }),
});

export const secret: fc.Arbitrary<Secret> = fc.oneof(
  fc.record({ kind: fc.constant("certificate" as const), name, material: fc.constant(material) }),
  fc.record({ kind: fc.constant("trust" as const), name, material: trust }),
);
