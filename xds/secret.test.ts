import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { secretCodec } from "./secret.ts";
import { secret } from "./testing/arbitrary-tls.ts";
import { decodeJson, problemsOf } from "./testing/from-json.ts";
import { CERTIFICATE, OTHER_KEY, PRIVATE_KEY } from "./testing/pem.ts";
import { assertRoundTrip } from "./testing/round-trip.ts";

const chain = { inline_string: CERTIFICATE };

test("a secret survives the way to bytes and back", () => {
  fc.assert(fc.property(secret, (value) => assertRoundTrip(secretCodec, value)));
});

test("material comes from files, bytes and the environment", () => {
  const files: Record<string, string> = { "/tls/cert.pem": CERTIFICATE };
  const json = {
    name: "s",
    tls_certificate: {
      certificate_chain: { filename: "/tls/cert.pem" },
      private_key: { environment_variable: "KEY" },
    },
  };
  const value = decodeJson(secretCodec, json, {
    readFile: (path) => Buffer.from(files[path] ?? ""),
    environment: { KEY: PRIVATE_KEY },
  });
  assert.deepEqual(value, {
    kind: "certificate",
    name: "s",
    material: { certificateChain: CERTIFICATE, privateKey: PRIVATE_KEY, password: "" },
  });
  const bytes = {
    name: "s",
    validation_context: { trusted_ca: { inline_bytes: Buffer.from(CERTIFICATE).toString("base64") } },
  };
  assert.deepEqual(decodeJson(secretCodec, bytes), {
    kind: "trust",
    name: "s",
    material: { roots: CERTIFICATE, crl: "" },
  });
});

test("a secret's validation context brings its own checks", () => {
  const json = {
    name: "s",
    validation_context: {
      trusted_ca: { inline_string: CERTIFICATE },
      match_typed_subject_alt_names: [{ san_type: "DNS", matcher: { exact: "a" } }],
      verify_certificate_hash: [`${"AB:".repeat(31)}AB`],
    },
  };
  const secret = decodeJson(secretCodec, json);
  assert.deepEqual(secret.kind === "trust" ? secret.material.checks : null, {
    subjectAltNames: [{ type: "dns", match: { kind: "exact", value: "a", ignoreCase: false } }],
    certificateHashes: ["ab".repeat(32)],
    spkiHashes: [],
    acceptUntrusted: false,
    allowExpired: false,
  });
});

const REFUSED: [string, object, string[]][] = [
  ["nothing", {}, ["one of tls_certificate, validation_context is required"]],
  [
    "no key and no chain",
    { tls_certificate: {} },
    ["tls_certificate.certificate_chain: is required", "tls_certificate.private_key: is required"],
  ],
  [
    "the key of another",
    { tls_certificate: { certificate_chain: chain, private_key: { inline_string: OTHER_KEY } } },
    ["tls_certificate.private_key: does not belong to the certificate"],
  ],
  [
    "no PEM",
    { validation_context: { trusted_ca: { inline_string: "nonsense" } } },
    ["validation_context.trusted_ca: holds no PEM certificate"],
  ],
  [
    "empty material",
    { validation_context: { trusted_ca: { inline_string: "" } } },
    ["validation_context.trusted_ca: is empty"],
  ],
  [
    "a missing file",
    { validation_context: { trusted_ca: { filename: "/nowhere" } } },
    ['validation_context.trusted_ca.filename: cannot read "/nowhere": no file /nowhere here'],
  ],
  [
    "a missing variable",
    { validation_context: { trusted_ca: { environment_variable: "NOPE" } } },
    ["validation_context.trusted_ca.environment_variable: NOPE is not set"],
  ],
  [
    "a hash in a secret that is none",
    { validation_context: { trusted_ca: chain, verify_certificate_hash: ["ab"] } },
    ["validation_context.verify_certificate_hash[0]: expected a SHA-256 hash as 64 hex digits"],
  ],
];

for (const [what, fields, problems] of REFUSED) {
  test(`refused: ${what}`, () => {
    assert.deepEqual(
      problemsOf(secretCodec, { name: "s", ...fields }),
      problems.map((problem) => `secret "s": ${problem}`),
    );
  });
}

test("a broken certificate is refused", () => {
  const broken = CERTIFICATE.replace(/[A-Za-z]{20}/, "A".repeat(20));
  const [problem] = problemsOf(secretCodec, {
    name: "s",
    validation_context: { trusted_ca: { inline_string: broken } },
  });
  assert.match(problem ?? "", /^secret "s": validation_context\.trusted_ca: certificate 1 is not valid: /);
});
