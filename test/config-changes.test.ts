/** Configuration that changes while requests are under way: none fails, and sockets stay bound. */
import assert from "node:assert/strict";
import net from "node:net";
import { describe, test } from "node:test";
import { chain, hcm, host, type Json, named } from "../xds/testing/bootstrap-json.ts";
import { bootstrapOf, type ProxyConfig, type RunningProxy, snapshotOf, startProxy } from "./support/running-proxy.ts";
import { connectTo, field, ok, turns, Upstream, until } from "./support/wire.ts";

const GET = "GET /a HTTP/1.1\r\nHost: x.test\r\n\r\n";

/** A minute with OUTRIGGER_SOAK=1, as long as it takes to see it work otherwise. */
const SECONDS = process.env["OUTRIGGER_SOAK"] === "1" ? 60 : 3;
const CHANGES_PER_SECOND = 50;

/** Asks on and on; a connection that is announced to end is replaced by a new one. Returns the number of answers. */
async function ask(proxy: RunningProxy, running: () => boolean, versions: Set<string>): Promise<number> {
  let client = await proxy.connect();
  let answers = 0;
  while (running()) {
    client.write(GET);
    const answer = await client.message();
    assert.match(answer.start, /200/, `${answer.start} ${answer.body}`);
    answers++;
    versions.add(field(answer, "x-version") ?? "none");
    if (field(answer, "connection") === "close") {
      await client.gone();
      client.destroy();
      client = await proxy.connect();
    }
  }
  client.destroy();
  return answers;
}

function withVersion(version: number, cluster: string): Json {
  return {
    match: { prefix: "/" },
    route: { cluster },
    response_headers_to_add: [{ header: { key: "x-version", value: String(version) } }],
  };
}

/** One configuration out of many: each differs from the one before it in several ways. */
function variant(i: number, ports: readonly number[]): ProxyConfig {
  const some = ports.filter((_, index) => index !== i % ports.length);
  const other = `other-${i % 7}`;
  const manager = hcm({
    stat_prefix: `v${i % 3}`,
    delayed_close_timeout: "0.2s",
    // A new name for the chain now and then: its connections are drained.
    route_config: { name: "r", virtual_hosts: [host({ routes: [withVersion(i, i % 2 === 0 ? "up" : other)] })] },
  });
  const endpoints = (name: string, list: readonly number[]): Json => ({
    cluster_name: name,
    endpoints: [
      {
        lb_endpoints: list.map((port) => ({
          endpoint: { address: { socket_address: { address: "127.0.0.1", port_value: port } } },
        })),
      },
    ],
  });
  return {
    upstreams: some,
    cluster: { connect_timeout: `${1 + (i % 5)}s`, lb_policy: i % 4 === 0 ? "LEAST_REQUEST" : "ROUND_ROBIN" },
    listener: { filter_chains: [chain([named("http", manager)], { name: `chain-${Math.floor(i / 40)}` })] },
    clusters: [{ name: other, type: "STATIC", load_assignment: endpoints(other, ports) }],
  };
}

describe("configuration that changes", () => {
  test(`${CHANGES_PER_SECOND} times a second for ${SECONDS} s under load fails no request`, async (t) => {
    const upstreams = await Promise.all(
      Array.from({ length: 3 }, () => Upstream.serving(t, () => ok("x".repeat(Math.floor(Math.random() * 2000))))),
    );
    const ports = upstreams.map(({ port }) => port);
    const snapshots = Array.from({ length: 120 }, (_, i) => snapshotOf(bootstrapOf(variant(i, ports))));
    const proxy = await startProxy(t, variant(0, ports));
    const { port } = proxy;
    let running = true;
    const versions = new Set<string>();
    const callers = Promise.all(Array.from({ length: 12 }, () => ask(proxy, () => running, versions)));
    const start = performance.now();
    const changes = SECONDS * CHANGES_PER_SECOND;
    for (let i = 1; i <= changes; i++) {
      const due = start + (i * 1000) / CHANGES_PER_SECOND;
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, due - performance.now())));
      const snapshot = snapshots[i % snapshots.length];
      if (snapshot === undefined) throw new Error("no snapshot");
      assert.deepEqual(await proxy.apply(snapshot), []);
    }
    running = false;
    const counts = await callers;
    assert.ok(
      counts.every((count) => count > 10),
      counts.join(" "),
    );
    assert.ok(versions.size > changes / 4, `${versions.size} versions were seen`);
    assert.equal(proxy.port, port);
    await proxy.settled();
  });

  test("reaches connections that are older than several changes", async (t) => {
    const upstream = await Upstream.serving(t, () => ok("x"));
    const config = (version: number): ProxyConfig => ({
      upstreams: [upstream.port],
      manager: { route_config: { name: "r", virtual_hosts: [host({ routes: [withVersion(version, "up")] })] } },
    });
    const proxy = await startProxy(t, config(0));
    const client = await proxy.connect();
    for (let version = 0; version < 5; version++) {
      await proxy.apply(config(version));
      client.write(GET);
      const answer = await client.message();
      assert.equal(field(answer, "x-version"), String(version));
      assert.equal(field(answer, "connection"), undefined);
    }
    await proxy.settled();
  });

  test("ends connections whose chain means something else now, however old they are", async (t) => {
    const upstream = await Upstream.serving(t, () => ok("x"));
    const config = (name: string, prefix: string): ProxyConfig => {
      const routes = [{ match: { prefix: "/" }, route: { cluster: "up" } }];
      const table = { name: "r", virtual_hosts: [host({ routes })] };
      const filters = [named("http", hcm({ stat_prefix: prefix, route_config: table }))];
      return { upstreams: [upstream.port], listener: { filter_chains: [chain(filters, { name })] } };
    };
    const proxy = await startProxy(t, config("one", "a"));
    const client = await proxy.connect();
    client.write(GET);
    await client.message();
    await proxy.apply(config("one", "b"));
    await proxy.apply(config("one", "c"));
    await proxy.apply(config("two", "c"));
    client.write(GET);
    assert.equal(field(await client.message(), "connection"), "close");
    await client.gone();
    await proxy.settled();
  });

  test("lets requests end whose cluster is taken away", async (t) => {
    const upstream = await Upstream.start(t);
    const proxy = await startProxy(t, { upstreams: [upstream.port] });
    const client = await proxy.connect();
    client.write(GET);
    const wire = await upstream.wire();
    await wire.receive("\r\n\r\n");
    const direct = { match: { prefix: "/" }, direct_response: { status: 200, body: { inline_string: "direct" } } };
    const other = { name: "other", type: "STATIC" };
    await proxy.apply({ cluster: { name: "renamed" }, routes: [direct], clusters: [other] });
    wire.write(ok("late"));
    assert.equal((await client.message()).body, "late");
    await wire.gone();
    client.write(GET);
    assert.equal((await client.message()).body, "direct");
    await proxy.settled();
  });
});

