/** Several control planes and one real Lease: one leads, another follows it, and never two at once. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import type { KubernetesApi } from "../../control-plane/kubernetes/api.ts";
import { type Election, startElection } from "../../control-plane/kubernetes/leader.ts";
import { objectAt } from "../../control-plane/kubernetes/objects/fields.ts";
import { SILENT } from "../../control-plane/testing/silent.ts";
import { systemRandom } from "../../core/random.ts";
import { fastClock } from "../support/fast-clock.ts";
import { type KubeApiServer, sharedKubeApi } from "../support/kube-api.ts";
import { eventually } from "../support/running-workers.ts";

const kube = sharedKubeApi();
/** Of fifteen seconds are three, which leaves a slow machine one for each call. */
const clock = fastClock(5);

interface Candidate {
  readonly name: string;
  readonly election: Election;
  /** Its process is gone: nothing that it asks for happens, and nothing is given back. */
  die(): void;
  dead: boolean;
  working: boolean;
}

class Race {
  readonly candidates: Candidate[] = [];
  /** Names, in the order in which they led. */
  readonly terms: string[] = [];
  readonly #server: KubeApiServer;
  readonly #lease: string;

  constructor(t: TestContext, server: KubeApiServer, lease: string) {
    this.#server = server;
    this.#lease = lease;
    t.after(() => Promise.all(this.candidates.map(({ election }) => election.close())));
  }

  enter(name: string): Candidate {
    const api = this.#server.httpApi();
    const candidate: { -readonly [K in keyof Candidate]: Candidate[K] } = {
      name,
      dead: false,
      working: false,
      election: { isLeader: false, holder: "", close: async () => {} },
      die: () => {
        candidate.dead = true;
      },
    };
    const call: KubernetesApi["call"] = (one, signal) =>
      candidate.dead ? Promise.reject(new Error("nobody asks any more")) : api.call(one, signal);
    candidate.election = startElection({
      call,
      namespace: "default",
      name: this.#lease,
      identity: name,
      clock,
      random: systemRandom,
      log: SILENT,
      onLead: () => {
        // Whoever is dead does nothing, whatever it believes.
        assert.deepEqual(
          this.candidates.filter(({ working, dead }) => working && !dead).map((other) => other.name),
          [],
        );
        candidate.working = true;
        this.terms.push(name);
        return () => {
          candidate.working = false;
        };
      },
    });
    this.candidates.push(candidate);
    return candidate;
  }

  get leader(): Candidate | undefined {
    return this.candidates.find(({ election, dead }) => election.isLeader && !dead);
  }

  async elected(): Promise<Candidate> {
    await eventually(async () => this.leader !== undefined);
    return this.leader ?? assert.fail("nobody leads");
  }

  async spec(): Promise<Readonly<Record<string, unknown>>> {
    const path = `/apis/coordination.k8s.io/v1/namespaces/default/leases/${this.#lease}`;
    return objectAt(await this.#server.admin.call("GET", path), "spec");
  }
}

test("of three that begin at once one leads, and stays", async (t) => {
  const server = kube(t);
  if (server === null) return;
  const race = new Race(t, server, "three");
  for (const name of ["a", "b", "c"]) race.enter(name);
  const leader = await race.elected();
  await wait(4000);
  assert.deepEqual(race.terms, [leader.name]);
  const { holderIdentity, leaseTransitions } = await race.spec();
  assert.deepEqual([holderIdentity, leaseTransitions], [leader.name, 0]);
  for (const { election } of race.candidates) assert.equal(election.holder, leader.name);
});

test("where the leader is killed another leads once its Lease has run out; who stops gives it back at once", async (t) => {
  const server = kube(t);
  if (server === null) return;
  const race = new Race(t, server, "killed");
  for (const name of ["a", "b", "c"]) race.enter(name);
  const first = await race.elected();
  first.die();
  const killedAt = performance.now();
  const second = await race.elected();
  assert.notEqual(second.name, first.name);
  // The last renewal was at most a retry ago (2 s of the 15 that it holds for), and clocks run five times as fast.
  assert.ok(performance.now() - killedAt > 2000);
  assert.equal((await race.spec())["leaseTransitions"], 1);
  await second.election.close();
  const { holderIdentity } = await race.spec();
  assert.ok(holderIdentity === undefined || holderIdentity !== second.name);
  const third = await race.elected();
  assert.equal(new Set([first.name, second.name, third.name]).size, 3);
  assert.deepEqual(race.terms, [first.name, second.name, third.name]);
});

test("while the API server is away longer than a Lease lasts nobody leads, and afterwards one does", async (t) => {
  const server = kube(t);
  if (server === null) return;
  const race = new Race(t, server, "away");
  for (const name of ["a", "b"]) race.enter(name);
  const leader = await race.elected();
  await server.stopApiServer();
  await eventually(async () => race.leader === undefined);
  assert.equal(leader.working, false);
  await server.startApiServer();
  await race.elected();
});

test("a Lease that somebody deletes is made again, and two do not lead meanwhile", async (t) => {
  const server = kube(t);
  if (server === null) return;
  const race = new Race(t, server, "deleted");
  for (const name of ["a", "b"]) race.enter(name);
  await race.elected();
  const ref = { apiVersion: "coordination.k8s.io/v1", kind: "Lease", namespace: "default", name: "deleted" };
  await server.admin.delete(ref);
  await eventually(async () => (await server.admin.status("GET", await server.admin.pathOf(ref))) === 200);
  await eventually(async () => race.leader?.name === (await race.spec())["holderIdentity"]);
});
