import assert from "node:assert/strict";
import { test } from "node:test";
import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import fc from "fast-check";
import {
  DownstreamTlsContextSchema,
  UpstreamTlsContextSchema,
} from "../generated/envoy/extensions/transport_sockets/tls/v3/tls_pb.js";
import type { Codec } from "./codec.ts";
import type { Place } from "./place.ts";
import { downstreamTls, upstreamTls } from "./testing/arbitrary-tls.ts";
import { decodeJson, notesOf, problemsOf } from "./testing/from-json.ts";
import { CERTIFICATE, PRIVATE_KEY } from "./testing/pem.ts";
import { assertRoundTrip } from "./testing/round-trip.ts";
import { decodeDownstreamTls, decodeUpstreamTls, encodeDownstreamTls, encodeUpstreamTls } from "./tls.ts";

const upstream = codec(UpstreamTlsContextSchema, decodeUpstreamTls, encodeUpstreamTls);
const downstream = codec(DownstreamTlsContextSchema, decodeDownstreamTls, encodeDownstreamTls);

const trusted_ca = { inline_string: CERTIFICATE };
const certificate = { certificate_chain: trusted_ca, private_key: { inline_string: PRIVATE_KEY } };

test("both contexts survive the way to bytes and back", () => {
  fc.assert(fc.property(upstreamTls, (value) => assertRoundTrip(upstream, value)));
  fc.assert(fc.property(downstreamTls, (value) => assertRoundTrip(downstream, value)));
});

test("an empty client context verifies nothing and offers nothing", () => {
  assert.deepEqual(decodeJson(upstream, {}), {
    params: { minVersion: null, maxVersion: null, cipherSuites: [], ecdhCurves: [] },
    certificates: [],
    validation: null,
    alpn: [],
    sni: "",
    autoHostSni: false,
    autoSanValidation: false,
    maxSessionKeys: 1,
  });
});

test("a combined context takes its roots by SDS and its checks from itself", () => {
  const { validation } = decodeJson(upstream, {
    common_tls_context: {
      combined_validation_context: {
        default_validation_context: {
          match_typed_subject_alt_names: [{ san_type: "URI", matcher: { prefix: "spiffe://a/" } }],
        },
        validation_context_sds_secret_config: {
          name: "ROOTCA",
          sds_config: { ads: {}, initial_fetch_timeout: "0s", resource_api_version: "V3" },
        },
      },
    },
  });
  assert.deepEqual(validation?.roots, {
    kind: "sds",
    name: "ROOTCA",
    source: { kind: "ads", initialFetchTimeoutMs: 0 },
  });
  assert.deepEqual(validation?.subjectAltNames, [
    { type: "uri", match: { kind: "prefix", value: "spiffe://a/", ignoreCase: false } },
  ]);
});

test("hashes are taken with colons and in capitals", () => {
  const verify_certificate_hash = [`${"AB:".repeat(31)}AB`];
  const { validation } = decodeJson(upstream, {
    common_tls_context: { validation_context: { verify_certificate_hash } },
  });
  assert.deepEqual(validation?.certificateHashes, ["ab".repeat(32)]);
});

test("unknown ciphers and curves are skipped with a note, groups of ciphers taken apart", () => {
  const cipher_suites = ["[ECDHE-ECDSA-AES128-GCM-SHA256|ECDHE-ECDSA-CHACHA20-POLY1305]", "ECDHE-PSK-NOPE"];
  const json = { common_tls_context: { tls_params: { cipher_suites, ecdh_curves: ["X25519", "P-1"] } } };
  const { params } = decodeJson(upstream, json);
  assert.deepEqual(params.cipherSuites, ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305"]);
  assert.deepEqual(params.ecdhCurves, ["X25519"]);
  assert.deepEqual(notesOf(upstream, json), [
    'context: common_tls_context.tls_params.cipher_suites: ignored: there is no cipher "ECDHE-PSK-NOPE"',
    'context: common_tls_context.tls_params.ecdh_curves: ignored: there is no curve "P-1"',
  ]);
});

test("stateless session resumption can be switched off", () => {
  const common_tls_context = { tls_certificates: [certificate] };
  assert.equal(decodeJson(downstream, { common_tls_context }).sessionTickets, true);
  assert.equal(
    decodeJson(downstream, { common_tls_context, disable_stateless_session_resumption: true }).sessionTickets,
    false,
  );
});

const REFUSED: [string, typeof upstream | typeof downstream, object, string][] = [
  ["a server without a certificate", downstream, {}, "common_tls_context: a TLS server needs a certificate"],
  [
    "a client with two certificates",
    upstream,
    { common_tls_context: { tls_certificates: [certificate, certificate] } },
    "common_tls_context: a TLS client can have only one certificate",
  ],
  [
    "names without a CA",
    upstream,
    { common_tls_context: { validation_context: { match_subject_alt_names: [{ exact: "a" }] } } },
    "common_tls_context.validation_context.match_typed_subject_alt_names: checking names without a trusted CA is not secure",
  ],
  [
    "no ciphers left",
    upstream,
    { common_tls_context: { tls_params: { cipher_suites: ["NOPE"] } } },
    "common_tls_context.tls_params.cipher_suites: none of these is a known cipher",
  ],
  [
    "versions the wrong way round",
    upstream,
    {
      common_tls_context: {
        tls_params: { tls_minimum_protocol_version: "TLSv1_3", tls_maximum_protocol_version: "TLSv1_2" },
      },
    },
    "common_tls_context.tls_params.tls_minimum_protocol_version: must not be above tls_maximum_protocol_version",
  ],
  [
    "a SAN of no type",
    upstream,
    {
      common_tls_context: {
        validation_context: { trusted_ca, match_typed_subject_alt_names: [{ matcher: { exact: "a" } }] },
      },
    },
    "common_tls_context.validation_context.match_typed_subject_alt_names[0].san_type: is required",
  ],
  [
    "SDS over API version 2",
    upstream,
    {
      common_tls_context: {
        tls_certificate_sds_secret_configs: [{ name: "a", sds_config: { ads: {}, resource_api_version: "V2" } }],
      },
    },
    "common_tls_context.tls_certificate_sds_secret_configs[0].sds_config.resource_api_version: " +
      "V2 is not supported: the v2 API was removed from Envoy in 2021",
  ],
  [
    "SDS over REST",
    upstream,
    {
      common_tls_context: {
        tls_certificate_sds_secret_configs: [
          {
            name: "a",
            sds_config: {
              api_config_source: { api_type: "REST", grpc_services: [{ envoy_grpc: { cluster_name: "x" } }] },
            },
          },
        ],
      },
    },
    "common_tls_context.tls_certificate_sds_secret_configs[0].sds_config.api_config_source.api_type: REST is not supported",
  ],
];

for (const [what, context, json, problem] of REFUSED) {
  test(`refused: ${what}`, () => {
    const problems = context === upstream ? problemsOf(upstream, json) : problemsOf(downstream, json);
    assert.deepEqual(problems, [`context: ${problem}`]);
  });
}

function codec<D extends DescMessage, T>(
  schema: D,
  decode: (message: MessageShape<D>, at: Place) => T,
  encode: (value: T) => MessageShape<D>,
): Codec<D, T> {
  return { schema, label: "context", nameOf: () => "", decode, encode };
}
