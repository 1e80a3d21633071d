import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Clock, SimulatedClock } from "../../core/clock.ts";
import { type Random, seededRandom } from "../../core/random.ts";
import { SILENT } from "../testing/silent.ts";
import { ApiError, type JsonObject } from "./api.ts";
import { type Election, startElection } from "./leader.ts";
import { FakeLeases, type Journey, type Link } from "./testing/fake-leases.ts";

const LEASE = "outrigger-leader";
const QUICK: Link = () => ({ there: 5, back: 5 });
const CUT: Link = () => ({ there: null, back: null });

interface Candidate {
  readonly name: string;
  readonly election: Election;
  link: Link;
  /** Whether what `onLead` began is at work. */
  working: boolean;
  terms: number;
}

class Race {
  readonly clock = new SimulatedClock();
  readonly leases = new FakeLeases(this.clock);
  readonly candidates: Candidate[] = [];
  /** Moments at which two were at work. */
  clashes = 0;

  enter(name: string, { link = QUICK, clock = this.clock as Clock, random = seededRandom(1) } = {}): Candidate {
    const candidate: { -readonly [K in keyof Candidate]: Candidate[K] } = {
      name,
      election: { isLeader: false, holder: "", close: async () => {} },
      link,
      working: false,
      terms: 0,
    };
    candidate.election = startElection({
      call: this.leases.over((call) => candidate.link(call)),
      namespace: "outrigger-system",
      name: LEASE,
      identity: name,
      clock,
      random,
      log: SILENT,
      onLead: () => {
        candidate.working = true;
        candidate.terms++;
        this.look();
        return () => {
          candidate.working = false;
        };
      },
    });
    this.candidates.push(candidate);
    return candidate;
  }

  look(): void {
    if (this.candidates.filter(({ working, election }) => working || election.isLeader).length > 1) this.clashes++;
  }

  get leaders(): readonly string[] {
    return this.candidates.filter(({ election }) => election.isLeader).map(({ name }) => name);
  }

  async run(ms: number, stepMs = 50): Promise<void> {
    for (let left = ms; left > 0; left -= stepMs) {
      await this.clock.run(stepMs, stepMs);
      this.look();
    }
  }

  spec(): JsonObject {
    return (this.leases.get(LEASE)?.["spec"] ?? {}) as JsonObject;
  }
}

test("the first leads, the next one does not while it renews", async () => {
  const race = new Race();
  const a = race.enter("a");
  await race.run(100);
  const b = race.enter("b");
  await race.run(120_000);
  assert.deepEqual([a.election.isLeader, a.working, b.election.isLeader, b.working], [true, true, false, false]);
  assert.deepEqual([a.election.holder, b.election.holder], ["a", "a"]);
  assert.deepEqual([a.terms, race.clashes], [1, 0]);
  const { holderIdentity, leaseDurationSeconds, leaseTransitions, acquireTime, renewTime } = race.spec();
  assert.deepEqual([holderIdentity, leaseDurationSeconds, leaseTransitions], ["a", 15, 0]);
  assert.match(String(acquireTime), /^2023-11-14T22:13:20\.0\d{5}Z$/);
  assert.match(String(renewTime), /^2023-11-14T22:15:(18|19|20)\.\d{6}Z$/);
});

test("one that closes stops first and then gives the Lease back, which the next takes at its next look", async () => {
  const race = new Race();
  const a = race.enter("a");
  await race.run(100);
  const b = race.enter("b");
  await race.run(10_000);
  const closed = a.election.close();
  assert.deepEqual([a.working, a.election.isLeader], [false, false]);
  await race.run(100, 10);
  await closed;
  assert.equal("holderIdentity" in race.spec(), false);
  await race.run(4500);
  assert.deepEqual([b.working, race.spec()["holderIdentity"], race.spec()["leaseTransitions"]], [true, "b", 1]);
  assert.equal(race.clashes, 0);
});

