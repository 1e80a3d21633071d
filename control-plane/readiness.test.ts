import assert from "node:assert/strict";
import { test } from "node:test";
import { SimulatedClock } from "../core/clock.ts";
import { Readiness } from "./readiness.ts";

function fixture() {
  const clock = new SimulatedClock();
  const told: string[] = [];
  const log = { debug() {}, info() {}, warn: (_: object, message: string) => void told.push(message), error() {} };
  return { clock, told, readiness: new Readiness(clock, log) };
}

test("it is ready once all that was expected has come, and says until then what is missing", () => {
  const { readiness } = fixture();
  assert.deepEqual(readiness.waitingFor, []);
  const [ca, ports] = [readiness.expect("its CA"), readiness.expect("its ports")];
  assert.deepEqual(readiness.waitingFor, ["its CA", "its ports"]);
  ca();
  assert.deepEqual(readiness.waitingFor, ["its ports"]);
  ports();
  assert.deepEqual(readiness.waitingFor, []);
  readiness.stop();
  assert.equal(readiness.waitingFor.length, 1);
});

test("what takes long is told again and again, what does not is not", () => {
  const { readiness, clock, told } = fixture();
  const quick = readiness.expect("its ports");
  clock.advance(2000);
  quick();
  clock.advance(60_000);
  assert.deepEqual(told, []);
  const slow = readiness.expect("its CA");
  clock.advance(3000 + 60_000);
  assert.deepEqual(told, Array(3).fill("waiting for its CA"));
  slow();
  clock.advance(60_000);
  assert.equal(told.length, 3);
  assert.equal(clock.pending, 0);
});
