/** The orderly end: nobody who follows `connection: close` loses a request, and there is one deadline for all. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type RunningProxy, startProxy } from "./support/running-proxy.ts";
import { field, ok, turns, Upstream, until, type Wire } from "./support/wire.ts";

const GET = "GET /a HTTP/1.1\r\nHost: x.test\r\n\r\n";

/** Asks on one connection until it is told that it ends; returns how often it was answered. */
async function askUntilTold(client: Wire): Promise<number> {
  for (let answers = 1; ; answers++) {
    client.write(GET);
    const answer = await client.message();
    assert.match(answer.start, /200/);
    if (field(answer, "connection") === "close") {
      await client.gone();
      return answers;
    }
  }
}

async function drain(proxy: RunningProxy, deadlineMs: number): Promise<number> {
  const start = performance.now();
  await proxy.process.drain(deadlineMs);
  return performance.now() - start;
}

describe("a drain", () => {
  test("under load loses no request, and ends long before its deadline", async (t) => {
    const upstream = await Upstream.start(t);
    upstream.onWire = (wire) => {
      wire.socket.on("data", (bytes) => {
        // Answers of every age and length are under way when the drain begins.
        const delay = bytes.length % 3 === 0 ? 0 : Math.floor(Math.random() * 8);
        setTimeout(() => wire.write(ok("x".repeat(Math.floor(Math.random() * 5000)))), delay);
      });
    };
    const proxy = await startProxy(t, { upstreams: [upstream.port] });
    const clients = await Promise.all(Array.from({ length: 40 }, () => proxy.connect()));
    const answered = Promise.all(clients.map(askUntilTold));
    await new Promise((resolve) => setTimeout(resolve, 300));
    const took = await drain(proxy, 5000);
    const counts = await answered;
    assert.ok(counts.every((count) => count > 1));
    assert.ok(took < 2000, `${took} ms`);
    await proxy.settled();
  });

  test("gives an idle connection time for a request that is on its way, then closes it", async (t) => {
    const upstream = await Upstream.serving(t, () => ok("x"));
    const proxy = await startProxy(t, { upstreams: [upstream.port] });
    const idle = await proxy.connect();
    const late = await proxy.connect();
    const ended = drain(proxy, 900);
    await turns(5);
    late.write(GET);
    const answer = await late.message();
    assert.deepEqual([answer.body, field(answer, "connection")], ["x", "close"]);
    await late.gone();
    assert.ok(!idle.ended);
    await idle.gone();
    const took = await ended;
    assert.ok(took > 400 && took < 850, `${took} ms`);
    await proxy.settled();
  });

  test("lets what is under way end, and says so in an answer whose head is yet to come", async (t) => {
    const upstream = await Upstream.start(t);
    const proxy = await startProxy(t, { upstreams: [upstream.port] });
    const [before, streaming] = [await proxy.connect(), await proxy.connect()];
    before.write(GET);
    const first = await upstream.wire(0);
    streaming.write(GET);
    const second = await upstream.wire(1);
    second.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab");
    await streaming.receive("ab");
    const ended = drain(proxy, 5000);
    await turns(5);
    first.write(ok("done"));
    assert.equal(field(await before.message(), "connection"), "close");
    second.write("cd");
    const answer = await streaming.message();
    assert.equal(field(answer, "connection"), undefined);
    // Nothing has told this caller: its next request is served.
    streaming.write(GET);
    await until(() => upstream.wires.some((wire) => wire.received.split("GET").length > 2));
    (upstream.wires.find((wire) => wire.received.split("GET").length > 2) as Wire).write(ok("one more"));
    const last = await streaming.message();
    assert.deepEqual([last.body, field(last, "connection")], ["one more", "close"]);
    assert.ok((await ended) < 2000);
    await proxy.settled();
  });

  test("cuts at its deadline what has not ended", async (t) => {
    const upstream = await Upstream.start(t);
    const proxy = await startProxy(t, { upstreams: [upstream.port] });
    const client = await proxy.connect();
    client.write(GET);
    await upstream.wire();
    const took = await drain(proxy, 300);
    assert.ok(took >= 290 && took < 1500, `${took} ms`);
    await client.gone();
    await proxy.settled();
  });

  test("refuses new connections", async (t) => {
    const proxy = await startProxy(t, { upstreams: [1] });
    const port = proxy.port;
    const open = await proxy.connect();
    const ended = drain(proxy, 400);
    await assert.rejects(proxy.connect(), (error: Error) => /not bound|ECONNREFUSED/.test(error.message));
    assert.ok(port > 0 && !open.ended);
    await ended;
  });
});
