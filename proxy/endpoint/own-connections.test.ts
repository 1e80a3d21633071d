/** A connection that comes back is known by its two ends, whether or not it stands already. */
import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { type TestContext, test } from "node:test";
import { OwnConnections } from "./own-connections.ts";

async function listen(t: TestContext, host: string): Promise<{ server: net.Server; port: number }> {
  const server = net.createServer().listen(0, host);
  t.after(() => server.close());
  await once(server, "listening");
  return { server, port: (server.address() as net.AddressInfo).port };
}

for (const [host, written] of [
  ["127.0.0.1", "127.0.0.1"],
  ["::1", "0:0:0:0:0:0:0:1"],
] as const) {
  test(`what was opened to ${host} is ours while it is open, and nothing else is`, async (t) => {
    const { server, port } = await listen(t, host);
    const own = new OwnConnections();
    own.watching = true;
    const far = { host, port };
    const ours = new net.Socket();
    own.add(ours, { host: written, port });
    const arrived = once(server, "connection");
    // As soon as the system has begun to connect, an acceptor may ask.
    const connected = once(ours.connect(port, host), "connect");
    const [accepted] = (await arrived) as [net.Socket];
    const near = { host, port: accepted.remotePort ?? 0 };
    assert.equal(own.has(near, far), true);
    await connected;
    assert.equal(own.has(near, far), true);
    assert.equal(own.has(near, { host, port: port + 1 }), false);
    assert.equal(own.has({ host, port: near.port + 1 }, far), false);

    const other = net.connect(port, host);
    const [foreign] = (await once(server, "connection")) as [net.Socket];
    assert.equal(own.has({ host, port: foreign.remotePort ?? 0 }, far), false);
    other.destroy();
    foreign.destroy();
    accepted.destroy();
    ours.destroy();
    await once(ours, "close");
    assert.equal(own.has(near, far), false);
    assert.equal(own.size, 0);
  });
}

test("a connection that is being opened is known by its handle", () => {
  const own = new OwnConnections();
  own.watching = true;
  const socket = new net.Socket();
  Object.assign(socket, {
    _handle: {
      getsockname(into: { address?: string; port?: number }) {
        Object.assign(into, { address: "10.0.0.1", port: 40_000 });
        return 0;
      },
    },
  });
  own.add(socket, { host: "192.0.2.7", port: 80 });
  assert.equal(own.has({ host: "10.0.0.1", port: 40_000 }, { host: "192.0.2.7", port: 80 }), true);
  assert.equal(own.has({ host: "10.0.0.1", port: 40_001 }, { host: "192.0.2.7", port: 80 }), false);
  assert.equal(own.has({ host: "10.0.0.1", port: 40_000 }, { host: "192.0.2.7", port: 81 }), false);
});

test("nothing is kept while nobody asks", () => {
  const own = new OwnConnections();
  own.add(new net.Socket(), { host: "192.0.2.7", port: 80 });
  assert.equal(own.size, 0);
});
