/** Which requests wait for a route, and what they are told where none comes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { EventClock, SimulatedClock } from "../../core/clock.ts";
import { TimerWheel } from "../../core/timer-wheel.ts";
import { WatchCell } from "../../core/watch.ts";
import { Flag } from "../../model/flags.ts";
import { FakeContext } from "../../test/support/filters.ts";
import { request } from "../../test/support/routes.ts";
import { OnDemand } from "../on-demand.ts";
import { OnDemandStage } from "./on-demand.ts";

function rig() {
  const clock = new SimulatedClock();
  const asked: string[] = [];
  const absent = new WatchCell<ReadonlySet<string>>(new Set());
  const names = { ask: (name: string) => void asked.push(name), absent };
  const onDemand = new OnDemand(names, new EventClock(clock), new TimerWheel(clock), () => undefined);
  const stage = new OnDemandStage(onDemand, 2000);
  const to = (authority: string): { readonly context: FakeContext; readonly goesOn: boolean } => {
    const head = request("/");
    head.authority = authority;
    const context = new FakeContext(head);
    return { context, goesOn: stage.onRequest(context) };
  };
  return { clock, asked, absent, onDemand, to };
}

test("a request waits for its route and goes on when it is there", () => {
  const { asked, onDemand, to } = rig();
  const { context, goesOn } = to("Pay.Bank:8080");
  assert.equal(goesOn, false);
  assert.deepEqual(asked, ["on-demand|pay.bank:8080"]);
  onDemand.look();
  assert.equal(context.resumed, 0);
  context.rerouted = true;
  onDemand.look();
  assert.equal(context.resumed, 1);
  assert.deepEqual(context.replies, []);
});

test("one to a host that does not exist goes on to the answer for such", () => {
  const { absent, to } = rig();
  const { context } = to("nobody");
  absent.set(new Set(["on-demand|nobody"]));
  assert.deepEqual([context.resumed, context.replies], [1, []]);
  assert.equal(to("nobody").goesOn, true);
});

test("where nobody answers the caller learns that, at first after two seconds", () => {
  const { clock, to } = rig();
  const first = to("pay.bank");
  clock.advance(2100);
  const second = to("pay.bank");
  assert.equal(second.goesOn, false);
  for (const { context } of [first, second]) {
    assert.equal(context.resumed, 0);
    assert.deepEqual(
      context.replies.map(({ status, details, flags }) => [status, details, flags]),
      [[503, "on_demand_unanswered", Flag.NC]],
    );
    assert.match(context.replies[0]?.body ?? "", /the control plane has not said in time/);
  }
});

test("what can be no service's name is not asked for", () => {
  const { asked, to } = rig();
  for (const host of [
    "",
    "10.0.0.1",
    "10.0.0.1:80",
    "[::1]:80",
    "a b",
    "a/b",
    "a..b",
    ".a",
    "a:b",
    `${"a".repeat(300)}`,
  ]) {
    assert.equal(to(host).goesOn, true, host);
  }
  assert.deepEqual(asked, []);
});

test("a caller that leaves is not answered", () => {
  const { clock, to } = rig();
  const { context } = to("pay.bank");
  context.end();
  clock.advance(2100);
  assert.deepEqual([context.resumed, context.replies], [0, []]);
});
