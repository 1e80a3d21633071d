import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { SimulatedClock } from "../../core/clock.ts";
import { encodeResource, type ResourceKind } from "../../xds/resources.ts";
import { delta } from "../ads/delta.ts";
import { Session } from "../ads/session.ts";
import { Turns } from "../ads/turns.ts";
import { ResourceCache } from "../cache.ts";
import { NO_MANIFESTS } from "../manifest/merge.ts";
import { Mesh } from "../mesh/mesh.ts";
import type { MeshSource, ReadGeneration } from "../source.ts";
import { objectsOf, serviceYaml, workload } from "../testing/workloads.ts";
import { answerApplied } from "./endpoint.ts";
import { ObjectChanges } from "./object-changes.ts";
import { type AppliedQuery, type AppliedReport, appliedReport } from "./report.ts";

const KINDS: readonly ResourceKind[] = ["cluster", "endpoint", "listener", "route"];

/** A mesh of the services a and b with a sidecar each, which wants everything and accepts what it is told to. */
class Fixture {
  readonly clock = new SimulatedClock();
  readonly mesh = new Mesh("cluster.local");
  readonly cache = new ResourceCache(encodeResource, this.mesh.state);
  readonly changes = new ObjectChanges(this.cache);
  readonly sessions: Session[] = [];
  /** Not answered yet. */
  readonly #sent: { readonly session: Session; readonly kind: ResourceKind; readonly nonce: string }[] = [];
  #manifests = NO_MANIFESTS;
  #revision = 0;
  generation: MeshSource["generation"];

  constructor() {
    this.apply(serviceYaml("a") + serviceYaml("b"));
    this.connect("a");
    this.connect("b");
    this.answer();
  }

  connect(service: string): void {
    const own = workload(service);
    this.mesh.setRegistration(own.id, { workload: own, servicePort: 80, ready: true } as never);
    this.cache.update(this.mesh.state);
    this.cache.addNode(own);
    const session: Session = new Session({
      nodeId: own.id,
      cache: this.cache,
      variant: delta,
      clock: this.clock,
      turns: new Turns(this.clock),
      send: (kind, _, nonce) => this.#sent.push({ session, kind, nonce }),
      onAck: () => {},
      onNack: () => {},
    });
    this.cache.subscribe(({ shared, nodes }) => {
      session.touch(shared);
      const touched = nodes.get(own.id);
      if (touched) session.touch(touched);
    });
    this.sessions.push(session);
    for (const kind of KINDS) {
      const subscription = session.subscription(kind);
      subscription.wildcard = true;
      subscription.touch(session.view.names(subscription));
    }
  }

