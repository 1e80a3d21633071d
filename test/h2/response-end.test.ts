/** A call is over, for logs and for limits, when the last byte of its answer has left the caller's window. */
import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import {
  Code,
  headers,
  PREFACE,
  request,
  rstStream,
  Setting,
  settings,
  windowUpdate,
} from "../support/http2-frames.ts";
import { ASKING_ENVOY, startSubject } from "../support/subject.ts";
import { ok, Upstream, until } from "../support/wire.ts";

const ANSWER = "an answer of some length";

/** A caller whose window takes ten bytes, and who has got them. */
async function stalled(t: TestContext, manager = {}) {
  const upstream = await Upstream.serving(t, () => ok(ANSWER));
  const subject = await startSubject(t, { upstreams: [upstream.port], manager });
  const begin = [PREFACE, settings([Setting.initialWindowSize, 10])];
  const wire = await subject.http2(t, { begin, widens: false });
  wire.write(headers(1, request()));
  const log = wire.stream(1);
  await until(() => log.body.length === 10);
  await wire.settled();
  return { subject, wire, log };
}

describe("an answer that waits for its caller's window", () => {
  test("is logged when it has left", async (t) => {
    const { subject, wire, log } = await stalled(t);
    assert.deepEqual(subject.log(), []);
    wire.write(windowUpdate(1, ANSWER.length - 11));
    await wire.settled("again...");
    assert.deepEqual([subject.log(), log.ended], [[], false]);
    wire.write(windowUpdate(1, 1));
    await wire.over(1);
    assert.equal(log.body, ANSWER);
    assert.match(await subject.logged(), /^200 - via_upstream/);
    await subject.settled();
  });

  test("is logged as cut if the caller gives it up", async (t) => {
    const { subject, wire } = await stalled(t);
    wire.write(rstStream(1, Code.cancel));
    assert.match(await subject.logged(), /^200 DR http2.remote_reset/);
    await subject.settled();
  });

  test("is logged as cut if the caller leaves", async (t) => {
    const { subject, wire } = await stalled(t);
    wire.destroy();
    assert.match(await subject.logged(), /^200 DC downstream_remote_disconnect/);
    await subject.settled();
  });

  test("is given up after stream_idle_timeout", async (t) => {
    const { subject, wire, log } = await stalled(t, { stream_idle_timeout: "0.2s" });
    await until(() => log.reset !== null);
    assert.equal(log.reset, Code.internalError);
    // Envoy gives it up, too, but its log tells nobody.
    assert.match(await subject.logged(), ASKING_ENVOY ? /^200 - via_upstream/ : /^200 SI /);
    assert.equal(wire.goaway, null);
    await subject.settled();
  });
});
