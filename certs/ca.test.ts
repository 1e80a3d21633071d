import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, test } from "node:test";
import { SimulatedClock } from "../core/clock.ts";
import { UserError } from "../core/errors.ts";
import { requireTool } from "../test/support/tools.ts";
import { type CaOptions, CertificateAuthority } from "./ca.ts";
import { createCsr, parseCsr } from "./csr.ts";
import { foundAuthority } from "./founding.ts";
import { describeCertificate, inspectCertificates, parseCertificates } from "./inspect.ts";
import { generateKeyPair, spkiOf } from "./key.ts";
import { advanceRotation, startRootRotation } from "./root-rotation.ts";
import { chainEndsIn } from "./workload-certificate.ts";

const HOUR = 3_600_000;
const ID = "spiffe://mesh.test/ns/shop/sa/orders";
const dirs: string[] = [];

function stateDir(): string {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), "outrigger-ca-"));
  dirs.push(dir);
  return dir;
}

afterEach(() => {
  for (const dir of dirs.splice(0)) fs.rmSync(dir, { recursive: true, force: true });
});

// openssl judges by the real clock, so authorities under its eye start there.
const now = (): SimulatedClock => new SimulatedClock(Date.now());

function open(dir: string, clock: SimulatedClock, more: Partial<CaOptions> = {}): CertificateAuthority {
  return new CertificateAuthority({ stateDir: dir, trustDomain: "mesh.test", clock, ...more });
}

function openssl(args: string[], input?: string): string {
  return execFileSync("openssl", args, { encoding: "utf8", input: input ?? "", stdio: ["pipe", "pipe", "pipe"] });
}

function verifyWithOpenssl(dir: string, leaf: string, intermediates: readonly string[], roots: string): string {
  fs.writeFileSync(path.join(dir, "roots.pem"), roots);
  fs.writeFileSync(path.join(dir, "chain.pem"), intermediates.join(""));
  fs.writeFileSync(path.join(dir, "leaf.pem"), leaf);
  const untrusted = intermediates.length > 0 ? ["-untrusted", path.join(dir, "chain.pem")] : [];
  const purposes = ["sslserver", "sslclient"].map((purpose) =>
    openssl([
      "verify",
      "-x509_strict",
      "-purpose",
      purpose,
      "-CAfile",
      path.join(dir, "roots.pem"),
      ...untrusted,
      path.join(dir, "leaf.pem"),
    ]),
  );
  return purposes.join("");
}

test("a leaf is what a mesh expects of it", (t) => {
  const clock = new SimulatedClock();
  const ca = open(stateDir(), clock);
  const keys = generateKeyPair();
  const issued = ca.issue(keys.publicKey, [{ type: "uri", value: ID }], HOUR);
  const leaf = parseCertificates(issued.leafPem)[0];
  assert.ok(leaf);
  const info = describeCertificate(leaf);
  assert.deepEqual(
    { subject: info.subject, uris: info.uris, isCa: info.isCa, dns: info.dnsNames },
    { subject: "", uris: [ID], isCa: false, dns: [] },
  );
  assert.equal(info.notBefore, clock.wallTime() - 120_000);
  assert.equal(info.notAfter, clock.wallTime() + HOUR);
  assert.equal(issued.notAfter, info.notAfter);
  assert.deepEqual(leaf.keyUsage, ["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"]);
  assert.deepEqual(spkiOf(leaf.publicKey), spkiOf(keys.publicKey));
  if (!requireTool(t, "openssl")) return;
  const text = openssl(["x509", "-noout", "-text"], issued.leafPem);
  assert.match(text, /X509v3 Subject Alternative Name: critical\s+URI:spiffe:\/\/mesh\.test\/ns\/shop\/sa\/orders/);
  assert.match(text, /X509v3 Key Usage: critical\s+Digital Signature\n/);
  assert.match(text, /X509v3 Basic Constraints: critical\s+CA:FALSE/);
});

