import assert from "node:assert/strict";
import type { X509Certificate } from "node:crypto";
import { test } from "node:test";
import { signCertificate } from "../../certs/certificate.ts";
import { parseCertificates } from "../../certs/inspect.ts";
import { generateKeyPair } from "../../certs/key.ts";
import type { PeerValidation } from "../../model/tls.ts";
import { compilePeerCheck } from "./peer-check.ts";
import { peerInfo } from "./peer-info.ts";

const HOUR = 3_600_000;
const NOON = Date.UTC(2026, 0, 1, 12);
const rootKeys = generateKeyPair();
const ROOT = { commonName: "root" };

function sign(keys = generateKeyPair(), signer = rootKeys): X509Certificate {
  const names = [{ type: "uri" as const, value: "spiffe://mesh/ns/a/sa/b" }];
  const request = {
    subject: {},
    publicKey: keys.publicKey,
    notBefore: NOON - HOUR,
    notAfter: NOON + HOUR,
    names,
    ca: null,
  };
  const [certificate] = parseCertificates(signCertificate(request, { ...signer, subject: ROOT }));
  assert.ok(certificate);
  return certificate;
}

const rootRequest = {
  subject: ROOT,
  publicKey: rootKeys.publicKey,
  notBefore: 0,
  notAfter: NOON + 1000 * HOUR,
  names: [],
  ca: { pathLength: 0 },
};
const roots = signCertificate(rootRequest, { ...rootKeys, subject: ROOT });

function check(
  certificate: X509Certificate | undefined,
  verifyError: string | null,
  wallTime: number,
  more: Partial<PeerValidation> = {},
) {
  const validation: PeerValidation = {
    roots: { kind: "inline", material: { roots, crl: "" } },
    subjectAltNames: [],
    certificateHashes: [],
    spkiHashes: [],
    acceptUntrusted: false,
    allowExpired: false,
    ...more,
  };
  const { failure, verified } = compilePeerCheck(validation, "server", true)(
    { certificate, verifyError },
    roots,
    wallTime,
  );
  return [failure?.kind ?? null, verified, failure?.message ?? ""] as const;
}

test("time is judged by the given clock, whatever a resumed session's old verdict says", () => {
  const leaf = sign();
  assert.deepEqual(check(leaf, null, NOON), [null, true, ""]);
  assert.deepEqual(check(leaf, null, NOON + 2 * HOUR), [
    "expired",
    false,
    "the peer's certificate expired at 2026-01-01T13:00:00.000Z; local clock says 2026-01-01T14:00:00.000Z",
  ]);
  assert.deepEqual(check(leaf, null, NOON - 2 * HOUR), [
    "not_yet_valid",
    false,
    "the peer's certificate is not valid before 2026-01-01T11:00:00.000Z; local clock says 2026-01-01T10:00:00.000Z",
  ]);
  assert.deepEqual(check(leaf, "CERT_HAS_EXPIRED", NOON), [
    "expired",
    false,
    "a certificate in the peer's chain has expired; local clock says 2026-01-01T12:00:00.000Z",
  ]);
});

test("allowing the expired does not allow the forged: OpenSSL's last complaint hides those before it", () => {
  const lax = { allowExpired: true };
  const late = NOON + 2 * HOUR;
  assert.deepEqual(check(sign(), "CERT_HAS_EXPIRED", late, lax), [null, true, ""]);
  assert.deepEqual(check(sign(), "CERT_NOT_YET_VALID", NOON - 2 * HOUR, lax), [null, true, ""]);
  const forged = sign(generateKeyPair(), generateKeyPair());
  assert.equal(check(forged, "CERT_HAS_EXPIRED", late, lax)[0], "untrusted");
  assert.equal(check(forged, "UNABLE_TO_VERIFY_LEAF_SIGNATURE", NOON, lax)[0], "untrusted");
});

test("accepting the untrusted accepts anything, but calls only the verified verified", () => {
  const open = { acceptUntrusted: true, certificateHashes: ["0".repeat(64)] };
  assert.deepEqual(check(sign(), "UNABLE_TO_VERIFY_LEAF_SIGNATURE", NOON, open), [null, false, ""]);
  assert.deepEqual(check(sign(), null, NOON, open), [null, true, ""]);
});

test("no roots: nothing is verified, pins still count", () => {
  const leaf = sign();
  assert.deepEqual(check(leaf, "UNABLE_TO_VERIFY_LEAF_SIGNATURE", NOON, { roots: null }), [null, false, ""]);
  const hash = leaf.fingerprint256.replaceAll(":", "").toLowerCase();
  assert.equal(check(leaf, null, NOON, { roots: null, certificateHashes: [hash] })[0], null);
  assert.equal(check(sign(), null, NOON, { roots: null, certificateHashes: [hash] })[0], "pin_mismatch");
});

test("a peer is parsed once for each certificate", () => {
  const leaf = sign();
  const again = parseCertificates(leaf.toString())[0];
  assert.ok(again && again !== leaf);
  assert.equal(peerInfo(leaf, true), peerInfo(again, true));
  assert.notEqual(peerInfo(leaf, true), peerInfo(leaf, false));
  assert.equal(peerInfo(leaf, true).pem(), leaf.toString());
});