test("one that closes while its write is under way does not leave the Lease behind", async () => {
  const race = new Race();
  const a = race.enter("a", { link: ({ method }) => ({ there: 5, back: method === "POST" ? 1000 : 5 }) });
  await race.run(100);
  assert.equal(race.spec()["holderIdentity"], "a");
  void a.election.close();
  await race.run(100, 10);
  assert.equal("holderIdentity" in race.spec(), false);
  assert.equal(a.terms, 0);
});

test("closing without an API server ends within seconds", async () => {
  const race = new Race();
  const a = race.enter("a");
  await race.run(100);
  a.link = CUT;
  let closed = false;
  void a.election.close().then(() => {
    closed = true;
  });
  await race.run(2200);
  assert.equal(closed, true);
});

test("a leader that is cut off stops before another can lead, and stays out when it is back", async () => {
  const race = new Race();
  const a = race.enter("a");
  await race.run(100);
  const b = race.enter("b");
  await race.run(5000);
  a.link = CUT;
  await race.run(10_000);
  assert.deepEqual(race.leaders, []);
  assert.equal(a.working, false);
  await race.run(11_000);
  assert.deepEqual(race.leaders, ["b"]);
  a.link = QUICK;
  await race.run(60_000);
  assert.deepEqual([race.leaders, race.clashes, b.terms], [["b"], 0, 1]);
});

test("a failure that passes in time changes nothing", async () => {
  const race = new Race();
  const a = race.enter("a");
  await race.run(1000);
  const error = new ApiError(500, "InternalError", "etcdserver: leader changed");
  a.link = () => ({ there: 5, back: 5, error });
  await race.run(7000);
  a.link = QUICK;
  await race.run(20_000);
  assert.deepEqual([a.terms, a.working], [1, true]);
});

test("a call that hangs is given up in time for another one", async () => {
  const race = new Race();
  const a = race.enter("a");
  await race.run(1000);
  let hangs = 1;
  a.link = () => (hangs-- > 0 ? { there: null, back: null } : { there: 5, back: 5 });
  await race.run(20_000);
  assert.deepEqual([a.terms, a.working], [1, true]);
});

test("a renewal whose answer was lost is no reason to step down", async () => {
  const race = new Race();
  const a = race.enter("a");
  await race.run(1000);
  let lost = 1;
  a.link = ({ method }) => ({ there: 5, back: method === "PUT" && lost-- > 0 ? null : 5 });
  await race.run(20_000);
  assert.deepEqual([a.terms, a.working], [1, true]);
});

test("a leader whose Lease another one has taken stops at once", async () => {
  const race = new Race();
  const a = race.enter("a");
  await race.run(1000);
  race.leases.put(LEASE, { holderIdentity: "other", leaseDurationSeconds: 15 });
  await race.run(2100);
  assert.deepEqual([a.working, a.election.holder], [false, "other"]);
});

test("it is counted from when a change was seen, whatever times stand in the Lease, and by the holder's duration", async () => {
  const race = new Race();
  race.leases.put(LEASE, {
    holderIdentity: "gone",
    leaseDurationSeconds: 30,
    renewTime: "2001-01-01T00:00:00.000000Z",
  });
  const a = race.enter("a");
  await race.run(29_000);
  assert.equal(a.working, false);
  await race.run(6000);
  assert.equal(a.working, true);
});

test("a Lease that was deleted is made again by its holder; whoever saw it waits until the holder must know", async () => {
  const race = new Race();
  const a = race.enter("a");
  await race.run(100);
  const b = race.enter("b");
  await race.run(10_000);
  a.link = CUT;
  race.leases.delete(LEASE);
  await race.run(9000);
  assert.equal(b.working, false);
  await race.run(12_000);
  assert.deepEqual([b.working, race.clashes], [true, 0]);
  race.leases.delete(LEASE);
  await race.run(3000);
  assert.deepEqual([b.terms, race.spec()["holderIdentity"]], [1, "b"]);
});

test("what others keep in the Lease stays", async () => {
  const race = new Race();
  race.leases.put(LEASE, { holderIdentity: null, preferredHolder: "x", leaseTransitions: 4 });
  race.enter("a");
  await race.run(10_000);
  assert.deepEqual([race.spec()["preferredHolder"], race.spec()["leaseTransitions"]], ["x", 5]);
});