/** A port that was free a moment ago. */
async function freePort(): Promise<number> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as net.AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function at(port: number): Json {
  return { socket_address: { address: "127.0.0.1", port_value: port } };
}

describe("listeners that change places", () => {
  test("a listener under another name takes over the socket: no connection is refused", async (t) => {
    const upstream = await Upstream.serving(t, () => ok("x"));
    const port = await freePort();
    const config = (i: number): ProxyConfig => ({
      upstreams: [upstream.port],
      listener: { name: `listener-${i}`, address: at(port) },
    });
    const proxy = await startProxy(t, config(0));
    const old = await connectTo(port);
    let refused = 0;
    let served = 0;
    let running = true;
    const knocking = (async () => {
      while (running) {
        const client = await connectTo(port).catch(() => null);
        if (client === null) {
          refused++;
          continue;
        }
        client.write("GET / HTTP/1.1\r\nHost: x.test\r\nConnection: close\r\n\r\n");
        assert.equal((await client.message()).body, "x");
        client.destroy();
        served++;
      }
    })();
    for (let i = 1; i <= 20; i++) {
      assert.deepEqual(await proxy.apply(config(i)), []);
      await turns(5);
    }
    running = false;
    await knocking;
    assert.equal(refused, 0);
    assert.ok(served > 5);
    // The connection that came to the first of them is told to go.
    old.write(GET);
    assert.equal(field(await old.message(), "connection"), "close");
    old.destroy();
    await proxy.settled();
  });

  test("a listener that moves away makes room for another in the same change", async (t) => {
    const upstream = await Upstream.serving(t, () => ok("x"));
    const [first, second] = [await freePort(), await freePort()];
    const two = (a: number | null, b: number): Json => {
      const bootstrap = bootstrapOf({ upstreams: [upstream.port] }) as { static_resources: Json };
      const [template] = bootstrap.static_resources["listeners"] as Json[];
      const listeners = [{ ...template, name: "b", address: at(b) }];
      if (a !== null) listeners.unshift({ ...template, name: "a", address: at(a) });
      return { static_resources: { ...bootstrap.static_resources, listeners } };
    };
    const proxy = await startProxy(t, { bootstrap: two(null, first) });
    assert.deepEqual(await proxy.apply(snapshotOf(two(first, second))), []);
    assert.deepEqual([proxy.portOf("a"), proxy.portOf("b")], [first, second]);
    await proxy.settled();
  });

  test("an address in use is one clear error, the rest is in force, and it is tried again", async (t) => {
    const upstream = await Upstream.serving(t, () => ok("x"));
    const occupant = net.createServer();
    await new Promise<void>((resolve) => occupant.listen(0, "127.0.0.1", resolve));
    t.after(() => occupant.close());
    const { port } = occupant.address() as net.AddressInfo;
    const proxy = await startProxy(t, { upstreams: [upstream.port] });
    const before = proxy.port;
    const client = await proxy.connect();
    const moved: ProxyConfig = { upstreams: [upstream.port], listener: { address: at(port) } };
    const message = `cannot bind 127.0.0.1:${port}: the address is in use by another process`;
    assert.deepEqual(await proxy.apply(moved), [{ resource: 'listener "main"', message }]);
    assert.equal(proxy.port, before, "the listener stays where it was");
    client.write(GET);
    assert.equal((await client.message()).body, "x");
    await new Promise((resolve) => occupant.close(resolve));
    assert.deepEqual(await proxy.apply(moved), []);
    assert.equal(proxy.port, port);
    client.write(GET);
    assert.equal(field(await client.message(), "connection"), "close");
    await until(() => client.ended);
    await proxy.settled();
  });
});
