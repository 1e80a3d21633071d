import assert from "node:assert/strict";
import { test } from "node:test";
import { redact } from "./redact.ts";

test("private keys and passwords go, certificates and file names stay", () => {
  const certificate = { inline_string: "-----BEGIN CERTIFICATE-----" };
  const secret = (key: object) => ({ "@type": "Secret", tls_certificate: { certificate_chain: certificate, ...key } });
  assert.deepEqual(
    redact([
      secret({ private_key: { inline_string: "-----BEGIN PRIVATE KEY-----" }, password: { inline_string: "pw" } }),
      secret({ private_key: { inline_bytes: "LS0t" } }),
      secret({ private_key: { filename: "/etc/key.pem" } }),
    ]),
    [
      secret({ private_key: { inline_string: "[redacted]" }, password: { inline_string: "[redacted]" } }),
      secret({ private_key: { inline_bytes: "W3JlZGFjdGVkXQ==" } }),
      secret({ private_key: { filename: "/etc/key.pem" } }),
    ],
  );
});

test("what is not private stays as it is", () => {
  const value = { a: [1, null, true, "inline_string"], inline_string: "body", nested: { inline_bytes: "AA==" } };
  assert.deepEqual(redact(value), value);
});
