/** A worker that is busy or ends: the others' calls go on, and what waited for it is served. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { describe, test } from "node:test";
import { assertFree, eventually, startWorkers } from "./support/running-workers.ts";
import { connectTo, ok, Upstream, until, type Wire } from "./support/wire.ts";
import { startCommand } from "./support/workers-command.ts";

const GET = "GET /a HTTP/1.1\r\nHost: x.test\r\n\r\n";

/** Resolves with the body, or with what went wrong. */
async function ask(client: Wire): Promise<string> {
  client.write(GET);
  return client.message().then(
    ({ body }) => body,
    (error: Error) => error.message,
  );
}

async function askOnce(port: number): Promise<string> {
  const client = await connectTo(port);
  const body = await ask(client);
  client.destroy();
  return body;
}

const asked = (port: number, count: number): Promise<string[]> =>
  Promise.all(Array.from({ length: count }, () => askOnce(port)));

describe("a worker that ends", () => {
  test("is replaced, and connections that waited in its socket are served by the next", async (t) => {
    const upstream = await Upstream.serving(t, () => ok("x"));
    const proxy = await startWorkers(t, { upstreams: [upstream.port] });
    const { port } = proxy;
    assert.deepEqual(new Set(await asked(port, 40)), new Set(["x"]));
    for (let round = 1; round <= 2; round++) {
      await proxy.kill(0);
      // The kernel goes on giving half of the new connections to the socket of the one that has gone.
      assert.deepEqual(new Set(await asked(port, 60)), new Set(["x"]));
      await proxy.restarted(0, round);
      assert.deepEqual(new Set(await asked(port, 40)), new Set(["x"]));
      const accepted = await proxy.accepted();
      assert.ok((accepted[0] ?? 0) > 0, "the new one takes its share");
    }
    await proxy.process.close();
    await assertFree(port);
  });

  test("does not cut the connections of the others, nor take back what was counted", async (t) => {
    const upstream = await Upstream.serving(t, () => ok("x"));
    const proxy = await startWorkers(t, { upstreams: [upstream.port] });
    const clients = await Promise.all(Array.from({ length: 40 }, () => proxy.connect()));
    for (const client of clients) assert.equal(await ask(client), "x");
    const requests = async (): Promise<number> => {
      const metrics = await proxy.metrics();
      return [...metrics].reduce(
        (sum, [name, value]) => sum + (name.startsWith("outrigger_requests_total{") ? value : 0),
        0,
      );
    };
    const [first = 0, second = 0] = await proxy.accepted();
    assert.equal(await requests(), 40);
    await proxy.kill(1);
    const open = (): Wire[] => clients.filter(({ ended, closed }) => !ended && !closed);
    await until(() => open().length === 40 - second);
    await proxy.restarted(1, 1);
    assert.equal(open().length, first);
    assert.equal(await requests(), 40);
    for (const client of open()) assert.equal(await ask(client), "x");
    assert.equal(await requests(), 40 + first);
    const metrics = await proxy.metrics();
    assert.equal(metrics.get('outrigger_downstream_connections_active{listener="main"}'), first);
    assert.equal(metrics.get('outrigger_upstream_attempts_total{cluster="up"}'), 40 + first);
    assert.equal(metrics.get('outrigger_worker_restarts_total{worker="1"}'), 1);
  });

  test("is replaced by one that has the newest configuration", async (t) => {
    const [a, b] = [await Upstream.serving(t, () => ok("a")), await Upstream.serving(t, () => ok("b"))];
    const proxy = await startWorkers(t, { upstreams: [a.port] });
    const killed = proxy.kill(0);
    await proxy.apply({ upstreams: [b.port] });
    await killed;
    await proxy.restarted(0, 1);
    assert.deepEqual(new Set(await asked(proxy.port, 40)), new Set(["b"]));
  });
});

describe("outrigger proxy --concurrency 2", () => {
  test("goes on with one worker's calls while the other is busy", async (t) => {
    const upstream = await Upstream.serving(t, () => ok("x"));
    // A busy worker's own timers are late, and the first that it sees to.
    const proxy = await startCommand(t, { upstreams: [upstream.port], cluster: { connect_timeout: "30s" } });
    const clients = await Promise.all(Array.from({ length: 24 }, () => connectTo(proxy.port)));
    for (const client of clients) assert.equal(await ask(client), "x");
    const metrics = async (): Promise<string> => (await fetch(`${proxy.admin}/stats/prometheus`)).text();
    const active = /^outrigger_worker_connections_active\{worker="1"\} (\d+)$/m.exec(await metrics());
    const others = Number(active?.[1]);
    assert.ok(others > 0 && others < clients.length);

    const rest = path.join(proxy.dir, "rest");
    proxy.fault({ worker: 0, fault: "block", until: rest });
    // The main thread answers meanwhile, with what the busy worker said before.
    await eventually(async () => /^outrigger_worker_up\{worker="0"\} 0$/m.test(await metrics()));
    assert.equal((await fetch(`${proxy.admin}/ready`)).status, 200);
    for (let round = 1; round <= 5; round++) {
      for (const client of clients) {
        // One request after another on each connection, and those of the busy worker still at their first.
        if (round > 1 && client.received === "") continue;
        if (round > 1) await client.message();
        client.write(GET);
      }
      await until(() => clients.filter(({ received }) => received !== "").length === others);
    }
    writeFileSync(rest, "");
    for (const client of clients) assert.equal((await client.message()).body, "x");
    await eventually(async () => /^outrigger_worker_up\{worker="0"\} 1$/m.test(await metrics()));
    for (const client of clients) client.destroy();
  });

  for (const [fault, flags, cause] of [
    ["throw", [], /a worker has ended: a fault that a test has made; another takes its place/],
    ["exhaust", ["--max-old-space-size=80"], /a worker has ended: Worker terminated due to reaching memory limit/],
  ] as const) {
    test(`survives a worker's end by ${fault}`, async (t) => {
      const upstream = await Upstream.serving(t, () => ok("x"));
      const proxy = await startCommand(t, { upstreams: [upstream.port] }, { node: flags });
      assert.deepEqual(new Set(await asked(proxy.port, 20)), new Set(["x"]));
      proxy.fault({ worker: 1, fault });
      await until(() => cause.test(proxy.log()), 30_000);
      for (let i = 0; i < 5; i++) assert.deepEqual(new Set(await asked(proxy.port, 20)), new Set(["x"]));
      const metrics = await (await fetch(`${proxy.admin}/stats/prometheus`)).text();
      assert.match(metrics, /^outrigger_worker_restarts_total\{worker="1"\} 1$/m);
      proxy.child.kill("SIGTERM");
      assert.deepEqual(await once(proxy.child, "exit"), [0, null]);
    });
  }
});
