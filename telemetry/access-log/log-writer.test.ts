import assert from "node:assert/strict";
import { test } from "node:test";
import { SimulatedClock } from "../../core/clock.ts";
import { type LogTarget, LogWriter } from "./log-writer.ts";

/** A target whose writes end when the test says so. */
function setup() {
  const clock = new SimulatedClock();
  const written: string[] = [];
  const pending: ((error: Error | null) => void)[] = [];
  const calls: string[] = [];
  const target: LogTarget = {
    write(bytes, done) {
      written.push(bytes.toString("latin1"));
      calls.push("write");
      pending.push(done);
    },
    reopen: () => calls.push("reopen"),
    close: () => calls.push("close"),
  };
  const errors: string[] = [];
  const writer = new LogWriter(target, { clock, flushIntervalMs: 1_000, onError: (message) => errors.push(message) });
  const finish = (error: Error | null = null): void => pending.shift()?.(error);
  return { clock, written, calls, writer, finish, errors };
}

test("lines are written together, at the latest after the interval", () => {
  const { clock, written, writer } = setup();
  writer.append("one\n");
  clock.advance(999);
  writer.append("two\n");
  assert.deepEqual(written, []);
  clock.advance(1);
  assert.deepEqual(written, ["one\ntwo\n"]);
});

test("a full buffer is written at once", () => {
  const { written, writer } = setup();
  writer.append("x".repeat(70_000));
  assert.equal(written[0]?.length, 70_000);
});

test("one write at a time: what comes meanwhile follows in order", () => {
  const { clock, written, writer, finish } = setup();
  writer.append("a".repeat(70_000));
  writer.append("b".repeat(70_000));
  writer.append("c\n");
  assert.equal(written.length, 1);
  finish();
  assert.equal(written.length, 2);
  assert.equal(written[1], `${"b".repeat(70_000)}c\n`);
  finish();
  clock.advance(5_000);
  assert.equal(written.length, 2);
});

test("a target that does not keep up costs lines and no memory", () => {
  const { written, writer, finish } = setup();
  const line = `${"x".repeat(1023)}\n`;
  for (let i = 0; i < 10_000; i++) writer.append(line);
  assert.ok(writer.dropped > 5_000, String(writer.dropped));
  finish();
  const taken = written.reduce((sum, text) => sum + text.length, 0);
  assert.equal(taken, (10_000 - writer.dropped) * 1024);
});

test("a rotation waits for the write that is under way", () => {
  const { clock, calls, writer, finish } = setup();
  writer.append("before\n");
  clock.advance(1_000);
  writer.reopen();
  assert.deepEqual(calls, ["write"]);
  finish();
  assert.deepEqual(calls, ["write", "reopen"]);
});

test("closing writes everything first", async () => {
  const { calls, written, writer, finish } = setup();
  writer.append("x".repeat(70_000));
  writer.append("last\n");
  const closed = writer.close();
  finish();
  await Promise.resolve();
  finish();
  await closed;
  assert.deepEqual(calls, ["write", "write", "close"]);
  assert.equal(written[1], "last\n");
});

test("a failure is told once until writing works again", () => {
  const { clock, writer, finish, errors } = setup();
  for (const error of [new Error("no space"), new Error("no space"), null, new Error("gone")]) {
    writer.append("x\n");
    clock.advance(1_000);
    finish(error);
  }
  assert.deepEqual(errors, ["access log: no space", "access log: gone"]);
});
