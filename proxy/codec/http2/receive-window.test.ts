import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { DEFAULT_HTTP2 } from "../../../model/http.ts";
import { firstWindow, ReceiveWindow } from "./receive-window.ts";

const DEFAULT = DEFAULT_HTTP2.initialStreamWindowSize;
const MIB = 1 << 20;

test("a window that was asked for is announced, and stays as large as it is", () => {
  assert.equal(firstWindow(65_536), 65_536);
  const window = new ReceiveWindow(65_536, 0);
  for (let i = 0; i < 100; i++) {
    window.left -= 32_768;
    assert.equal(window.passOn(32_768, 0), 32_768);
  }
  assert.equal(window.left, 65_536);
});

test("room is given back in halves, not for each read", () => {
  const window = new ReceiveWindow(65_536, 0);
  window.left -= 32_767;
  assert.equal(window.passOn(32_767, 0), 0);
  window.left -= 1;
  assert.equal(window.passOn(1, 0), 32_768);
});

test("a stream that flows fast gets Envoy's window, a slow one keeps the first", () => {
  const fast = new ReceiveWindow(DEFAULT, 0);
  assert.equal(fast.left, MIB);
  const slow = new ReceiveWindow(DEFAULT, 0);
  for (let now = 1; now < 2000; now++) {
    for (const [window, at] of [
      [fast, now],
      [slow, now * 100],
    ] as const) {
      const some = Math.min(window.left, 256 * 1024);
      window.left -= some;
      window.passOn(some, at);
    }
  }
  assert.ok(fast.left > DEFAULT / 2 && fast.left <= DEFAULT, `${fast.left}`);
  assert.ok(slow.left <= MIB, `${slow.left}`);
});

test("a reader that stands still makes a large window small again", () => {
  const window = new ReceiveWindow(DEFAULT, 0);
  const use = (heldUp: boolean): void => {
    const some = window.left;
    window.left = 0;
    if (heldUp) window.holdUp();
    window.passOn(some, 0);
  };
  for (let i = 0; i < 10; i++) use(false);
  assert.equal(window.left, DEFAULT);
  for (let i = 0; i < 40; i++) use(true);
  assert.ok(window.left <= MIB + 2, `${window.left}`);
  assert.ok(window.left >= MIB / 2, `${window.left}`);
});

test("the peer can always go on, and never has more than it was configured", () => {
  const steps = fc.array(fc.tuple(fc.nat(3_000_000), fc.boolean(), fc.nat(200)), { maxLength: 200 });
  fc.assert(
    fc.property(fc.constantFrom(65_535, 100_000, MIB, DEFAULT), steps, (configured, sends) => {
      const window = new ReceiveWindow(configured, 0);
      let now = 0;
      for (const [bytes, heldUp, wait] of sends) {
        const some = Math.min(bytes, window.left);
        window.left -= some;
        if (heldUp) window.holdUp();
        now += wait;
        window.passOn(some, now);
        assert.ok(window.left > 0 && window.left <= configured, `${window.left} of ${configured}`);
      }
    }),
  );
});
