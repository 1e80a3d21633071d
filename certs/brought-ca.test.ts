import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { SimulatedClock } from "../core/clock.ts";
import { UserError } from "../core/errors.ts";
import { requireTool } from "../test/support/tools.ts";
import { readBroughtCa } from "./brought-ca.ts";
import { CertificateAuthority } from "./ca.ts";
import { inspectCertificates } from "./inspect.ts";
import { generateKeyPair, privateKeyToPem } from "./key.ts";

const ID = "spiffe://mesh.test/ns/shop/sa/orders";
// openssl judges by the real clock, and makes its certificates after this.
const NOW = Date.now() + 30_000;
const DAY_MS = 86_400_000;
let dir = "";
const at = (name: string): string => path.join(dir, name);
const text = (name: string): string => fs.readFileSync(at(name), "utf8");

function openssl(...args: string[]): string {
  return execFileSync("openssl", args, { encoding: "utf8", stdio: ["pipe", "pipe", "pipe"] });
}

/** A CA's certificate: `name`.crt and `name`.key, of `issuer` or self-signed. */
function authority(
  name: string,
  issuer: string | null,
  key: readonly string[],
  extensions: readonly string[] = CA,
): void {
  const added = extensions.flatMap((one) => ["-addext", one]);
  // Names in another encoding and order than ours, so that nothing but a copy of the bytes will do.
  const subject = ["-subj", `/C=DE/O=Ünited ${name}/OU=mesh/CN=${name} CA`, "-utf8"];
  const signer = issuer === null ? [] : ["-CA", at(`${issuer}.crt`), "-CAkey", at(`${issuer}.key`)];
  openssl(
    "req",
    "-x509",
    "-new",
    ...key,
    "-nodes",
    "-days",
    "30",
    ...subject,
    ...signer,
    ...added,
    "-keyout",
    at(`${name}.key`),
    "-out",
    at(`${name}.crt`),
  );
}

const RSA = ["-newkey", "rsa:2048"];
const EC = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384"];
const CA = ["basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign"];

function read(entries: Readonly<Record<string, string>>, now = NOW) {
  const place = (name: string): string => `Secret a/b, entry ${name}`;
  return readBroughtCa({ read: (name) => entries[name] ?? null, place }, "mesh.test", now);
}

function istio(signer: string, chain: readonly string[], roots: readonly string[]): Record<string, string> {
  return {
    "ca-cert.pem": text(`${signer}.crt`),
    "ca-key.pem": text(`${signer}.key`),
    "cert-chain.pem": chain.map((name) => text(`${name}.crt`)).join(""),
    "root-cert.pem": roots.map((name) => text(`${name}.crt`)).join(""),
  };
}

/** What openssl thinks of a leaf that it signs. */
function verify(entries: Readonly<Record<string, string>>): string {
  const content = read(entries) ?? assert.fail("nothing was found");
  const clock = new SimulatedClock(NOW);
  const ca = new CertificateAuthority({ content, trustDomain: "mesh.test", clock, intermediate: true });
  const issued = ca.issue(generateKeyPair().publicKey, [{ type: "uri", value: ID }], null);
  fs.writeFileSync(at("leaf.pem"), issued.leafPem);
  fs.writeFileSync(at("untrusted.pem"), issued.intermediatesPem.join("") || "\n");
  fs.writeFileSync(at("roots.pem"), ca.bundle.get() ?? "");
  const untrusted = issued.intermediatesPem.length === 0 ? [] : ["-untrusted", at("untrusted.pem")];
  return openssl(
    "verify",
    "-x509_strict",
    "-purpose",
    "sslserver",
    "-CAfile",
    at("roots.pem"),
    ...untrusted,
    at("leaf.pem"),
  );
}

