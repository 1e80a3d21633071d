/** Where use ends and flood begins, on simulated time. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { EventClock, SimulatedClock } from "../../../core/clock.ts";
import { DEFAULT_HTTP2, type Http2Options } from "../../../model/http.ts";
import { FloodGuard } from "./flood-guard.ts";
import { Http2Stats } from "./stats.ts";

function setup(options: Partial<Http2Options> = {}) {
  const clock = new SimulatedClock();
  const events = new EventClock(clock);
  const stats = new Http2Stats();
  const guard = new FloodGuard({ ...DEFAULT_HTTP2, ...options }, stats, events);
  const pass = (ms: number): void => {
    clock.advance(ms);
    events.refresh();
  };
  return { guard, stats, pass };
}

/** How many times something is let through before it is too much. */
function until(offence: () => string, most = 100_000): number {
  for (let count = 0; count < most; count++) if (offence() !== "") return count;
  return most;
}

describe("a peer is stopped", () => {
  test("at more empty frames in a row than it may send, and not at as many with content between them", () => {
    const { guard, stats } = setup({ maxConsecutiveInboundFramesWithEmptyPayload: 2 });
    for (let i = 0; i < 10; i++) {
      assert.equal(guard.onPayload(true) + guard.onPayload(true) + guard.onPayload(false), "");
    }
    assert.equal(
      until(() => guard.onPayload(true)),
      2,
    );
    assert.equal(stats.inbound_empty_frames_flood, 1);
  });

  test("at CONTINUATION without end, anew for each block", () => {
    const { guard, stats } = setup();
    for (let block = 0; block < 3; block++) {
      guard.onHeaders();
      for (let i = 0; i < 128; i++) assert.equal(guard.onContinuation(), "");
    }
    assert.notEqual(guard.onContinuation(), "");
    assert.equal(stats.header_overflow, 1);
  });

  test("at more PRIORITY than its streams explain", () => {
    const { guard, stats } = setup({ maxInboundPriorityFramesPerStream: 10 });
    guard.streams = 4;
    assert.equal(
      until(() => guard.onPriority()),
      50,
    );
    assert.equal(stats.inbound_priority_frames_flood, 1);
  });

  test("at more WINDOW_UPDATE than DATA and streams explain, as Envoy counts them", () => {
    const { guard, stats } = setup({ maxInboundWindowUpdateFramesPerDataFrameSent: 10 });
    guard.streams = 3;
    guard.dataSent = 2;
    assert.equal(
      until(() => guard.onWindowUpdate()),
      5 + 2 * (3 + 10 * 2),
    );
    assert.equal(stats.inbound_window_update_frames_flood, 1);
  });

  test("at PING and SETTINGS that come faster than they are allowed again", () => {
    const { guard, stats, pass } = setup({ maxOutboundControlFrames: 100 });
    for (let i = 0; i < 1000; i++) {
      assert.equal(guard.onControl(), "", `after ${i}`);
      pass(10);
    }
    assert.equal(
      until(() => guard.onControl()),
      100,
    );
    assert.equal(stats.outbound_control_flood, 1);
  });

  test("at PING, later if it also asks for something", () => {
    const { guard } = setup({ maxOutboundControlFrames: 100 });
    for (let i = 0; i < 50; i++) {
      guard.onHeaders();
      assert.equal(guard.onControl() + guard.onControl(), "");
    }
    assert.equal(
      until(() => guard.onControl()),
      98,
    );
  });

  test("at RST_STREAM beyond Envoy's bucket, which fills again", () => {
    const { guard, stats, pass } = setup({ streamResetBurst: 20, streamResetRate: 10 });
    assert.equal(
      until(() => guard.onReset()),
      20,
    );
    assert.equal(stats.premature_reset_flood, 1);
    pass(1000);
    // What was one too many is paid back first.
    assert.equal(
      until(() => guard.onReset()),
      9,
    );
  });

  test("at streams that mostly end before they were answered, once there are enough to tell", () => {
    const few = setup();
    few.guard.streams = 499;
    for (let i = 0; i < 499; i++) assert.equal(few.guard.onPrematureReset(), "");
    const most = setup();
    most.guard.streams = 900;
    assert.equal(
      until(() => most.guard.onPrematureReset()),
      499,
    );
    assert.equal(most.stats.premature_reset_flood, 1);
    const half = setup();
    half.guard.streams = 2000;
    assert.equal(
      until(() => half.guard.onPrematureReset()),
      1000,
    );
  });

  test("at more frames waiting for it than it may leave", () => {
    const { guard, stats } = setup({ maxOutboundFrames: 5 });
    assert.equal(guard.onUnsent(5), "");
    assert.notEqual(guard.onUnsent(6), "");
    assert.equal(stats.outbound_flood, 1);
  });
});
