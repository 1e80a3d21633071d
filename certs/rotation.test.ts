import assert from "node:assert/strict";
import * as fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { SimulatedClock } from "../core/clock.ts";
import { seededRandom } from "../core/random.ts";
import { CertificateAuthority } from "./ca.ts";
import { createCsr, parseCsr } from "./csr.ts";
import { parseCertificates } from "./inspect.ts";
import { generateKeyPair } from "./key.ts";
import { type IssueCertificate, WorkloadIdentity } from "./rotation.ts";
import { chainEndsIn } from "./workload-certificate.ts";

const IDENTITY = { trustDomain: "mesh.test", namespace: "shop", serviceAccount: "orders" };
const MINUTE = 60_000;
let dir: string;
let clock: SimulatedClock;
let ca: CertificateAuthority;

beforeEach(() => {
  dir = fs.mkdtempSync(path.join(os.tmpdir(), "outrigger-identity-"));
  clock = new SimulatedClock();
  ca = new CertificateAuthority({ stateDir: dir, trustDomain: "mesh.test", clock });
});
afterEach(() => fs.rmSync(dir, { recursive: true, force: true }));

/** Signs like the control plane. */
const sign: IssueCertificate = async (csr, lifetimeMs) => {
  const { publicKey, uris } = parseCsr(csr);
  const names = uris.map((value) => ({ type: "uri" as const, value }));
  return { chain: ca.issue(publicKey, names, lifetimeMs).chainPem, roots: ca.bundle.get() ?? "" };
};

function workload(issue: IssueCertificate, lifetimeMs = 10 * MINUTE, local = clock) {
  const errors: string[] = [];
  const identity = new WorkloadIdentity({
    identity: IDENTITY,
    issue,
    clock: local,
    random: seededRandom(1),
    lifetimeMs,
    onError: (error) => errors.push(error.message),
  });
  return { identity, errors };
}

const settle = () => new Promise<void>((resolve) => setImmediate(resolve));

test("renews at half the lifetime, jittered, with a new key each time", async () => {
  const at: number[] = [];
  const { identity } = workload((csr, lifetime) => {
    at.push(clock.now());
    return sign(csr, lifetime);
  });
  const keys = new Set<string>();
  identity.certificate.subscribe((certificate) => keys.add(certificate.keyPem));
  assert.equal(identity.status.state, "waiting");
  identity.start();
  await clock.run(60 * MINUTE, 1000);
  identity.stop();
  const gaps = at.slice(1).map((time, index) => time - (at[index] ?? 0));
  assert.ok(gaps.length >= 9, `${gaps.length} renewals`);
  for (const gap of gaps) assert.ok(gap >= 4.5 * MINUTE && gap <= 5.5 * MINUTE + 1000, `renewed after ${gap} ms`);
  assert.ok(new Set(gaps).size > 3, "jitter");
  assert.equal(keys.size, at.length);
  assert.equal(clock.pending, 0);
});

test("a certificate of seconds is renewed in time although certificates reach back minutes", async () => {
  const { identity } = workload(sign, 4000);
  identity.start();
  await settle();
  for (let second = 0; second < 40; second++) {
    await clock.run(1000, 100);
    const current = identity.certificate.get();
    assert.ok(current && current.notAfter > clock.wallTime(), `expired at second ${second}`);
  }
  identity.stop();
});