  apply(yaml: string, rejections = NO_MANIFESTS.rejections): void {
    this.#manifests = { objects: objectsOf(yaml), rejections };
    const content = { revision: ++this.#revision, manifests: this.#manifests, cluster: null, change: null };
    this.changes.take(content, () => {
      this.mesh.apply(content);
      this.cache.update(this.mesh.state);
      return this.mesh.state.findings;
    });
  }

  /** All sidecars but those named answer all they are sent. */
  answer({ silent = "", refusal = null as string | null } = {}): void {
    for (let round = 0; round < 8; round++) {
      for (const session of this.sessions) session.pump();
      for (const { session, kind, nonce } of this.#sent.splice(0)) {
        if (session.nodeId !== silent) session.answer(kind, nonce, refusal);
      }
    }
  }

  /** What was sent in the given places of all that was is answered, in order. */
  answerSome(places: ReadonlySet<number>, refusal: string | null): void {
    const sent = this.#sent.splice(0);
    for (const [index, one] of sent.entries()) {
      if (places.has(index)) one.session.answer(one.kind, one.nonce, refusal);
      else this.#sent.push(one);
    }
    for (const session of this.sessions) session.pump();
  }

  report(object: string, query: Partial<AppliedQuery> = {}): AppliedReport {
    return appliedReport(
      { object, generation: null, revision: null, ...query },
      {
        manifests: this.#manifests,
        source: this.generation ? ({ generation: this.generation } as MeshSource) : null,
        findings: this.mesh.state.findings,
        changesOf: (key) => this.changes.of(key),
        sessions: this.sessions,
        workloadOf: (id) => this.mesh.state && workload(id.replace(/-1$/, "")),
      },
    );
  }
}

const SERVICES = serviceYaml("a") + serviceYaml("b");

function policy(service: string, requests: number): string {
  return `---
apiVersion: outrigger.dev/v1alpha1
kind: ResiliencePolicy
metadata: { name: limits }
spec: { targetRefs: [{ kind: Service, name: ${service} }], limits: { requests: ${requests} } }
`;
}

const KEY = "ResiliencePolicy/default/limits";

test("an object is applied once every sidecar has accepted what it became", () => {
  const mesh = new Fixture();
  mesh.apply(SERVICES + policy("a", 7));
  const told = mesh.report(KEY);
  assert.deepEqual([told.state, told.sidecars], ["pending", { connected: 2, concerned: 2, applied: 0 }]);
  assert.equal(told.message, "2 sidecars have yet to accept it");
  mesh.answer({ silent: "b-1" });
  assert.deepEqual(
    mesh.report(KEY).workloads.map(({ node, namespace, service, state }) => [node, namespace, service, state]),
    [
      ["a-1", "default", "a", "applied"],
      ["b-1", "default", "b", "pending"],
    ],
  );
  mesh.clock.advance(5000);
  mesh.answer({ silent: "b-1" });
  assert.equal(mesh.report(KEY).state, "pending");
});

test("what others change meanwhile is not waited for", () => {
  const mesh = new Fixture();
  mesh.apply(SERVICES + policy("a", 7));
  mesh.answer();
  mesh.apply(SERVICES + policy("a", 7) + serviceYaml("c"));
  assert.equal(mesh.report("Service/default/c").state, "pending");
  const { state, message, sidecars } = mesh.report(KEY);
  assert.deepEqual([state, message, sidecars], ["applied", "", { connected: 2, concerned: 2, applied: 2 }]);
});

test("a sidecar that refuses it is named with its reason, until it accepts a later version", () => {
  const mesh = new Fixture();
  mesh.apply(SERVICES + policy("a", 7));
  mesh.answer({ refusal: "no such field" });
  const { state, message, workloads } = mesh.report(KEY);
  assert.deepEqual([state, message], ["refused", "2 sidecars have refused it"]);
  assert.equal(workloads[0]?.message, "no such field");
  // Accepting something else is not accepting this.
  mesh.apply(SERVICES + policy("a", 7) + serviceYaml("c"));
  mesh.answer();
  assert.equal(mesh.report(KEY).state, "refused");
  mesh.apply(SERVICES + policy("a", 8) + serviceYaml("c"));
  mesh.answer();
  assert.equal(mesh.report(KEY).state, "applied");
});

test("whatever is answered in whatever order, applied means that every sidecar has accepted what there is now", () => {
  const step = fc.oneof(
    fc.record({ requests: fc.integer({ min: 1, max: 3 }), services: fc.subarray(["c", "d"]) }),
    fc.record({ places: fc.uniqueArray(fc.nat(7)), refused: fc.boolean() }),
    fc.record({ ms: fc.integer({ min: 1, max: 3000 }) }),
  );
  const seen = { applied: 0, pending: 0, refused: 0, absent: 0 };
  fc.assert(
    fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
      const mesh = new Fixture();
      for (const one of steps) {
        if ("ms" in one) mesh.clock.advance(one.ms);
        else if ("places" in one) mesh.answerSome(new Set(one.places), one.refused ? "no" : null);
        else {
          mesh.apply(SERVICES + policy("a", one.requests) + one.services.map((name) => serviceYaml(name)).join(""));
          for (const session of mesh.sessions) session.pump();
        }
        const { state } = mesh.report(KEY);
        seen[state]++;
        if (state !== "applied") continue;
        for (const session of mesh.sessions) {
          const { unanswered, held, refused } = session.subscription("cluster");
          const name = "outbound|80||a.default";
          assert.ok(!refused.has(name) && !unanswered.some(({ names }) => names.includes(name)));
          assert.equal(held.get(name)?.version, mesh.cache.lookup(session.nodeId, "cluster", name)?.version);
        }
      }
      mesh.clock.advance(5000);
      mesh.answer();
      mesh.apply(SERVICES + policy("a", 9));
      mesh.answer();
      assert.equal(mesh.report(KEY).state, "applied");
    }),
  );
  assert.ok(seen.applied > 0 && seen.pending > 0 && seen.refused > 0);
});

