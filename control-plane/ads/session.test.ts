/** The order of a session in simulated time: what waits, for what, and for how long. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { SimulatedClock } from "../../core/clock.ts";
import { encodeResource, type ResourceKind } from "../../xds/resources.ts";
import { ResourceCache } from "../cache.ts";
import { Mesh } from "../mesh/mesh.ts";
import { objectsOf, serviceYaml, workload } from "../testing/workloads.ts";
import { delta } from "./delta.ts";
import { Session } from "./session.ts";
import { Turns } from "./turns.ts";

interface Sent {
  readonly kind: ResourceKind;
  readonly nonce: string;
  readonly names: readonly string[];
  readonly removed: readonly string[];
}

function fixture(atOnce = 64) {
  const clock = new SimulatedClock();
  const turns = new Turns(clock, atOnce);
  const mesh = new Mesh("cluster.local");
  mesh.setManifests(objectsOf(serviceYaml("a")));
  const cache = new ResourceCache(encodeResource, mesh.state);
  cache.addNode(workload("a"));
  const sent: Sent[] = [];
  const session = new Session({
    nodeId: "a-1",
    cache,
    variant: delta,
    clock,
    turns,
    send: (kind, { resources, removed }, nonce) =>
      sent.push({ kind, nonce, names: resources.map(({ name }) => name), removed }),
    onAck: () => {},
    onNack: () => {},
  });
  const everything = (kind: ResourceKind): void => {
    const subscription = session.subscription(kind);
    subscription.wildcard = true;
    subscription.touch(session.view.names(subscription));
  };
  cache.subscribe(({ shared, nodes }) => {
    session.touch(shared);
    const own = nodes.get("a-1");
    if (own) session.touch(own);
  });
  const apply = (manifests: string): void => {
    mesh.setManifests(objectsOf(manifests));
    cache.update(mesh.state);
    session.pump();
  };
  const kinds = (): readonly string[] => sent.map(({ kind }) => kind);
  const answer = (kind: ResourceKind, refusal: string | null = null): void => {
    for (const response of sent.filter((response) => response.kind === kind)) {
      session.answer(kind, response.nonce, refusal);
    }
    session.pump();
  };
  return { clock, turns, cache, session, sent, everything, apply, kinds, answer };
}

test("listeners wait for the answers about clusters and endpoints, routes with them", () => {
  const { session, kinds, everything, answer } = fixture();
  for (const kind of ["listener", "route", "cluster", "endpoint"] as const) everything(kind);
  session.pump();
  assert.deepEqual(kinds(), ["cluster", "endpoint"]);
  answer("cluster");
  assert.deepEqual(kinds(), ["cluster", "endpoint"]);
  answer("endpoint");
  assert.deepEqual(kinds(), ["cluster", "endpoint", "listener", "route"]);
});

test("a client that never answers still gets the rest, a while later", () => {
  const { session, kinds, everything, clock } = fixture();
  for (const kind of ["listener", "route", "cluster", "endpoint"] as const) everything(kind);
  session.pump();
  clock.advance(1999);
  assert.deepEqual(kinds(), ["cluster", "endpoint"]);
  clock.advance(1);
  assert.deepEqual(kinds(), ["cluster", "endpoint", "listener", "route"]);
});

test("listeners wait until the endpoints of new clusters were asked for and taken", () => {
  const { session, kinds, everything, answer, clock } = fixture();
  for (const kind of ["listener", "cluster"] as const) everything(kind);
  session.pump();
  answer("cluster");
  clock.advance(1000);
  assert.deepEqual(kinds(), ["cluster"]);
  everything("endpoint");
  session.pump();
  answer("endpoint");
  assert.deepEqual(kinds(), ["cluster", "endpoint", "listener"]);
});

test("changes while an answer is awaited become one response with the newest state", () => {
  const { session, sent, everything, answer, apply } = fixture();
  everything("cluster");
  session.pump();
  const policy = (requests: number): string =>
    `${serviceYaml("a")}---\napiVersion: outrigger.dev/v1alpha1\nkind: ResiliencePolicy\nmetadata: { name: p }\nspec: { targetRefs: [{ kind: Service, name: a }], limits: { requests: ${requests} } }\n`;
  for (let i = 1; i <= 20; i++) apply(policy(i));
  assert.equal(sent.length, 1);
  answer("cluster");
  assert.equal(sent.length, 2);
  assert.deepEqual(sent[1]?.names, ["outbound|80||a.default"]);
});

test("what goes, goes last and once nothing is awaited", () => {
  const { session, sent, everything, answer, apply } = fixture();
  apply(serviceYaml("a") + serviceYaml("b"));
  for (const kind of ["listener", "route", "cluster", "endpoint"] as const) everything(kind);
  session.pump();
  for (const kind of ["cluster", "endpoint", "listener", "route"] as const) answer(kind);
  sent.length = 0;
  apply(serviceYaml("a"));
  assert.deepEqual(
    sent.map(({ kind, removed }) => [kind, removed]),
    [
      ["listener", ["outbound|80||b.default"]],
      ["route", ["b.default:80"]],
    ],
  );
  answer("listener");
  assert.equal(sent.length, 2);
  answer("route");
  answer("cluster");
  assert.deepEqual(
    sent.slice(2).map(({ kind, removed }) => [kind, removed]),
    [
      ["cluster", ["outbound|80||b.default"]],
      ["endpoint", ["outbound|80||b.default"]],
    ],
  );
});

test("a replaced cluster brings its endpoints again, because the client may warm it anew", () => {
  const { session, sent, everything, answer, apply } = fixture();
  for (const kind of ["cluster", "endpoint"] as const) everything(kind);
  session.pump();
  for (const kind of ["cluster", "endpoint"] as const) answer(kind);
  sent.length = 0;
  apply(
    `${serviceYaml("a")}---\napiVersion: outrigger.dev/v1alpha1\nkind: ResiliencePolicy\nmetadata: { name: p }\nspec: { targetRefs: [{ kind: Service, name: a }], limits: { requests: 1 } }\n`,
  );
  assert.deepEqual(
    sent.map(({ kind, names }) => [kind, names]),
    [
      ["cluster", ["outbound|80||a.default"]],
      ["endpoint", ["outbound|80||a.default"]],
    ],
  );
});

test("a refusal holds back the applied revision until something better was accepted", () => {
  const { session, cache, everything, answer, apply } = fixture();
  everything("cluster");
  session.pump();
  answer("cluster", "no");
  assert.ok(session.appliedRevision < cache.revision);
  apply(serviceYaml("a") + serviceYaml("b"));
  answer("cluster");
  assert.equal(session.appliedRevision, cache.revision);
});

test("a big first push is sent in parts, and all of it arrives", () => {
  const { session, sent, everything, answer, apply } = fixture();
  apply(Array.from({ length: 3000 }, (_, i) => serviceYaml(`service-${i}`)).join(""));
  everything("cluster");
  session.pump();
  for (let i = 0; i < 10; i++) answer("cluster");
  assert.ok(sent.length > 1);
  assert.equal(new Set(sent.flatMap(({ names }) => names)).size, 3001);
});

test("what is big waits for its turn, what is small does not, and nothing overtakes what it needs", () => {
  const { turns, session, everything, apply, kinds, answer } = fixture(1);
  const other = turns.ask(() => undefined);
  for (const kind of ["cluster", "endpoint", "listener", "route"] as const) everything(kind);
  session.pump();
  assert.deepEqual(kinds(), ["cluster", "endpoint"], "of a small mesh");
  for (const kind of ["cluster", "endpoint", "listener", "route"] as const) answer(kind);
  const many = Array.from({ length: 100 }, (_, i) => serviceYaml(`many-${i}`)).join("");
  apply(serviceYaml("a") + many);
  const before = kinds().length;
  session.pump();
  assert.equal(kinds().length, before);
  other.end();
  assert.deepEqual(kinds().slice(before), ["cluster", "endpoint"]);
  for (const kind of ["cluster", "endpoint", "listener", "route"] as const) answer(kind);
  assert.deepEqual(kinds().slice(before), ["cluster", "endpoint", "listener", "route"]);
  assert.equal(turns.ask(() => undefined).granted, true, "the turn was given back");
});

test("a session that closes gives its turn back", () => {
  const { turns, session, everything, apply } = fixture(1);
  apply(Array.from({ length: 100 }, (_, i) => serviceYaml(`many-${i}`)).join(""));
  everything("cluster");
  session.pump();
  let granted = false;
  turns.ask(() => {
    granted = true;
  });
  assert.equal(granted, false);
  session.close();
  assert.equal(granted, true);
});

test("a session that holds all there is gives its turn back without having been sent anything", () => {
  const { cache, turns, session, sent, everything, apply } = fixture(1);
  apply(Array.from({ length: 100 }, (_, i) => serviceYaml(`many-${i}`)).join(""));
  for (const kind of ["cluster", "endpoint", "listener", "route"] as const) {
    for (const name of cache.names("a-1", kind)) {
      const resource = cache.lookup("a-1", kind, name);
      if (resource) session.subscription(kind).held.set(name, { version: resource.version, bytes: null });
    }
    everything(kind);
  }
  session.pump();
  assert.deepEqual(sent, []);
  assert.equal(turns.ask(() => undefined).granted, true);
});
