import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { foundAuthority } from "../../certs/founding.ts";
import { privateKeyToPem } from "../../certs/key.ts";
import { ApiError, type JsonObject } from "../kubernetes/api.ts";
import { objectAt, textAt } from "../kubernetes/objects/fields.ts";
import { Replicas, rootsOf, SECRET } from "./testing/replicas.ts";

let mesh: Replicas;
beforeEach(() => {
  mesh = new Replicas();
});
afterEach(() => mesh.close());

const base64 = (text: string): string => Buffer.from(text).toString("base64");

/** An own root under Istio's names. */
function brought(): { readonly data: JsonObject; readonly id: string } {
  const [root] = foundAuthority("elsewhere", mesh.clock.wallTime()).roots;
  const id = root?.certificate.fingerprint256.replaceAll(":", "").slice(0, 8).toLowerCase() ?? "";
  const key = root?.keys ? privateKeyToPem(root.keys.privateKey) : "";
  return { id, data: { "ca-cert.pem": base64(root?.pem ?? ""), "ca-key.pem": base64(key) } };
}

test("where there is no Secret one of many makes it, and all sign with its root", async () => {
  const replicas = [mesh.add(), mesh.add(), mesh.add()];
  await mesh.settle();
  const [first] = replicas.map(rootsOf);
  assert.equal(first?.length, 1);
  for (const replica of replicas) assert.deepEqual(rootsOf(replica), first);
  const posts = mesh.cluster.calls.filter(({ method }) => method === "POST");
  assert.equal(posts.length, 3, "all tried");
  const made = mesh.cluster.get(SECRET) ?? assert.fail();
  assert.equal(textAt(made, "type"), "Opaque");
  assert.ok("bundle.pem" in objectAt(made, "data"));
  const late = mesh.add();
  await mesh.settle();
  assert.deepEqual(rootsOf(late), first);
  assert.deepEqual(late.complaints, []);
});

test("a Secret that somebody has made empty is filled, with its own labels kept", async () => {
  mesh.cluster.put(SECRET, { kind: "Secret", metadata: { labels: { team: "a" } } });
  const replica = mesh.add();
  await mesh.settle();
  assert.equal(rootsOf(replica).length, 1);
  assert.deepEqual(objectAt(objectAt(mesh.cluster.get(SECRET) ?? {}, "metadata"), "labels"), { team: "a" });
});

test("an API server that is away is waited for, and one that refuses says why", async () => {
  mesh.cluster.cut(new Error("connect ECONNREFUSED"));
  const replica = mesh.add();
  await mesh.clock.run(60_000, 500);
  assert.equal(replica.ca, null);
  mesh.cluster.before = ({ method }) => {
    if (method === "POST") throw new ApiError(403, "Forbidden", "secrets is forbidden");
  };
  mesh.cluster.cut(null);
  await mesh.clock.run(60_000, 500);
  assert.match(replica.secret.problem, /Secret mesh\/outrigger-ca cannot be made: secrets is forbidden/);
  mesh.cluster.before = () => {};
  await mesh.clock.run(3000, 100);
  assert.equal(rootsOf(replica).length, 1);
  assert.equal(replica.secret.problem, "");
});

test("an authority of the user's own is taken, and followed when it is replaced", async () => {
  const [one, two] = [brought(), brought()];
  mesh.cluster.put(SECRET, { data: one.data });
  const replica = mesh.add();
  await mesh.settle();
  assert.deepEqual(rootsOf(replica), [`${one.id}*`]);
  const both = {
    ...two.data,
    "root-cert.pem": base64([two, one].map(({ data }) => Buffer.from(String(data["ca-cert.pem"]), "base64")).join("")),
  };
  mesh.cluster.put(SECRET, { data: both });
  await mesh.settle();
  assert.deepEqual(rootsOf(replica), [`${two.id}*`, one.id]);
});

test("what cannot be used is told, and what was good last stays in force", async () => {
  const replica = mesh.add();
  await mesh.settle();
  const good = mesh.cluster.get(SECRET) ?? assert.fail();
  const before = rootsOf(replica);
  const key = Object.keys(objectAt(good, "data")).find((name) => name.endsWith(".root.key")) ?? "";
  for (const [data, wanted] of [
    [{ ...objectAt(good, "data"), [key]: base64("x") }, /entry [0-9a-f]+\.root\.key: the root key is damaged/],
    [{ "state.json": base64("{") }, /entry state\.json: the CA state is damaged/],
    [{ notes: base64("x") }, /holds no CA: it needs ca-cert\.pem/],
    [{ ...brought().data, "ca-key.pem": brought().data["ca-key.pem"] }, /entry ca-key\.pem: the key does not belong/],
  ] as const) {
    mesh.cluster.put(SECRET, { ...good, data });
    await mesh.settle();
    assert.match(replica.secret.problem, wanted);
    assert.deepEqual(rootsOf(replica), before);
  }
  mesh.cluster.put(SECRET, good);
  await mesh.settle();
  assert.equal(replica.secret.problem, "");
});

test("a control plane that begins with a damaged one waits until it is mended", async () => {
  mesh.cluster.put(SECRET, { data: { "state.json": base64("{}") } });
  const replica = mesh.add();
  await mesh.clock.run(60_000, 1000);
  assert.equal(replica.ca, null);
  mesh.cluster.put(SECRET, { data: brought().data });
  await mesh.settle();
  assert.equal(rootsOf(replica).length, 1);
});

test("the CA of another trust domain is refused", async () => {
  mesh.add("one.test");
  await mesh.settle();
  const other = mesh.add("two.test");
  await mesh.settle();
  assert.equal(other.ca, null);
  assert.match(other.secret.problem, /holds the CA of trust domain "one\.test", not of "two\.test"/);
});

test("a Secret that is deleted while there is a mesh is made again as it was", async () => {
  const [replica, other] = [mesh.add(), mesh.add()];
  await mesh.settle();
  const before = rootsOf(replica);
  mesh.cluster.delete(SECRET);
  await mesh.settle();
  assert.deepEqual(rootsOf(replica), before);
  assert.deepEqual(rootsOf(other), before);
  const late = mesh.add();
  await mesh.settle();
  assert.deepEqual(rootsOf(late), before);
});