describe("an authority that was brought", () => {
  before(() => {
    dir = fs.mkdtempSync(path.join(os.tmpdir(), "outrigger-brought-"));
    try {
      openssl("version");
    } catch {
      return;
    }
    authority("root", null, RSA);
    authority("other", null, EC);
    authority("middle", "root", EC);
    authority("signer", "middle", RSA);
    authority("direct", "root", EC);
    authority("leaf", "root", EC, ["basicConstraints=critical,CA:FALSE"]);
  });
  after(() => fs.rmSync(dir, { recursive: true, force: true }));

  test("signs what openssl verifies, with RSA and EC keys, as root and as intermediate", (t) => {
    if (!requireTool(t, "openssl")) return;
    for (const entries of [
      istio("root", ["root"], ["root"]),
      istio("other", [], ["other"]),
      istio("direct", ["direct", "root"], ["root"]),
      istio("signer", ["signer", "middle", "root"], ["other", "root"]),
      { "tls.crt": text("signer.crt") + text("middle.crt"), "tls.key": text("signer.key"), "ca.crt": text("root.crt") },
      { "tls.crt": text("root.crt"), "tls.key": text("root.key") },
    ]) {
      assert.match(verify(entries), /OK/);
    }
  });

  test("presents what is between it and the root, and trusts all roots, the one that it ends in first", (t) => {
    if (!requireTool(t, "openssl")) return;
    const content = read(istio("signer", ["signer", "middle", "root"], ["other", "root"])) ?? assert.fail();
    const ca = new CertificateAuthority({ content, trustDomain: "mesh.test", clock: new SimulatedClock(NOW) });
    const { chainPem } = ca.issue(generateKeyPair().publicKey, [{ type: "uri", value: ID }], null);
    const names = (pem: string): string[] =>
      inspectCertificates(pem).map(({ subject }) => /CN=(\w*)/.exec(subject)?.[1] ?? "");
    assert.deepEqual(names(chainPem), ["", "signer", "middle"]);
    assert.deepEqual(names(ca.bundle.get() ?? ""), ["root", "other"]);
    assert.equal(ca.brought, true);
    assert.throws(() => ca.addRoot(), /made elsewhere/);
  });

  test("what is wrong with it is one sentence that names the entry", (t) => {
    if (!requireTool(t, "openssl")) return;
    const good = istio("direct", [], ["root"]);
    const { "ca-key.pem": _key, ...keyless } = good;
    const { "root-cert.pem": _roots, ...rootless } = good;
    openssl("ec", "-in", at("direct.key"), "-aes256", "-passout", "pass:x", "-out", at("locked.key"));
    openssl("genpkey", "-algorithm", "ed25519", "-out", at("odd.key"));
    const cases: readonly (readonly [Readonly<Record<string, string>>, RegExp, number?])[] = [
      [keyless, /entry ca-key\.pem: the CA's key is missing/],
      [rootless, /entry root-cert\.pem: the roots are missing: the certificate is not one itself/],
      [{ "ca-key.pem": text("direct.key") }, /entry ca-cert\.pem: the CA's certificate is missing/],
      [
        { ...good, "ca-key.pem": text("other.key") },
        /entry ca-key\.pem: the key does not belong to the certificate in .*ca-cert\.pem/,
      ],
      [{ ...good, "ca-key.pem": "x" }, /entry ca-key\.pem: it is no private key in PEM, or one with a password/],
      [{ ...good, "ca-key.pem": text("locked.key") }, /or one with a password/],
      [{ ...good, "ca-key.pem": text("odd.key") }, /a key of type ed25519 cannot sign here/],
      [{ ...good, "ca-cert.pem": "x" }, /entry ca-cert\.pem: it holds no certificate in PEM/],
      [
        { ...good, "ca-cert.pem": text("leaf.crt"), "ca-key.pem": text("leaf.key") },
        /entry ca-cert\.pem: the certificate may not sign others/,
      ],
      [
        { ...good, "root-cert.pem": text("other.crt") },
        /entry ca-cert\.pem: its chain ends in none of the roots in .*root-cert\.pem/,
      ],
      [istio("signer", [], ["root"]), /its chain ends in none of the roots/],
      [good, /the certificate is expired: local clock says/, NOW + 31 * DAY_MS],
      [good, /the certificate is not valid yet/, NOW - DAY_MS],
    ];
    for (const [entries, wanted, now] of cases) {
      assert.throws(
        () => read(entries, now),
        (error) => {
          assert.ok(error instanceof UserError, String(error));
          assert.match(error.message, wanted);
          assert.ok(!error.message.includes("PRIVATE"));
          return true;
        },
      );
    }
  });

  test("without any of its names there is none", () => {
    assert.equal(read({ "state.json": "{}", "notes.txt": privateKeyToPem(generateKeyPair().privateKey) }), null);
  });
});