test("failures: backs off, repeats the same request, keeps the present certificate, recovers", async () => {
  let down = false;
  const requests: string[] = [];
  const { identity, errors } = workload(async (csr, lifetime) => {
    requests.push(csr);
    if (down) throw new Error("connection refused");
    return sign(csr, lifetime);
  });
  identity.start();
  await settle();
  const first = identity.certificate.get();
  down = true;
  await clock.run(9 * MINUTE, 1000);
  assert.equal(identity.certificate.get(), first);
  assert.ok(identity.status.failures > 3);
  assert.match(
    errors[0] ?? "",
    /^cannot obtain a certificate for spiffe:\/\/mesh\.test\/ns\/shop\/sa\/orders: connection refused; the present one is valid until 20/,
  );
  assert.equal(new Set(requests.slice(1)).size, 1);
  await clock.run(2 * MINUTE, 1000);
  assert.equal(identity.status.state, "expired");
  assert.match(
    identity.status.lastError ?? "",
    /the certificate is expired: local clock says 2023-.*Z, certificate valid from 2023-.*Z to 2023-/,
  );
  down = false;
  await clock.run(MINUTE, 1000);
  assert.equal(identity.status.state, "valid");
  assert.equal(identity.status.lastError, null);
  assert.notEqual(identity.certificate.get(), first);
  identity.stop();
});

test("a certificate of seconds that expired while nobody answered is replaced soon after somebody does", async () => {
  let down = false;
  const { identity } = workload((csr, lifetime) => {
    if (down) throw new Error("connection refused");
    return sign(csr, lifetime);
  }, 8000);
  identity.start();
  await settle();
  down = true;
  // Long enough for a backoff that doubles to have grown to its 30 s.
  await clock.run(5 * MINUTE, 100);
  assert.equal(identity.status.state, "expired");
  down = false;
  await clock.run(1100, 100);
  assert.equal(identity.status.state, "valid");
  identity.stop();
});

test("without a first certificate the attempts go on, at most 30 s apart", async () => {
  let attempts = 0;
  const { identity, errors } = workload(async () => {
    attempts++;
    throw new Error("no");
  });
  identity.start();
  await clock.run(10 * MINUTE, 100);
  identity.stop();
  assert.ok(attempts > 20 && attempts < 200, `${attempts} attempts`);
  assert.match(errors[0] ?? "", /there is none yet$/);
  const stopped = attempts;
  await clock.run(MINUTE, 1000);
  assert.equal(attempts, stopped);
});

test("a clock that is behind is reported with both clocks; the certificate is used, and renewed in time", async () => {
  const slow = new SimulatedClock(1_700_000_000_000 - 30 * MINUTE);
  const { identity, errors } = workload(sign, 10 * MINUTE, slow);
  identity.start();
  await settle();
  assert.equal(identity.status.state, "skewed");
  assert.match(
    errors[0] ?? "",
    /not valid yet: local clock says 2023-11-14T21:43:20.000Z, certificate valid from 2023-11-14T22:11:20.000Z/,
  );
  const delay = (identity.status.nextAttemptAt ?? 0) - slow.wallTime();
  assert.ok(delay > 4 * MINUTE && delay < 6 * MINUTE, `${delay}`);
  identity.stop();
});

test("a clock that is far ahead does not make a loop of renewals", async () => {
  const fast = new SimulatedClock(1_700_000_000_000 + 30 * MINUTE);
  const { identity } = workload(sign, 10 * MINUTE, fast);
  identity.start();
  await settle();
  assert.equal(identity.status.state, "expired");
  const delay = (identity.status.nextAttemptAt ?? 0) - fast.wallTime();
  assert.ok(delay > 4 * MINUTE && delay < 6 * MINUTE, `${delay}`);
  identity.stop();
});

test("a wall clock that jumps past the renewal (a laptop that slept) is noticed within half a minute", async () => {
  let skipped = 0;
  const jumpy = {
    now: () => clock.now(),
    wallTime: () => clock.wallTime() + skipped,
    after: (ms: number, callback: () => void) => clock.after(ms, callback),
  };
  let issued = 0;
  const identity = new WorkloadIdentity({
    identity: IDENTITY,
    issue: (csr, lifetime) => {
      issued++;
      return sign(csr, lifetime);
    },
    clock: jumpy,
    random: seededRandom(2),
    lifetimeMs: 60 * MINUTE,
  });
  identity.start();
  await settle();
  skipped = 50 * MINUTE;
  await clock.run(31_000, 1000);
  assert.equal(issued, 2);
  identity.stop();
});

