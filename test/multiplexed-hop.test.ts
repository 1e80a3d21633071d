/** Calls of HTTP/1 that travel as streams between two sidecars: when they do, how they end, and whom it does not concern. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, type TestContext, test } from "node:test";
import { any, named, route } from "../xds/testing/bootstrap-json.ts";
import { type ProxyConfig, type RunningProxy, startProxy } from "./support/running-proxy.ts";
import { firstHop, holdBusy, secondHop, sharedCalls, startTwoHops, type TwoHops } from "./support/two-hops.ts";
import { field, type Message, ok, Upstream, until, type Wire } from "./support/wire.ts";

const GET = "GET /a HTTP/1.1\r\nHost: x.test\r\n\r\n";
/** Timers of pools that are idle, one for each protocol. */
const IDLE = ["timers"];

/** Answers at once, but `/hold` never and `/wait` when told to. */
async function application(t: TestContext): Promise<{ readonly upstream: Upstream; readonly waiting: Wire[] }> {
  const waiting: Wire[] = [];
  const upstream = await Upstream.serving(t, ({ start, body }, wire) => {
    if (start.includes("/hold")) return null;
    if (!start.includes("/wait")) return ok(body === "" ? "fine" : body);
    waiting.push(wire);
    return null;
  });
  return { upstream, waiting };
}

async function ask(proxy: RunningProxy, request = GET): Promise<Message> {
  const wire = await proxy.connect();
  wire.write(request);
  const message = await wire.message();
  wire.destroy();
  return message;
}

async function busy(t: TestContext, port: number, hop: ProxyConfig = {}): Promise<TwoHops> {
  const hops = await startTwoHops(t, { application: port, first: hop, second: hop });
  await holdBusy(hops.first);
  return hops;
}

const settled = async ({ first, second }: TwoHops): Promise<void> => {
  await first.settled(3000, IDLE);
  // The first keeps its connections.
  await second.settled(3000, [...IDLE, "downstreamConnections"]);
};

describe("the choice", () => {
  test("up to four calls in flight have connections of their own, the fifth is a stream", async (t) => {
    const { upstream, waiting } = await application(t);
    const hops = await startTwoHops(t, { application: upstream.port });
    const { stats } = hops.first.cluster();
    const callers = await Promise.all(Array.from({ length: 4 }, () => hops.first.connect()));
    for (let round = 1; round <= 3; round++) {
      for (const wire of callers) wire.write(GET.replace("/a", "/wait"));
      await until(() => waiting.length === 4);
      for (const wire of waiting.splice(0)) wire.write(ok("x"));
      for (const wire of callers) assert.match((await wire.message()).start, /200/);
    }
    assert.deepEqual([stats.multiplexed.streams_total, stats.upstream_cx_total], [0, 4]);
    for (const wire of callers) wire.write(GET.replace("/a", "/hold"));
    await until(() => stats.upstream_rq_active === 4);
    assert.match((await ask(hops.first)).start, /200/);
    assert.deepEqual([stats.multiplexed.streams_total, stats.upstream_cx_total], [1, 5]);
    await settled(hops);
  });

  test("load that comes and goes loses no call, and opens no connection again and again", async (t) => {
    const { upstream } = await application(t);
    const hops = await startTwoHops(t, { application: upstream.port });
    const { stats } = hops.first.cluster();
    let answered = 0;
    const asking = async (calls: number): Promise<void> => {
      const wire = await hops.first.connect();
      for (let i = 0; i < calls; i++) {
        wire.write(GET);
        assert.match((await wire.message()).start, /200/);
        answered++;
      }
      wire.destroy();
    };
    for (let wave = 0; wave < 6; wave++) {
      await Promise.all(Array.from({ length: wave % 2 === 0 ? 24 : 2 }, () => asking(10)));
    }
    assert.equal(answered, 3 * 240 + 3 * 20);
    assert.ok(stats.multiplexed.streams_total > 400, `${stats.multiplexed.streams_total} streams`);
    assert.equal(stats.multiplexed.connections_total, 1);
    assert.ok(stats.upstream_cx_total <= 6, `${stats.upstream_cx_total} connections`);
    await settled(hops);
  });

  test("a WebSocket has a connection of its own among calls that share one", async (t) => {
    const { upstream } = await application(t);
    const sockets = { manager: { upgrade_configs: [{ upgrade_type: "websocket" }] } };
    const hops = await busy(t, upstream.port, sockets);
    const { stats } = hops.first.cluster();
    const before = [stats.multiplexed.streams_total, stats.upstream_cx_total];
    upstream.onWire = (wire) =>
      wire.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    const client = await hops.first.connect();
    client.write("GET /chat HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nup");
    assert.match((await client.message()).start, /101/);
    const wire = upstream.wires.at(-1) as Wire;
    await wire.receive("\r\n\r\nup");
    wire.write("down");
    await client.receive("down");
    assert.deepEqual([stats.multiplexed.streams_total, stats.upstream_cx_total], [before[0], (before[1] ?? 0) + 1]);
    wire.destroy();
    await client.gone();
    await settled(hops);
  });
});

