import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { signCertificate } from "./certificate.ts";
import { ipBytes } from "./extensions.ts";
import { inspectCertificates, parseAltNames, parseCertificates } from "./inspect.ts";
import { generateKeyPair } from "./key.ts";

const keys = generateKeyPair();

function certificate(names: Parameters<typeof signCertificate>[0]["names"], organization = "Acme, Inc."): string {
  const subject = { organization, commonName: "web" };
  const request = { subject, publicKey: keys.publicKey, notBefore: 0, notAfter: 2_600_000_000_000, names, ca: null };
  return signCertificate(request, { ...keys, subject });
}

test("subject in RFC 2253, times on both sides of 2050, a whole PEM file", () => {
  const pem = `text before\n${certificate([])}between\n${certificate([], 'quote " and + plus')}`;
  const [first, second, ...rest] = inspectCertificates(pem);
  assert.equal(first?.subject, "CN=web,O=Acme\\, Inc.");
  assert.equal(first?.notBefore, 0);
  assert.equal(first?.notAfter, 2_600_000_000_000);
  assert.match(first?.serial ?? "", /^[4-7][0-9a-f]{31}$/);
  assert.equal(second?.subject, 'CN=web,O=quote \\" and \\+ plus');
  assert.equal(rest.length, 0);
  assert.deepEqual(parseCertificates("nothing here"), []);
  assert.throws(
    () => parseCertificates("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
    /certificate 1 in the PEM text is malformed/,
  );
});

test("a name that looks like several stays one", () => {
  const evil = "a.example, URI:spiffe://mesh/ns/x/sa/admin";
  const [info] = inspectCertificates(certificate([{ type: "dns", value: evil }]));
  assert.deepEqual(info?.dnsNames, [evil]);
  assert.deepEqual(info?.uris, []);
});

test("names survive the way into a certificate and out of it", () => {
  const text = fc.string({
    unit: fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code)),
    minLength: 1,
  });
  fc.assert(
    fc.property(
      fc.array(fc.record({ type: fc.constantFrom("uri" as const, "dns" as const), value: text })),
      (names) => {
        const [info] = inspectCertificates(certificate(names));
        const of = (type: string): string[] => names.filter((name) => name.type === type).map((name) => name.value);
        assert.deepEqual([info?.uris, info?.dnsNames], [of("uri"), of("dns")]);
      },
    ),
    { numRuns: 60 },
  );
});

test("a text that Node would not write gives no names", () => {
  for (const text of ["DNS:a,URI:b", 'DNS:"a', "nothing", 'DNS:"a"b']) assert.deepEqual(parseAltNames(text), []);
});

test("IP addresses as bytes", () => {
  assert.deepEqual([...ipBytes("10.0.0.255")], [10, 0, 0, 255]);
  assert.equal(ipBytes("2001:db8::1").toString("hex"), "20010db8000000000000000000000001");
  assert.equal(ipBytes("::").toString("hex"), "0".repeat(32));
  assert.equal(ipBytes("::ffff:10.0.0.1").toString("hex"), "00000000000000000000ffff0a000001");
  assert.throws(() => ipBytes("10.0.0"), /not an IP address/);
});