test("openssl verifies chains with and without an intermediate, strictly and for both roles", (t) => {
  if (!requireTool(t, "openssl")) return;
  for (const intermediate of [false, true]) {
    const dir = stateDir();
    const ca = open(dir, now(), { intermediate });
    const issued = ca.issue(
      generateKeyPair().publicKey,
      [
        { type: "uri", value: ID },
        { type: "dns", value: "localhost" },
        { type: "ip", value: "127.0.0.1" },
        { type: "ip", value: "fd00::1" },
      ],
      HOUR,
    );
    assert.equal(issued.intermediatesPem.length, intermediate ? 1 : 0);
    assert.equal(issued.chainPem, [issued.leafPem, ...issued.intermediatesPem].join(""));
    assert.match(verifyWithOpenssl(dir, issued.leafPem, issued.intermediatesPem, issued.rootPem), /OK\n.*OK\n/);
    const names = inspectCertificates(issued.leafPem)[0];
    assert.deepEqual(names?.ipAddresses, ["127.0.0.1", "FD00:0:0:0:0:0:0:1"]);
  }
});

test("lifetimes are bounded by the authority's limit and by the issuer's own end", () => {
  const clock = new SimulatedClock();
  const ca = open(stateDir(), clock, {
    rootLifetimeMs: 10 * HOUR,
    maxLifetimeMs: 5 * HOUR,
    defaultLifetimeMs: 2 * HOUR,
  });
  const life = (asked: number | null): number =>
    ca.issue(generateKeyPair().publicKey, [], asked).notAfter - clock.wallTime();
  assert.equal(life(null), 2 * HOUR);
  assert.equal(life(7 * HOUR), 5 * HOUR);
  assert.equal(life(1), 1000);
  clock.advance(9 * HOUR);
  assert.equal(life(null), HOUR);
  clock.advance(HOUR);
  assert.throws(() => life(null), /the CA's root has expired/);
});

test("an intermediate is renewed before it shortens leaves, and survives a restart until then", () => {
  const clock = new SimulatedClock();
  const dir = stateDir();
  const options = { intermediate: true, intermediateLifetimeMs: 30 * HOUR };
  const sign = (ca: CertificateAuthority): string =>
    ca.issue(generateKeyPair().publicKey, [], HOUR).intermediatesPem.join("");
  const first = sign(open(dir, clock, options));
  assert.equal(sign(open(dir, clock, options)), first);
  clock.advance(21 * HOUR);
  assert.notEqual(sign(open(dir, clock, options)), first);
});

test("root rotation: no moment in which an issued certificate is not trusted by a bundle that was in force", () => {
  const clock = new SimulatedClock();
  const dir = stateDir();
  let ca = open(dir, clock);
  const bundles: string[] = [];
  ca.bundle.subscribe((pem) => bundles.push(pem));
  const issue = () => ca.issue(generateKeyPair().publicKey, [{ type: "uri", value: ID }], HOUR);
  const trusted = (leafPem: string, bundle: string): boolean => {
    const leaf = parseCertificates(leafPem)[0];
    return leaf !== undefined && chainEndsIn(leaf, [], parseCertificates(bundle));
  };
  const old = issue();
  const first = ca.roots()[0]?.id ?? "";
  const second = ca.addRoot();
  assert.ok(trusted(issue().leafPem, bundles[0] ?? ""), "before activation the old root signs");
  ca = open(dir, clock);
  assert.deepEqual(
    ca.roots().map((root) => [root.id, root.active]),
    [
      [first, true],
      [second, false],
    ],
  );
  ca.activateRoot(second);
  ca = open(dir, clock);
  const fresh = issue();
  assert.ok(trusted(fresh.leafPem, bundles[1] ?? ""), "the bundle of step 1 trusts what step 2 signs");
  assert.ok(!trusted(fresh.leafPem, bundles[0] ?? ""));
  assert.ok(trusted(old.leafPem, ca.bundle.get() ?? ""));
  assert.throws(() => ca.retireRoot(second), UserError);
  ca.retireRoot(first);
  assert.ok(!trusted(old.leafPem, ca.bundle.get() ?? ""));
  assert.equal(open(dir, clock).roots().length, 1);
  assert.deepEqual(
    fs.readdirSync(path.join(dir, "ca")).filter((name) => name.includes(first)),
    [],
  );
  assert.equal(fs.readFileSync(path.join(dir, "ca", "bundle.pem"), "utf8"), ca.bundle.get());
});

test("rotation by time takes each step when it is due, over restarts too", () => {
  const clock = new SimulatedClock();
  const dir = stateDir();
  const policy = { rotateAfterMs: 100 * HOUR, distributeMs: HOUR, retireAfterMs: 25 * HOUR };
  const step = () => advanceRotation(open(dir, clock), policy, clock.wallTime());
  assert.deepEqual(step(), { step: null, nextInMs: 100 * HOUR });
  clock.advance(100 * HOUR);
  assert.deepEqual(step(), { step: "added", nextInMs: HOUR });
  assert.deepEqual(step(), { step: null, nextInMs: HOUR });
  clock.advance(HOUR);
  assert.equal(step().step, "activated");
  assert.deepEqual(step(), { step: null, nextInMs: 25 * HOUR });
  clock.advance(25 * HOUR);
  assert.equal(step().step, "retired");
  assert.deepEqual(step(), { step: null, nextInMs: 75 * HOUR });
});

test("a running rotation goes round", () => {
  const clock = new SimulatedClock();
  const steps: string[] = [];
  const rotation = startRootRotation(
    open(stateDir(), clock),
    { rotateAfterMs: 10_000, distributeMs: 1000, retireAfterMs: 3000 },
    clock,
    (step) => steps.push(step),
    assert.ifError,
  );
  clock.advance(15_000);
  rotation.stop();
  assert.deepEqual(steps, ["added", "activated", "retired"]);
  assert.equal(clock.pending, 0);
});

test("an authority that is kept elsewhere signs with intermediates of its own, which outlive what it is told", () => {
  const clock = new SimulatedClock();
  const content = foundAuthority("mesh.test", clock.wallTime());
  const ca = new CertificateAuthority({ content, trustDomain: "mesh.test", clock, intermediate: true });
  const issue = () => ca.issue(generateKeyPair().publicKey, [{ type: "uri", value: ID }], HOUR);
  const [first] = issue().intermediatesPem;
  assert.ok(first);
  const added = ca.changed({ step: "added" });
  assert.equal(ca.roots().length, 1, "what could be is not yet");
  ca.adopt(added);
  assert.equal(ca.roots().length, 2);
  assert.deepEqual(issue().intermediatesPem, [first]);
  ca.adopt({ ...added, active: added.roots[1]?.id ?? "" });
  assert.notDeepEqual(issue().intermediatesPem, [first]);
  const [leaf, ...between] = parseCertificates(issue().chainPem);
  assert.ok(leaf && chainEndsIn(leaf, between, parseCertificates(added.roots[1]?.pem ?? "")));
});

test("CSRs: openssl accepts ours, we accept openssl's, and a forged one is refused", (t) => {
  if (!requireTool(t, "openssl")) return;
  const dir = stateDir();
  const keys = generateKeyPair();
  const ours = createCsr(keys, [{ type: "uri", value: ID }]);
  const file = path.join(dir, "csr.pem");
  fs.writeFileSync(file, ours);
  assert.match(
    openssl(["req", "-in", file, "-verify", "-noout", "-text"]),
    /URI:spiffe:\/\/mesh\.test\/ns\/shop\/sa\/orders/,
  );
  assert.deepEqual(parseCsr(ours).uris, [ID]);
  for (const algorithm of ["ec", "rsa"]) {
    const key = algorithm === "ec" ? ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"] : ["-newkey", "rsa:2048"];
    const theirs = openssl([
      "req",
      "-new",
      ...key,
      "-nodes",
      "-keyout",
      path.join(dir, "k.pem"),
      "-subj",
      "/O=x",
      "-addext",
      `subjectAltName=URI:${ID}`,
    ]);
    assert.deepEqual(parseCsr(theirs).uris, [ID]);
  }
  const weak = openssl([
    "req",
    "-new",
    "-newkey",
    "rsa:1024",
    "-nodes",
    "-keyout",
    path.join(dir, "k.pem"),
    "-subj",
    "/O=x",
  ]);
  assert.throws(() => parseCsr(weak), /shorter than 2048/);
  const der = Buffer.from(ours.replaceAll(/-----.*-----|\n/g, ""), "base64");
  const at = der.indexOf("orders");
  der.write("admins", at);
  assert.throws(
    () =>
      parseCsr(`-----BEGIN CERTIFICATE REQUEST-----\n${der.toString("base64")}\n-----END CERTIFICATE REQUEST-----\n`),
    /not signed by its own key/,
  );
  for (const bad of ["", "x", ours + ours, ours.slice(0, 200), "y".repeat(20_000)])
    assert.throws(() => parseCsr(bad), Error);
});

test("no changed byte of a CSR changes the key or the name that it is accepted for", () => {
  const keys = generateKeyPair();
  const der = Buffer.from(createCsr(keys, [{ type: "uri", value: ID }]).replaceAll(/-----.*-----|\n/g, ""), "base64");
  let refused = 0;
  for (let at = 0; at < der.length; at++) {
    const mutated = Buffer.from(der);
    mutated[at] = (mutated[at] ?? 0) ^ 0x55;
    const pem = `-----BEGIN CERTIFICATE REQUEST-----\n${mutated.toString("base64")}\n-----END CERTIFICATE REQUEST-----\n`;
    try {
      const csr = parseCsr(pem);
      assert.deepEqual([csr.uris, spkiOf(csr.publicKey)], [[ID], spkiOf(keys.publicKey)], `byte ${at}`);
    } catch (error) {
      assert.ok(error instanceof Error && !(error instanceof assert.AssertionError), `byte ${at}`);
      refused++;
    }
  }
  assert.ok(refused > der.length - 5, `${der.length - refused} changes went unnoticed`);
});

test("files are private, and what is wrong with them is one clear error", () => {
  const dir = stateDir();
  const clock = new SimulatedClock();
  open(dir, clock, { intermediate: true }).issue(generateKeyPair().publicKey, [], null);
  const caDir = path.join(dir, "ca");
  assert.equal(fs.statSync(caDir).mode & 0o777, 0o700);
  const files = fs.readdirSync(caDir);
  for (const name of files) assert.equal(fs.statSync(path.join(caDir, name)).mode & 0o777, 0o600, name);
  const refuses = (pattern: RegExp, trustDomain = "mesh.test") =>
    assert.throws(
      () => open(dir, clock, { trustDomain }),
      (error) => error instanceof UserError && pattern.test(error.message) && !error.message.includes("\n"),
    );
  const key = path.join(caDir, files.find((name) => name.endsWith("root.key")) ?? "");
  fs.chmodSync(key, 0o644);
  refuses(/root\.key: the root key has mode 0644, so others can use it; it must be 0600: chmod 600/);
  fs.chmodSync(key, 0o600);
  const content = fs.readFileSync(key);
  fs.writeFileSync(key, "not a key");
  refuses(/root\.key: the root key is damaged/);
  fs.writeFileSync(
    key,
    fs.readFileSync(path.join(caDir, files.find((name) => name.endsWith("intermediate.key")) ?? "")),
  );
  refuses(/the root key does not belong to/);
  fs.unlinkSync(key);
  refuses(/root\.key: cannot read the root key: it does not exist/);
  fs.writeFileSync(key, content, { mode: 0o600 });
  refuses(/the CA there is for trust domain "mesh.test", not "other.test"/, "other.test");
  fs.chmodSync(caDir, 0o755);
  refuses(/ca: mode 0755 lets others in; it must be 0700/);
  fs.chmodSync(caDir, 0o700);
  const state = path.join(caDir, "state.json");
  fs.writeFileSync(state, "{}");
  refuses(/state\.json: the CA state is damaged: fields are missing/);
  fs.writeFileSync(state, "{");
  refuses(/state\.json: the CA state is damaged/);
  const plain = path.join(dir, "file");
  fs.writeFileSync(plain, "");
  assert.throws(() => open(plain, clock), /cannot create the directory: part of the path is not a directory/);
});

test("a write that fails is one clear error and leaves the authority as it was", () => {
  const dir = stateDir();
  const clock = new SimulatedClock();
  const ca = open(dir, clock);
  const before = { bundle: ca.bundle.get(), roots: ca.roots().map((root) => root.id) };
  const caDir = path.join(dir, "ca");
  fs.renameSync(caDir, `${caDir}.gone`);
  assert.throws(() => ca.addRoot(), /cannot write the root key: it does not exist/);
  fs.renameSync(`${caDir}.gone`, caDir);
  assert.deepEqual({ bundle: ca.bundle.get(), roots: ca.roots().map((root) => root.id) }, before);
  assert.deepEqual(
    open(dir, clock)
      .roots()
      .map((root) => root.id),
    before.roots,
  );
});