describe("a call that is a stream", () => {
  test("may wait to be told to go on", async (t) => {
    const { upstream } = await application(t);
    const hops = await busy(t, upstream.port);
    const bodyAt = hops.first.cluster().stats.multiplexed.streams_total;
    const client = await hops.first.connect();
    client.write("POST /a HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
    assert.match((await client.message()).start, /^HTTP\/1.1 100 Continue/);
    client.write("body");
    assert.equal((await client.message()).body, "body");
    assert.equal(hops.first.cluster().stats.multiplexed.streams_total, bodyAt + 1);
    await settled(hops);
  });

  test("is answered by the other sidecar as if it had come by itself", async (t) => {
    const { upstream } = await application(t);
    const routes = [
      route({ match: { path: "/none" }, route: undefined, direct_response: { status: 200 } }),
      route({
        match: { path: "/text" },
        route: undefined,
        direct_response: { status: 403, body: { inline_string: "no" } },
      }),
      route({ match: { path: "/there" }, route: undefined, redirect: { path_redirect: "/here" } }),
      route({ match: { prefix: "/a" }, route: { cluster: "up" } }),
      route({ match: { prefix: "/hold" }, route: { cluster: "up" } }),
    ];
    const config = { application: upstream.port, second: { routes } };
    const streams = await startTwoHops(t, config);
    const without = await startTwoHops(t, { ...config, alpn: ["http/1.1"] });
    await holdBusy(streams.first);
    for (const method of ["GET", "HEAD", "POST"]) {
      for (const target of ["/none", "/text", "/there", "/elsewhere"]) {
        const seen = await Promise.all(
          [streams, without].map(async ({ first }) => {
            const wire = await first.connect();
            wire.write(`${method} ${target} HTTP/1.1\r\nHost: x\r\n\r\n`);
            const message = await wire.message({ noBody: method === "HEAD" });
            wire.write(GET);
            assert.equal((await wire.message()).body, "fine", `${method} ${target}: the connection goes on`);
            const fields = message.fields.filter(([name]) => !/^(date|x-envoy-upstream-service-time)$/.test(name));
            return { ...message, fields };
          }),
        );
        assert.deepEqual(seen[0], seen[1], `${method} ${target}`);
      }
    }
    await settled(streams);
  });

  test("that the application cuts is cut for the caller, and others go on", async (t) => {
    const { upstream, waiting } = await application(t);
    const hops = await busy(t, upstream.port);
    for (const head of ["Content-Length: 10\r\n", "Transfer-Encoding: chunked\r\n"]) {
      const client = await hops.first.connect();
      client.write(GET.replace("/a", "/wait"));
      await until(() => waiting.length === 1);
      const wire = waiting.pop() as Wire;
      wire.write(`HTTP/1.1 200 OK\r\n${head}\r\n${head.includes("chunked") ? "4\r\nabcd\r\n" : "abcd"}`);
      await client.receive("abcd");
      wire.destroy();
      await client.gone();
      await assert.rejects(client.message(), /no whole message/, "it is not ended but cut");
      assert.equal(field(await ask(hops.first), "content-length"), "4");
    }
    assert.equal(hops.first.cluster().stats.multiplexed.connections_total, 1);
    await settled(hops);
  });

  test("that its caller gives up is given up at the application", async (t) => {
    const { upstream, waiting } = await application(t);
    const hops = await busy(t, upstream.port);
    const before = sharedCalls(hops.first);
    const client = await hops.first.connect();
    client.write(GET.replace("/a", "/wait"));
    await until(() => waiting.length === 1);
    assert.equal(sharedCalls(hops.first), before + 1);
    client.destroy();
    await waiting[0]?.gone();
    assert.equal(sharedCalls(hops.first), before);
    assert.match((await ask(hops.first)).start, /200/);
    await settled(hops);
  });

  test("has its route's timeout", async (t) => {
    const { upstream, waiting } = await application(t);
    const routes = [
      route({ match: { prefix: "/wait" }, route: { cluster: "up", timeout: "0.2s" } }),
      route({ match: { prefix: "/" }, route: { cluster: "up", timeout: "0s" } }),
    ];
    const hops = await startTwoHops(t, { application: upstream.port, first: { routes } });
    await holdBusy(hops.first);
    const answer = await ask(hops.first, GET.replace("/a", "/wait"));
    assert.match(answer.start, /504/);
    await waiting[0]?.gone();
    assert.equal(hops.first.cluster().stats.multiplexed.connections_total, 1);
    await settled(hops);
  });

  test("whose caller reads slowly holds up the application, not the calls beside it", async (t) => {
    const { upstream, waiting } = await application(t);
    const hops = await busy(t, upstream.port);
    const slow = await hops.first.connect();
    slow.socket.pause();
    slow.write(GET.replace("/a", "/wait"));
    await until(() => waiting.length === 1);
    const wire = waiting[0] as Wire;
    const size = 200_000_000;
    wire.write(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`);
    const piece = Buffer.alloc(1_000_000, "x");
    let given = 0;
    const give = (): void => {
      while (given < size) {
        given += piece.length;
        if (!wire.socket.write(piece)) break;
      }
    };
    wire.socket.on("drain", give);
    give();
    let last = -1;
    while (last !== given) {
      last = given;
      await new Promise((resolve) => setTimeout(resolve, 150));
    }
    assert.ok(given < 60_000_000, `${given} bytes are under way`);
    const body = "b".repeat(300_000);
    const answer = await ask(
      hops.first,
      `POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    assert.equal(answer.body.length, body.length);
    slow.destroy();
    await wire.gone();
    await settled(hops);
  });

  test("is HTTP/1.1 in the logs of both sidecars", async (t) => {
    const folder = mkdtempSync(path.join(tmpdir(), "outrigger-logs-"));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    const logged = (file: string): ProxyConfig => {
      const line =
        "%PROTOCOL% %UPSTREAM_PROTOCOL% %REQ(:METHOD)% %REQ(:PATH)% %RESPONSE_CODE% %BYTES_RECEIVED% %BYTES_SENT%\n";
      const log = any("extensions.access_loggers.file.v3.FileAccessLog", {
        path: path.join(folder, file),
        log_format: { text_format_source: { inline_string: line } },
      });
      return { manager: { access_log: [named("file", log)] } };
    };
    const { upstream } = await application(t);
    const hops = await startTwoHops(t, {
      application: upstream.port,
      first: logged("first"),
      second: logged("second"),
    });
    await holdBusy(hops.first);
    await ask(hops.first, "POST /a?b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc");
    const read = (file: string): string => readFileSync(path.join(folder, file), "latin1");
    await until(() => read("first").includes("/a?b") && read("second").includes("/a?b"));
    for (const file of ["first", "second"]) {
      const line = read(file)
        .split("\n")
        .find((one) => one.includes("/a?b"));
      assert.equal(line, "HTTP/1.1 HTTP/1.1 POST /a?b 200 3 3", file);
    }
    await settled(hops);
  });
});

describe("a peer", () => {
  test("that takes no streams is asked once in a minute, and its calls wait no longer for it", async (t) => {
    const { upstream } = await application(t);
    const hops = await startTwoHops(t, { application: upstream.port, alpn: ["h2", "http/1.1"] });
    const { stats } = hops.first.cluster();
    const callers = await Promise.all(Array.from({ length: 12 }, () => hops.first.connect()));
    for (let round = 0; round < 5; round++) {
      for (const wire of callers) wire.write(GET);
      for (const wire of callers) assert.match((await wire.message()).start, /200/);
    }
    assert.equal(stats.multiplexed.connections_total, 0);
    assert.ok(stats.upstream_cx_total <= 13, `${stats.upstream_cx_total} connections`);
    for (const endpoint of hops.first.cluster().endpoints) {
      assert.equal(endpoint.pool?.connections, stats.upstream_cx_active, "all are in the pool for all");
    }
    await settled(hops);
  });

  test("that is gone in the middle costs no call that may be sent again", async (t) => {
    const { upstream } = await application(t);
    const seconds = await Promise.all([1, 2].map(() => startProxy(t, secondHop({ upstreams: [upstream.port] }))));
    const retryOn = "connect-failure,refused-stream,reset-before-request";
    const others = named("previous", any("extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"));
    const retry = { retry_on: retryOn, retry_host_predicate: [others], host_selection_retry_max_attempts: 9 };
    const action = { timeout: "0s", retry_policy: { ...retry, num_retries: 3 } };
    const cluster = { circuit_breakers: { thresholds: [{ max_retries: 100 }] } };
    const ports = seconds.map((second) => second.port);
    const first = await startProxy(t, firstHop(ports, { action, cluster }));
    const { stats } = first.cluster();
    const statuses = new Map<string, number>();
    let asked = 0;
    const asking = async (): Promise<void> => {
      const wire = await first.connect();
      for (let i = 0; i < 25; i++) {
        asked++;
        wire.write(GET);
        const { start } = await wire.message();
        statuses.set(start, (statuses.get(start) ?? 0) + 1);
      }
      wire.destroy();
    };
    const all = Promise.all(Array.from({ length: 30 }, asking));
    await until(() => asked > 250 && stats.multiplexed.connections_active === 2);
    await seconds[0]?.process.close();
    await all;
    assert.deepEqual([...statuses], [["HTTP/1.1 200 OK", 750]]);
    assert.ok(stats.upstream_rq_retry > 0);
    await first.settled(3000, IDLE);
  });
});
