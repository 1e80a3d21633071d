/** Several data-plane threads on the same ports: one configuration, one set of numbers, one end. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, test } from "node:test";
import { host } from "../xds/testing/bootstrap-json.ts";
import type { ProxyConfig } from "./support/running-proxy.ts";
import { assertFree, startWorkers } from "./support/running-workers.ts";
import { field, ok, Upstream, until, type Wire } from "./support/wire.ts";

const GET = "GET /a HTTP/1.1\r\nHost: x.test\r\n\r\n";

async function callOnce(connect: () => Promise<Wire>): Promise<string> {
  const client = await connect();
  client.write(GET);
  const { body } = await client.message();
  client.destroy();
  return body;
}

function versioned(version: number, port: number): ProxyConfig {
  const routes = [
    {
      match: { prefix: "/" },
      route: { cluster: "up" },
      response_headers_to_add: [{ header: { key: "x-version", value: String(version) } }],
    },
  ];
  return {
    upstreams: [port],
    cluster: { connect_timeout: `${1 + (version % 5)}s` },
    manager: { route_config: { name: "r", virtual_hosts: [host({ routes })] } },
  };
}

/** Asks on one connection until it is told that it ends; `onAnswer` is called with each answer. */
async function askUntilTold(client: Wire, onAnswer: () => void): Promise<void> {
  for (;;) {
    client.write(GET);
    const answer = await client.message();
    assert.match(answer.start, /200/);
    onAnswer();
    if (field(answer, "connection") !== "close") continue;
    await client.gone();
    return;
  }
}

