/** TLS from the first byte on a listener: hellos in pieces, peers that stop half way, large bodies, and the end. */
import assert from "node:assert/strict";
import net from "node:net";
import { describe, type TestContext, test } from "node:test";
import { CERTIFICATE, PRIVATE_KEY } from "../xds/testing/pem.ts";
import { CLIENT_TLS, type RunningProxy, secured, startProxy } from "./support/running-proxy.ts";
import { connectTo, field, ok, turns, Upstream, until } from "./support/wire.ts";

const GET = "GET /a HTTP/1.1\r\nHost: x.test\r\n\r\n";

async function start(t: TestContext, config = {}): Promise<{ proxy: RunningProxy; upstream: Upstream }> {
  const upstream = await Upstream.serving(t, (request) => ok(request.body === "" ? request.start : request.body));
  const proxy = await startProxy(t, secured({ upstreams: [upstream.port], ...config }));
  return { proxy, upstream };
}

/**
 * A port that passes bytes on to `to`, the first of each connection in two pieces that end at `cut()`, or only its first
 * `cut()` bytes and then the end or a reset.
 */
async function cutter(t: TestContext, to: number, cut: () => number, then: "go on" | "end" | "reset"): Promise<number> {
  const server = net.createServer((near) => {
    const far = net.connect(to, "127.0.0.1");
    for (const [from, other] of [
      [near, far],
      [far, near],
    ] as const) {
      from.on("error", () => undefined);
      from.on("close", () => other.destroy());
    }
    far.on("data", (bytes) => near.write(bytes));
    far.setNoDelay(true);
    let sent = 0;
    near.on("data", async (bytes: Buffer) => {
      const at = Math.min(Math.max(cut() - sent, 0), bytes.length);
      sent += bytes.length;
      near.pause();
      if (at > 0) far.write(bytes.subarray(0, at));
      await turns(3);
      if (then === "go on") far.write(bytes.subarray(at));
      else if (sent >= cut()) {
        if (then === "end") far.end();
        else far.resetAndDestroy();
        await turns(2);
        near.destroy();
        return;
      }
      near.resume();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.close());
  return (server.address() as net.AddressInfo).port;
}

describe("a TLS handshake", () => {
  test("whose hello comes in two pieces, cut anywhere", async (t) => {
    const { proxy } = await start(t);
    let at = 0;
    const port = await cutter(t, proxy.port, () => at, "go on");
    for (at = 1; at < 400; at += 13) {
      const client = await connectTo(port, { servername: "a.test", ALPNProtocols: ["http/1.1"] });
      client.write(GET);
      assert.equal((await client.message()).body, "GET /a HTTP/1.1", `cut at ${at}`);
      client.destroy();
    }
    await proxy.settled();
  });

  for (const how of ["end", "reset"] as const) {
    test(`that stops with ${how === "end" ? "an end" : "a reset"} after any number of bytes leaves nothing behind`, async (t) => {
      const { proxy } = await start(t);
      let at = 0;
      const port = await cutter(t, proxy.port, () => at, how);
      for (at = 0; at < 700; at += 23) {
        const client = await connectTo(port, {}).catch(() => null);
        client?.destroy();
      }
      await proxy.settled();
    });
  }

  test("that is none: plaintext and noise are turned away, and the next one is served", async (t) => {
    const { proxy, upstream } = await start(t);
    for (const bytes of [GET, "\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", "\x16\x03\x01\xff\xff", "\0".repeat(100)]) {
      const client = await proxy.connect();
      client.write(bytes);
      await client.gone();
    }
    assert.equal(upstream.requests.length, 0);
    const client = await proxy.connect({});
    client.write(GET);
    assert.match((await client.message()).start, /200/);
    await proxy.settled();
  });

  test("that is never finished ends at transport_socket_connect_timeout", async (t) => {
    const { listener = {}, ...rest } = secured({ upstreams: [1] });
    const chains = (listener["filter_chains"] as object[]).map((chain) => ({
      ...chain,
      transport_socket_connect_timeout: "0.2s",
    }));
    const proxy = await startProxy(t, { ...rest, listener: { filter_chains: chains } });
    const client = await proxy.connect();
    client.write("\x16\x03\x01\x02\x00\x01\x00\x01\xfc");
    await client.gone();
    await proxy.settled();
  });
});

describe("requests over TLS", () => {
  test("are pipelined, kept apart and large, over TLS on both sides", async (t) => {
    const body = "0123456789abcdef".repeat(500_000 / 16);
    const upstream = await Upstream.start(t, { cert: CERTIFICATE, key: PRIVATE_KEY });
    let received = "";
    upstream.onWire = (wire) => {
      wire.socket.on("data", () => {
        const end = wire.received.indexOf("\r\n\r\n");
        if (end < 0) return;
        const length = Number(/content-length: (\d+)/i.exec(wire.received)?.[1] ?? 0);
        if (wire.received.length < end + 4 + length) return;
        received = wire.received.slice(end + 4, end + 4 + length);
        wire.received = wire.received.slice(end + 4 + length);
        wire.write(ok(received));
      });
    };
    const config = { upstreams: [upstream.port], cluster: { transport_socket: CLIENT_TLS } };
    const proxy = await startProxy(t, secured(config));
    const client = await proxy.connect({});
    const post = `POST / HTTP/1.1\r\nHost: x.test\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    client.write(post + GET + post + GET);
    for (const expected of [body, "", body, ""]) assert.equal((await client.message({}, 8000)).body, expected);
    assert.equal(upstream.wires.length, 1);
    await proxy.settled();
  });

  test("a caller that does not read stops its upstream, over TLS too", async (t) => {
    const upstream = await Upstream.start(t);
    let sent = 0;
    let paused = false;
    const piece = "x".repeat(1_000_000);
    upstream.onWire = (wire) => {
      wire.socket.once("data", () => {
        wire.write(`HTTP/1.1 200 OK\r\nContent-Length: ${piece.length * 60}\r\n\r\n`);
        const send = (): void => {
          while (sent < 60 && !wire.closed) {
            sent++;
            if (wire.socket.write(piece)) continue;
            paused = true;
            wire.socket.once("drain", send);
            return;
          }
        };
        send();
      });
    };
    const proxy = await startProxy(t, secured({ upstreams: [upstream.port] }));
    const client = await proxy.connect({});
    client.socket.pause();
    client.write(GET);
    await until(() => paused);
    for (let before = -1; before !== sent; ) {
      before = sent;
      await new Promise((resolve) => setTimeout(resolve, 150));
    }
    assert.ok(sent < 40, `${sent} MB left the upstream`);
    client.socket.resume();
    await until(() => client.received.length > piece.length * 60, 8000);
    assert.ok(client.received.endsWith("x".repeat(100)));
    await proxy.settled();
  });

  test("a drain ends TLS connections in order", async (t) => {
    const { proxy } = await start(t);
    const [idle, busy] = [await proxy.connect({}), await proxy.connect({})];
    busy.write(GET);
    await busy.message();
    const ended = proxy.process.drain(600);
    busy.write(GET);
    assert.equal(field(await busy.message(), "connection"), "close");
    await busy.gone();
    await idle.gone();
    assert.deepEqual([idle.error, busy.error], [null, null]);
    await ended;
    await proxy.settled();
  });
});
