/** Upgrades: after a 101 bytes pass both ways unread, and each side can end its own direction. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type RunningProxy, startProxy } from "./support/running-proxy.ts";
import { field, ok, turns, Upstream, until, type Wire } from "./support/wire.ts";

const UPGRADE = "GET /chat HTTP/1.1\r\nHost: x.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
const SWITCHING = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
const websocket = { manager: { upgrade_configs: [{ upgrade_type: "websocket" }] } };

async function open(
  t: Parameters<typeof startProxy>[0],
  config: object = {},
): Promise<{ proxy: RunningProxy; client: Wire; wire: Wire; settled: () => Promise<void> }> {
  const upstream = await Upstream.start(t);
  const proxy = await startProxy(t, { ...websocket, ...config, upstreams: [upstream.port] });
  const client = await proxy.connect();
  client.write(UPGRADE);
  const wire = await upstream.wire();
  await wire.receive("\r\n\r\n");
  assert.match(wire.received, /upgrade: websocket/i);
  wire.received = "";
  wire.write(SWITCHING);
  assert.match((await client.message()).start, /101/);
  const settled = (): Promise<void> => {
    // An end from the caller alone is passed on, no more: the tunnel is over when the upstream ends it too.
    wire.destroy();
    return proxy.settled();
  };
  return { proxy, client, wire, settled };
}

describe("a WebSocket's tunnel", () => {
  test("carries bytes both ways that are no HTTP", async (t) => {
    const { client, wire, settled } = await open(t);
    for (let i = 0; i < 20; i++) {
      client.write(`\0\xffto${i}\r\n\r\n`);
      await wire.receive(`\0\xffto${i}\r\n\r\n`);
      wire.write(`HTTP/1.1 \x80from${i}`);
      await client.receive(`\x80from${i}`);
    }
    await settled();
  });

  test("passes on what came with the heads", async (t) => {
    const upstream = await Upstream.start(t);
    const proxy = await startProxy(t, { ...websocket, upstreams: [upstream.port] });
    const client = await proxy.connect();
    client.write(`${UPGRADE}early`);
    const wire = await upstream.wire();
    await wire.receive("\r\n\r\n");
    wire.write(`${SWITCHING}hello`);
    await client.receive("hello");
    await wire.receive("early");
    wire.destroy();
    await proxy.settled();
  });

  test("lets the upstream answer after the caller has ended its side", async (t) => {
    const { client, wire, settled } = await open(t);
    client.write("last words");
    client.end();
    await wire.receive("last words");
    await until(() => wire.ended);
    assert.ok(!client.ended);
    wire.write("farewell");
    await client.receive("farewell");
    wire.end();
    await client.gone();
    await settled();
  });

  test("ends when the upstream ends, after all that it sent", async (t) => {
    const { client, wire, settled } = await open(t);
    const text = "z".repeat(500_000);
    wire.write(text);
    wire.end();
    await client.gone();
    assert.equal(client.received.length, text.length);
    await wire.gone();
    await settled();
  });

  for (const side of ["caller", "upstream"] as const) {
    test(`is cut on both sides when the ${side} cuts it`, async (t) => {
      const { client, wire, settled } = await open(t);
      const [cut, other] = side === "caller" ? [client, wire] : [wire, client];
      cut.reset();
      await other.gone();
      await settled();
    });
  }

  test("slows each sender to its reader's pace", async (t) => {
    const { client, wire, settled } = await open(t);
    const text = "q".repeat(1_000_000);
    for (const [from, to] of [
      [client, wire],
      [wire, client],
    ] as const) {
      to.socket.pause();
      const before = to.received.length;
      for (let i = 0; i < 30; i++) from.write(text);
      await new Promise((resolve) => setTimeout(resolve, 100));
      // What neither the kernel nor the proxy takes stays with the sender.
      assert.ok(from.socket.writableLength > 1_000_000, `${from.socket.writableLength} bytes wait at the sender`);
      to.socket.resume();
      await until(() => to.received.length - before === 30 * text.length, 8000);
    }
    await settled();
  });

  test("ends when nothing moves in it for stream_idle_timeout", async (t) => {
    const manager = { ...websocket.manager, stream_idle_timeout: "0.2s" };
    const { client, wire, settled } = await open(t, { manager });
    for (let i = 0; i < 5; i++) {
      await new Promise((resolve) => setTimeout(resolve, 80));
      (i % 2 === 0 ? client : wire).write("ping");
    }
    assert.ok(!client.ended && !wire.ended);
    await client.gone();
    await wire.gone();
    await settled();
  });

  test("outlives the route's timeout", async (t) => {
    const { client, wire, settled } = await open(t, { action: { timeout: "0.1s" } });
    await new Promise((resolve) => setTimeout(resolve, 250));
    client.write("still there");
    await wire.receive("still there");
    await settled();
  });
});

describe("an upgrade that does not come about", () => {
  test("is refused where it is not allowed, and what follows is no request", async (t) => {
    const upstream = await Upstream.serving(t, () => ok("x"));
    const proxy = await startProxy(t, { upstreams: [upstream.port] });
    const client = await proxy.connect();
    client.write(`${UPGRADE}GET /smuggled HTTP/1.1\r\nHost: x.test\r\n\r\n`);
    const answer = await client.message();
    assert.match(answer.start, /403/);
    assert.equal(field(answer, "connection"), "close");
    await client.gone();
    assert.equal(upstream.requests.length, 0);
    await proxy.settled();
  });

  test("leaves an upstream that answers otherwise, and what follows is no request", async (t) => {
    const upstream = await Upstream.serving(t, () => "HTTP/1.1 400 No\r\nContent-Length: 0\r\n\r\n");
    const proxy = await startProxy(t, { ...websocket, upstreams: [upstream.port] });
    const client = await proxy.connect();
    client.write(`${UPGRADE}GET /smuggled HTTP/1.1\r\nHost: x.test\r\n\r\n`);
    const answer = await client.message();
    assert.match(answer.start, /400/);
    assert.equal(field(answer, "connection"), "close");
    await client.gone();
    await turns(5);
    assert.equal(upstream.requests.length, 1);
    await proxy.settled();
  });
});