test("an object without any effect is applied at once, and one that can't have any is refused", () => {
  const mesh = new Fixture();
  mesh.apply(`${SERVICES}${policy("a", 7)}${policy("a", 7).replace("name: limits", "name: same")}`);
  mesh.answer();
  mesh.apply(SERVICES + policy("none", 7));
  assert.deepEqual(
    [mesh.report(KEY).state, mesh.report(KEY).message],
    ["refused", "targets Service default/none, which does not exist"],
  );
  // Its target comes: from then on it is in force where that is known.
  mesh.apply(SERVICES + serviceYaml("none") + policy("none", 7));
  assert.equal(mesh.report(KEY).state, "pending");
  mesh.answer();
  assert.equal(mesh.report(KEY).state, "applied");
  assert.equal(mesh.report("HTTPRoute/default/x").state, "absent");
});

test("an object that can't be read is refused with what is wrong", () => {
  const mesh = new Fixture();
  const problems = [{ message: "is not a duration", path: "spec.timeouts" }];
  mesh.apply(SERVICES, [{ file: "f", key: KEY, problems, inForce: "nothing" }]);
  assert.match(mesh.report(KEY).message, /spec.timeouts.*is not a duration/);
  assert.equal(mesh.report(KEY).state, "refused");
});

test("a generation is waited for until it was read and taken up", () => {
  const mesh = new Fixture();
  mesh.apply(SERVICES + policy("a", 7));
  mesh.answer();
  assert.equal(mesh.report(KEY, { generation: 2 }).message, "objects here have no generation: ask for a revision");
  let known: ReadGeneration = { generation: 1, given: true };
  mesh.generation = () => known;
  assert.equal(mesh.report(KEY, { generation: 2 }).message, "generation 1 is the newest that was read");
  known = { generation: 2, given: false };
  assert.equal(mesh.report(KEY, { generation: 2 }).state, "pending");
  known = { generation: 3, given: true };
  assert.deepEqual([mesh.report(KEY, { generation: 2 }).state, mesh.report(KEY).generation], ["applied", 3]);
});

test("a revision is of what an object says, wherever in a file", () => {
  const mesh = new Fixture();
  mesh.apply(SERVICES + policy("a", 7));
  const { revision } = mesh.report(KEY);
  assert.match(revision, /^[0-9a-f]{12}$/);
  mesh.answer();
  mesh.apply(policy("a", 7) + SERVICES);
  mesh.answer();
  assert.deepEqual([mesh.report(KEY).revision, mesh.report(KEY).state], [revision, "applied"]);
  mesh.apply(SERVICES + policy("a", 8));
  mesh.answer();
  const other = mesh.report(KEY, { revision });
  assert.deepEqual([other.state, other.message], ["pending", `revision ${other.revision} is in force`]);
});

test("a question waits for its answer as long as it says, and an answer that is there comes at once", async () => {
  const mesh = new Fixture();
  mesh.apply(SERVICES + policy("a", 7));
  const ask = (query: string, isGone?: () => boolean) => {
    let answer: Awaited<ReturnType<typeof answerApplied>> | null = null;
    const parameters = new URLSearchParams(query);
    void answerApplied(parameters, (of) => mesh.report(of.object, of), mesh.clock, isGone).then((given) => {
      answer = given;
    });
    return () => answer && [answer.status, "error" in answer.body ? answer.body.error : answer.body.state];
  };
  const [now, later, limited, absent] = [
    ask(`object=${KEY}`),
    ask(`object=${KEY}&wait=30`),
    ask(`object=${KEY}&wait=1`),
    ask("object=HTTPRoute/default/x&wait=1"),
  ];
  const gone = ask(`object=${KEY}&wait=60`, () => mesh.clock.now() > 500);
  await mesh.clock.run(900, 50);
  assert.deepEqual([now(), later(), limited(), absent()], [[200, "pending"], null, null, null]);
  assert.deepEqual(gone(), [200, "pending"]);
  await mesh.clock.run(200, 50);
  assert.deepEqual(
    [limited(), absent()],
    [
      [200, "pending"],
      [200, "absent"],
    ],
  );
  mesh.answer();
  await mesh.clock.run(150, 50);
  // Sidecars use what they have accepted a moment later.
  assert.equal(later(), null);
  await mesh.clock.run(200, 50);
  assert.deepEqual(later(), [200, "applied"]);
  const atOnce = ask(`object=${KEY}`);
  await mesh.clock.run(50, 50);
  assert.deepEqual(atOnce(), [200, "applied"]);
  for (const query of ["", "object=orders", `object=${KEY}&generation=x`, `object=${KEY}&wait=soon`]) {
    const wrong = ask(query);
    await mesh.clock.run(50, 50);
    assert.equal(wrong()?.[0], 400, query);
  }
});
