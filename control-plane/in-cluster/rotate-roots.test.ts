import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { parseCertificates } from "../../certs/inspect.ts";
import type { RootRotationPolicy } from "../../certs/root-rotation.ts";
import { chainEndsIn } from "../../certs/workload-certificate.ts";
import { objectAt } from "../kubernetes/objects/fields.ts";
import { ROTATE_ANNOTATION } from "./ca-secret.ts";
import { issued, type Replica, Replicas, rootsOf, SECRET } from "./testing/replicas.ts";

const HOUR = 3_600_000;
const POLICY: RootRotationPolicy = { rotateAfterMs: 100 * HOUR, distributeMs: HOUR, retireAfterMs: 30 * HOUR };
const NEVER: RootRotationPolicy = { ...POLICY, rotateAfterMs: Number.POSITIVE_INFINITY };

let mesh: Replicas;
beforeEach(() => {
  mesh = new Replicas();
});
afterEach(() => mesh.close());

async function pair(): Promise<readonly [Replica, Replica]> {
  const replicas = [mesh.add(), mesh.add()] as const;
  await mesh.settle();
  return replicas;
}

function annotate(value: string): void {
  const secret = mesh.cluster.get(SECRET) ?? assert.fail();
  const metadata = { ...objectAt(secret, "metadata"), annotations: { keep: "me", [ROTATE_ANNOTATION]: value } };
  mesh.cluster.put(SECRET, { ...secret, metadata });
}

const annotations = () => objectAt(objectAt(mesh.cluster.get(SECRET) ?? {}, "metadata"), "annotations");
const pass = (ms: number): Promise<void> => mesh.clock.run(ms, 60_000);

function trusts(replica: Replica, leafPem: string): boolean {
  const [leaf] = parseCertificates(leafPem);
  return leaf !== undefined && chainEndsIn(leaf, [], parseCertificates(replica.ca?.bundle.get() ?? ""));
}

test("a whole rotation: all replicas go along, and no certificate in force is ever untrusted", async () => {
  const [leader, other] = await pair();
  const [first] = rootsOf(leader);
  let leaves: { readonly leafPem: string; readonly until: number }[] = [];
  const stop = leader.lead(POLICY);
  const seen = new Set<string>();
  for (let hour = 0; hour < 135; hour++) {
    await pass(HOUR);
    const now = mesh.clock.wallTime();
    // Certificates live a day.
    leaves = [...leaves, { leafPem: issued(other).leafPem, until: now + 24 * HOUR }].filter(({ until }) => until > now);
    for (const { leafPem } of leaves)
      for (const replica of [leader, other]) assert.ok(trusts(replica, leafPem), `hour ${hour}`);
    assert.deepEqual(rootsOf(other), rootsOf(leader));
    seen.add(String(rootsOf(other).length + (rootsOf(other)[0] === first ? 0 : 10)));
  }
  stop();
  assert.deepEqual(
    [...seen],
    ["1", "2", "12", "11"],
    "one; two, the old one signs; two, the new one signs; the new one",
  );
  const keys = Object.keys(objectAt(mesh.cluster.get(SECRET) ?? {}, "data"));
  assert.equal(keys.filter((name) => name.endsWith(".root.key")).length, 1, "the old key is gone");
});

test("another leader goes on where the last one stopped, and a new control plane finds the same", async () => {
  const [one, two] = await pair();
  let stop = one.lead(POLICY);
  await pass(100 * HOUR + 60_000);
  assert.equal(rootsOf(two).length, 2);
  stop();
  await pass(2 * HOUR);
  assert.match(rootsOf(two)[0] ?? "", /\*/, "nobody leads, nothing moves");
  stop = two.lead(POLICY);
  await mesh.settle();
  assert.match(rootsOf(one)[1] ?? "", /\*/, "what was due is done");
  const late = mesh.add();
  await mesh.settle();
  assert.deepEqual(rootsOf(late), rootsOf(two));
  await pass(31 * HOUR);
  assert.equal(rootsOf(late).length, 1);
  stop();
});

test("two that both believe to lead take each step once", async () => {
  const [one, two] = await pair();
  const stops = [one.lead(POLICY), two.lead(POLICY)];
  for (const [ms, roots] of [
    [100 * HOUR, 2],
    [HOUR, 2],
    [31 * HOUR, 1],
  ] as const) {
    await pass(ms + 120_000);
    assert.equal(rootsOf(one).length, roots);
    assert.deepEqual(rootsOf(one), rootsOf(two));
  }
  for (const stop of stops) stop();
});

test("the annotation begins a rotation, and each time it is set again takes the next step at once", async () => {
  const [leader, other] = await pair();
  const stop = leader.lead(NEVER);
  const [first = ""] = rootsOf(other);
  const plain = first.replace("*", "");
  await pass(5 * HOUR);
  assert.deepEqual(rootsOf(other), [first]);
  annotate("next");
  await mesh.settle();
  assert.equal(rootsOf(other).length, 2);
  assert.equal(rootsOf(other)[0], first);
  assert.deepEqual(annotations(), { keep: "me" }, "taken back with the step");
  annotate("next");
  await mesh.settle();
  assert.equal(rootsOf(other)[0], plain);
  assert.match(issued(other).issuer, new RegExp(rootsOf(other)[1]?.replace("*", "") ?? "-"));
  annotate("next");
  await mesh.settle();
  assert.equal(rootsOf(other).length, 1);
  await pass(200 * HOUR);
  assert.equal(rootsOf(other).length, 1, "none begins by itself");
  stop();
});

test("what was begun by the annotation goes on by itself, with the waits that are safe", async () => {
  const [leader] = await pair();
  const stop = leader.lead(NEVER);
  annotate("next");
  await pass(HOUR - 120_000);
  assert.match(rootsOf(leader)[0] ?? "", /\*/);
  await pass(240_000);
  assert.match(rootsOf(leader)[1] ?? "", /\*/);
  await pass(31 * HOUR);
  assert.equal(rootsOf(leader).length, 1);
  stop();
});

test("an annotation with another value is told, and does nothing", async () => {
  const [leader] = await pair();
  const stop = leader.lead(NEVER);
  annotate("now");
  await pass(HOUR);
  assert.equal(rootsOf(leader).length, 1);
  assert.match(
    leader.complaints.join("\n"),
    /outrigger\.dev\/rotate-root of Secret mesh\/outrigger-ca is not understood: it takes "next"/,
  );
  stop();
});

test("an API server that is away for hours costs the rotation time and nothing else", async () => {
  const [leader, other] = await pair();
  const stop = leader.lead(POLICY);
  await pass(99 * HOUR);
  mesh.cluster.cut(new Error("connect ECONNREFUSED"));
  await pass(5 * HOUR);
  assert.equal(rootsOf(leader).length, 1);
  assert.ok(issued(leader).leafPem);
  mesh.cluster.cut(null);
  await pass(600_000);
  assert.equal(rootsOf(other).length, 2);
  stop();
});
