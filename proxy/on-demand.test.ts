/** How long calls wait for what is not known, and what ends that, in simulated time. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { EventClock, SimulatedClock } from "../core/clock.ts";
import { TimerWheel } from "../core/timer-wheel.ts";
import { WatchCell } from "../core/watch.ts";
import { type NoAnswer, OnDemand } from "./on-demand.ts";

class World {
  readonly clock = new SimulatedClock();
  readonly asked: string[] = [];
  readonly absent = new WatchCell<ReadonlySet<string>>(new Set());
  readonly outcomes: string[] = [];
  /** What became of each call, by its number. */
  readonly ends: string[] = [];
  readonly known = new Set<string>();
  readonly onDemand: OnDemand;
  readonly #eventClock = new EventClock(this.clock);

  constructor() {
    const names = { ask: (name: string) => void this.asked.push(name), absent: this.absent };
    this.onDemand = new OnDemand(names, this.#eventClock, new TimerWheel(this.clock), (outcome, place) => {
      this.outcomes.push(`${place} ${outcome}`);
    });
  }

  call(place: string, timeoutMs = 2000) {
    // As with every event that a call begins with.
    this.#eventClock.refresh();
    const number = this.ends.push("waits") - 1;
    const end = (what: string): void => {
      assert.equal(this.ends[number], "waits");
      this.ends[number] = what;
    };
    const answer = this.onDemand.hold(place, timeoutMs, {
      retry: () => {
        if (!this.known.has(place)) return false;
        end("found");
        return true;
      },
      end: (why: NoAnswer) => end(why),
    });
    if (typeof answer === "string") end(`at once ${answer}`);
    return answer;
  }
}

describe("a call to what is not known", () => {
  test("waits until something new is in force that has it; others go on waiting", () => {
    const world = new World();
    world.call("10.0.0.1:80");
    world.call("10.0.0.2:80");
    world.call("10.0.0.1:80");
    assert.deepEqual(world.asked, ["on-demand|10.0.0.1:80", "on-demand|10.0.0.2:80"]);
    world.onDemand.look();
    assert.deepEqual(world.ends, ["waits", "waits", "waits"]);
    world.known.add("10.0.0.1:80");
    world.onDemand.look();
    assert.deepEqual(world.ends, ["found", "waits", "found"]);
    assert.deepEqual(world.outcomes, ["10.0.0.1:80 found", "10.0.0.1:80 found"]);
    world.clock.advance(2500);
    assert.deepEqual(world.ends, ["found", "unanswered", "found"]);
  });

  test("goes on as soon as it is said that there is nothing, and the next one does not wait", () => {
    const world = new World();
    world.call("stock.bank");
    world.absent.set(new Set(["on-demand|stock.bank"]));
    assert.deepEqual(world.ends, ["absent"]);
    world.call("stock.bank");
    assert.deepEqual(world.ends, ["absent", "at once absent"]);
    assert.deepEqual(world.asked, ["on-demand|stock.bank"]);
    // Taken back: there may be such a service now.
    world.absent.set(new Set());
    world.call("stock.bank");
    assert.equal(world.asked.length, 2);
    assert.deepEqual(world.outcomes, ["stock.bank absent"]);
  });

  test("waits no longer than its time, and for a while nobody waits for that again", () => {
    const world = new World();
    world.call("10.0.0.1:80", 2000);
    world.clock.advance(1900);
    world.call("10.0.0.1:80", 2000);
    assert.deepEqual(world.ends, ["waits", "waits"]);
    world.clock.advance(200);
    assert.deepEqual(world.ends, ["unanswered", "unanswered"]);
    world.clock.advance(1000);
    world.call("10.0.0.1:80");
    assert.equal(world.ends[2], "at once unanswered");
    assert.equal(world.asked.length, 1);
    world.clock.advance(5000);
    world.call("10.0.0.1:80");
    assert.equal(world.ends[3], "waits");
    assert.equal(world.asked.length, 2);
  });

  test("that its caller gives up is forgotten, and what was asked for it stays asked", () => {
    const world = new World();
    const waiting = world.call("10.0.0.1:80");
    assert.ok(typeof waiting === "object");
    waiting.cancel();
    world.clock.advance(60_000);
    world.onDemand.look();
    assert.deepEqual(world.ends, ["waits"]);
    assert.deepEqual(world.outcomes, []);
  });

  test("does not wait where 1,024 others do", () => {
    const world = new World();
    for (let i = 0; i < 1024; i++) world.call(`10.0.${i >> 8}.${i & 255}:80`);
    world.call("10.1.0.0:80");
    assert.equal(world.ends.at(-1), "at once unanswered");
    world.absent.set(new Set(["on-demand|10.0.0.7:80"]));
    world.call("10.1.0.0:80");
    assert.equal(world.ends.at(-1), "waits");
  });

  test("is let go of when the data plane closes", () => {
    const world = new World();
    world.call("10.0.0.1:80");
    world.onDemand.close();
    world.absent.set(new Set(["on-demand|10.0.0.1:80"]));
    world.clock.advance(60_000);
    assert.deepEqual(world.ends, ["waits"]);
  });
});