test("a bundle that arrives by itself is published with the same certificate", async () => {
  const { identity } = workload(sign);
  identity.updateRoots("ignored while there is no certificate");
  identity.start();
  await settle();
  const before = identity.certificate.get();
  ca.addRoot();
  identity.updateRoots(ca.bundle.get() ?? "");
  const after = identity.certificate.get();
  assert.equal(after?.chainPem, before?.chainPem);
  assert.equal(parseCertificates(after?.rootsPem ?? "").length, 2);
  assert.throws(() => identity.updateRoots("nothing"), /holds no certificate/);
  identity.stop();
});

test("when its root is retired, a certificate is replaced at once", async () => {
  const { identity } = workload(sign);
  identity.start();
  await settle();
  const before = identity.certificate.get();
  const old = ca.roots()[0]?.id ?? "";
  ca.activateRoot(ca.addRoot());
  identity.updateRoots(ca.bundle.get() ?? "");
  await settle();
  assert.equal(identity.certificate.get()?.serial, before?.serial);
  ca.retireRoot(old);
  identity.updateRoots(ca.bundle.get() ?? "");
  const between = parseCertificates(identity.certificate.get()?.rootsPem ?? "");
  assert.equal(between.length, 3, "until then a CA is known by both: the bundle may be from before");
  await settle();
  assert.notEqual(identity.certificate.get()?.serial, before?.serial);
  assert.equal(identity.certificate.get()?.rootsPem, ca.bundle.get());
  identity.stop();
});

test("answers that are not for us are failures, not identities", async () => {
  const stranger = async (): Promise<{ chain: string; roots: string }> => {
    const keys = generateKeyPair();
    return sign(createCsr(keys, [{ type: "uri", value: "spiffe://mesh.test/ns/shop/sa/orders" }]), null);
  };
  const cases: [IssueCertificate, RegExp][] = [
    [stranger, /is for another key/],
    [
      async (csr) => ({
        chain: ca.issue(parseCsr(csr).publicKey, [{ type: "uri", value: "spiffe://mesh.test/ns/a/sa/b" }], null)
          .chainPem,
        roots: ca.bundle.get() ?? "",
      }),
      /is for spiffe:\/\/mesh.test\/ns\/a\/sa\/b, not for/,
    ],
    [async () => ({ chain: "", roots: "" }), /holds no certificate/],
    [async (csr) => ({ chain: (await sign(csr, null)).chain, roots: "" }), /sent no root/],
    [
      async (csr) => {
        const { chain } = await sign(csr, null);
        const old = ca.roots()[0]?.id ?? "";
        ca.activateRoot(ca.addRoot());
        ca.retireRoot(old);
        return { chain, roots: ca.bundle.get() ?? "" };
      },
      /does not chain to the roots/,
    ],
  ];
  for (const [issue, reason] of cases) {
    const { identity, errors } = workload(issue);
    identity.start();
    await settle();
    identity.stop();
    assert.match(errors[0] ?? "", reason);
    assert.equal(identity.certificate.get(), undefined);
  }
});

test("a chain is followed over intermediates in any order, and not to strangers", async () => {
  const other = new CertificateAuthority({
    stateDir: path.join(dir, "b"),
    trustDomain: "mesh.test",
    clock,
    intermediate: true,
  });
  const issued = other.issue(generateKeyPair().publicKey, [], null);
  const [leaf] = parseCertificates(issued.leafPem);
  const intermediates = parseCertificates(issued.intermediatesPem.join(""));
  const roots = parseCertificates(issued.rootPem);
  assert.ok(leaf);
  assert.equal(chainEndsIn(leaf, [...roots, ...intermediates], roots), true);
  assert.equal(chainEndsIn(leaf, intermediates, intermediates), true);
  assert.equal(chainEndsIn(leaf, [], roots), false);
  assert.equal(chainEndsIn(leaf, intermediates, parseCertificates(ca.bundle.get() ?? "")), false);
});