test("a server that asks to be left alone is, and nonsense is no Lease", async () => {
  const race = new Race();
  let calls = 0;
  const a = race.enter("a", {
    link: () => {
      calls++;
      return { there: 5, back: 5, error: new ApiError(429, "TooManyRequests", "slow down", 20_000) };
    },
  });
  await race.run(19_000);
  assert.equal(calls, 1);
  a.link = QUICK;
  await race.run(3000);
  assert.equal(a.working, true);
  const other = startElection({
    call: async () => ({ kind: "Lease" }),
    namespace: "n",
    name: LEASE,
    identity: "o",
    clock: race.clock,
    random: seededRandom(1),
    log: SILENT,
    onLead: () => assert.fail("it has no Lease"),
  });
  await race.run(10_000);
  assert.equal(other.isLeader, false);
});

/** A clock of its own speed that stands at another time of day, and may stand still there. */
function skewed(base: SimulatedClock, rate: number, wallOffsetMs: number, wallRate: number): Clock {
  return {
    now: () => 5_000 + base.now() * rate,
    wallTime: () => base.wallTime() + wallOffsetMs + base.now() * (wallRate - 1),
    after: (ms, callback) => base.after(ms / rate, callback),
  };
}

/** A link that is good, slow, failing or cut, each for a while. */
function moody(clock: Clock, random: Random, calmFrom: number): Link {
  let [mood, until] = [0, 0];
  return (): Journey => {
    if (clock.now() >= calmFrom) return { there: 20 + random() * 100, back: 20 + random() * 100 };
    if (clock.now() >= until) {
      mood = Math.floor(random() * 5);
      until = clock.now() + random() * 30_000;
    }
    const travel = (): number => random() * (mood === 1 ? 9000 : 200);
    if (mood === 2) return { there: travel(), back: travel(), error: new ApiError(503, "", "not now") };
    if (mood === 3) return { there: null, back: null };
    // Each may be lost for itself; what is lost on its way back was done.
    return {
      there: mood === 4 && random() < 0.4 ? null : travel(),
      back: mood === 4 && random() < 0.4 ? null : travel(),
    };
  };
}

test("at most one leads at any moment, and soon after a leader died another does", { timeout: 120_000 }, async () => {
  const candidate = fc.record({
    rate: fc.double({ min: 0.85, max: 1.15, noNaN: true }),
    wallOffsetMs: fc.integer({ min: -86_400_000, max: 86_400_000 }),
    wallRate: fc.constantFrom(-1, 0, 0.5, 1, 2),
    seed: fc.integer(),
  });
  let [terms, deaths] = [0, 0];
  await fc.assert(
    fc.asyncProperty(fc.array(candidate, { minLength: 2, maxLength: 4 }), async (given) => {
      const race = new Race();
      const calmFrom = 150_000;
      for (const [index, { rate, wallOffsetMs, wallRate, seed }] of given.entries()) {
        const random = seededRandom(seed);
        const clock = skewed(race.clock, rate, wallOffsetMs, wallRate);
        race.enter(`c${index}`, { link: moody(race.clock, random, calmFrom), clock, random });
      }
      await race.run(calmFrom, 100);
      assert.equal(race.clashes, 0);
      // One after the other dies while the server is well; the last one stays.
      for (let left = given.length; left > 0; left--) {
        // The longest: a duration and a wait with all its jitter, both by a slow clock, and a few calls.
        await race.run((15_000 + 2 * 2.2 * 2000) / 0.85 + 2000, 100);
        assert.equal(race.leaders.length, 1);
        assert.equal(race.clashes, 0);
        const leader = race.candidates.find(({ election }) => election.isLeader);
        assert.ok(leader?.working);
        terms += leader.terms;
        if (left === 1) break;
        leader.link = CUT;
        race.candidates.splice(race.candidates.indexOf(leader), 1);
        deaths++;
      }
    }),
    { numRuns: 25 },
  );
  assert.ok(deaths >= 25 && terms > deaths);
});