describe("two workers", () => {
  test("share a port, and take 40 to 60 of 100 connections each", async (t) => {
    const upstream = await Upstream.serving(t, () => ok("x"));
    const proxy = await startWorkers(t, { upstreams: [upstream.port] });
    const calls = 1000;
    for (let i = 0; i < calls; i += 50)
      await Promise.all(Array.from({ length: 50 }, () => callOnce(() => proxy.connect())));
    const accepted = await proxy.accepted(calls);
    assert.equal((accepted[0] as number) + (accepted[1] as number), calls);
    for (const count of accepted) assert.ok(count >= 0.4 * calls && count <= 0.6 * calls, accepted.join(" and "));
  });

  test("are counted as one", async (t) => {
    const upstream = await Upstream.serving(t, () => ok("four"));
    const proxy = await startWorkers(t, { upstreams: [upstream.port] });
    const clients = await Promise.all(Array.from({ length: 40 }, () => proxy.connect()));
    for (const client of clients) {
      client.write(GET);
      await client.message();
    }
    const metrics = await proxy.metrics();
    const value = (name: string): number => metrics.get(name) ?? assert.fail(`${name} is missing`);
    const edge = 'direction="inbound",source="unknown",destination="up",route=""';
    assert.equal(value(`outrigger_requests_total{${edge},code="200",flags="-"}`), 40);
    assert.equal(value(`outrigger_request_duration_seconds_count{${edge},code_class="2xx"}`), 40);
    assert.equal(value(`outrigger_response_bytes_total{${edge}}`), 160);
    assert.equal(value('outrigger_downstream_connections_active{listener="main"}'), 40);
    assert.equal(value('outrigger_upstream_attempts_total{cluster="up"}'), 40);
    assert.equal(value('outrigger_upstream_endpoints{cluster="up",state="healthy"}'), 1, "not once for each worker");
    assert.equal(value('outrigger_upstream_limit_max{cluster="up",limit="connections"}'), 1024);
    const active = ["0", "1"].map((worker) => value(`outrigger_worker_connections_active{worker="${worker}"}`));
    assert.ok(active.every((count) => count > 0));
    for (const thread of ["main", "0", "1"])
      assert.ok(metrics.has(`outrigger_event_loop_lag_seconds{thread="${thread}",quantile="0.99"}`));
    assert.ok(!metrics.has('process_resident_memory_bytes{thread="0"}'));

    const stats = new Map(proxy.source.stats());
    assert.equal(stats.get("listener.main.downstream_cx_active"), 40);
    assert.equal(stats.get("http.h.downstream_rq_http1_total"), 40);
    const [up] = [...proxy.source.clusters()];
    assert.ok(up);
    assert.equal((up.stats as unknown as Record<string, number>)["membership_total"], 1, "known alike");
    assert.equal(up.stats.upstream_rq_total, 40);
    assert.equal(up.endpoints[0]?.rq_success, 40);
    assert.deepEqual(proxy.source.listeners(), [{ name: "main", address: `127.0.0.1:${proxy.port}` }]);
    for (const client of clients) client.destroy();
  });

  test("follow configuration that changes under load, and lose nothing", async (t) => {
    const upstream = await Upstream.serving(t, () => ok("x"));
    const proxy = await startWorkers(t, versioned(0, upstream.port));
    const { port } = proxy;
    let running = true;
    const seen = new Set<string>();
    const caller = async (): Promise<number> => {
      const client = await proxy.connect();
      let answers = 0;
      for (; running; answers++) {
        client.write(GET);
        const answer = await client.message();
        assert.match(answer.start, /200/, answer.body);
        seen.add(field(answer, "x-version") ?? "none");
      }
      client.destroy();
      return answers;
    };
    const callers = Promise.all(Array.from({ length: 16 }, caller));
    for (let version = 1; version <= 60; version++)
      assert.deepEqual(await proxy.apply(versioned(version, upstream.port)), []);
    running = false;
    assert.ok((await callers).every((answers) => answers > 10));
    assert.ok(seen.size > 10, `${seen.size} versions were seen`);
    // In force means in force in both: no connection may see an older one from here on.
    assert.equal(proxy.port, port);
    const late = await Promise.all(
      Array.from({ length: 20 }, async () => {
        const client = await proxy.connect();
        client.write(GET);
        const answer = await client.message();
        client.destroy();
        return field(answer, "x-version");
      }),
    );
    assert.deepEqual(new Set(late), new Set(["60"]));
  });

  test("drain under load, lose no request, and leave the port to others", async (t) => {
    const upstream = await Upstream.start(t);
    upstream.onWire = (wire) => {
      wire.socket.on("data", () => {
        setTimeout(() => wire.write(ok("x".repeat(Math.floor(Math.random() * 5000)))), Math.floor(Math.random() * 8));
      });
    };
    const proxy = await startWorkers(t, { upstreams: [upstream.port] });
    const { port } = proxy;
    const clients = await Promise.all(Array.from({ length: 40 }, () => proxy.connect()));
    assert.ok((await proxy.accepted(40)).every((count) => count > 0));
    const answers = clients.map(() => 0);
    const answered = Promise.all(
      clients.map((client, i) =>
        askUntilTold(client, () => {
          answers[i] = (answers[i] ?? 0) + 1;
        }),
      ),
    );
    await until(() => answers.every((count) => count > 1));
    const begin = performance.now();
    await proxy.process.drain(5000);
    const took = performance.now() - begin;
    await answered;
    assert.ok(took < 3500, `${took} ms`);
    await assertFree(port);
  });

  test("have one deadline for a drain", async (t) => {
    const upstream = await Upstream.start(t);
    const proxy = await startWorkers(t, { upstreams: [upstream.port] });
    const clients = await Promise.all(Array.from({ length: 20 }, () => proxy.connect()));
    for (const client of clients) client.write(GET);
    await upstream.wire(19);
    const begin = performance.now();
    await proxy.process.drain(300);
    const took = performance.now() - begin;
    assert.ok(took >= 290 && took < 2000, `${took} ms`);
    for (const client of clients) await client.gone();
  });

  test("tell once that an address is not to be had, and take it when it is", async (t) => {
    const blocker = net.createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => blocker.once("listening", resolve));
    const { port } = blocker.address() as net.AddressInfo;
    const upstream = await Upstream.serving(t, () => ok("x"));
    const proxy = await startWorkers(t, { upstreams: [upstream.port] });
    const address = { socket_address: { address: "127.0.0.1", port_value: port } };
    const config = { upstreams: [upstream.port], listener: { name: "other", address } };
    const problems = await proxy.apply(config);
    assert.equal(problems.length, 1, JSON.stringify(problems));
    assert.match(problems[0]?.message ?? "", /cannot bind 127\.0\.0\.1:\d+: the address is in use by another process/);
    await new Promise((resolve) => blocker.close(resolve));
    assert.deepEqual(await proxy.apply(config), []);
    assert.equal(proxy.portOf("other"), port);
    // Nothing listens for a listener that is gone.
    assert.deepEqual(await proxy.apply({ upstreams: [upstream.port] }), []);
    await assertFree(port);
  });

  test("write whole lines into one access log", async (t) => {
    const dir = mkdtempSync(path.join(tmpdir(), "outrigger-workers-"));
    t.after(() => rmSync(dir, { recursive: true, force: true }));
    const file = path.join(dir, "access.log");
    const upstream = await Upstream.serving(t, () => ok("x"));
    const access = {
      name: "file",
      typed_config: {
        "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
        path: file,
        log_format: { text_format_source: { inline_string: `%RESPONSE_CODE% ${"y".repeat(3000)} end\n` } },
      },
    };
    const proxy = await startWorkers(t, { upstreams: [upstream.port], manager: { access_log: [access] } });
    for (let i = 0; i < 10; i++) await Promise.all(Array.from({ length: 20 }, () => callOnce(() => proxy.connect())));
    await proxy.process.close();
    const lines = readFileSync(file, "utf8").split("\n");
    assert.equal(lines.pop(), "");
    assert.equal(lines.length, 200);
    assert.ok(lines.every((line) => /^200 y{3000} end$/.test(line)));
  });
});
