import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { type TestContext, test } from "node:test";
import { SimulatedClock } from "../../core/clock.ts";
import { TimerWheel } from "../../core/timer-wheel.ts";
import type { Address } from "../../model/address.ts";
import { loadSystemSockets } from "../listener/system-sockets.ts";
import { type ConnectOptions, connect, type UpstreamTlsConnector } from "./connector.ts";

const clock = new SimulatedClock();

interface Attempt {
  readonly wheel: TimerWheel;
  readonly giveUp: () => void;
  /** What came of it; stays pending after it was given up. */
  readonly outcome: Promise<net.Socket | string>;
  /** How often the result was called. */
  readonly calls: () => number;
}

function attempt(address: Address, more: Partial<ConnectOptions> = {}): Attempt {
  const wheel = new TimerWheel(clock);
  let calls = 0;
  let giveUp = (): void => undefined;
  const outcome = new Promise<net.Socket | string>((resolve) => {
    giveUp = connect(
      {
        address,
        timeoutMs: 1000,
        tls: null,
        hostname: "orders.test",
        server: null,
        alpn: ["http/1.1"],
        localAddress: null,
        keepAlive: null,
        ...more,
      },
      wheel,
      {
        onConnected: (socket) => {
          calls++;
          resolve(socket);
        },
        onFailed: (failure, detail) => {
          calls++;
          resolve(`${failure}: ${detail}`);
        },
      },
    );
  });
  return { wheel, giveUp, outcome, calls: () => calls };
}

async function listen(t: TestContext, onSocket: (socket: net.Socket) => void = () => undefined): Promise<Address> {
  const server = net.createServer((socket) => {
    socket.on("error", () => undefined);
    t.after(() => socket.destroy());
    onSocket(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  return { kind: "tcp", host: "127.0.0.1", port: (server.address() as net.AddressInfo).port };
}

/** TLS whose handshake nobody answers. */
const silentTls: UpstreamTlsConnector = {
  begin: () => ({ options: {}, verify: () => null, explain: (error) => `handshake: ${error.message}` }),
};

test("a connection stands; its deadline is disarmed and its socket has no listener left over", async (t) => {
  const { outcome, wheel, calls } = attempt(await listen(t));
  const socket = await outcome;
  assert.ok(socket instanceof net.Socket);
  assert.equal(wheel.size, 0);
  assert.deepEqual([socket.listenerCount("error"), socket.listenerCount("connect")], [0, 0]);
  socket.destroy();
  await once(socket, "close");
  assert.equal(calls(), 1);
});

test("from another address of this machine, and through a pipe", async (t) => {
  const from = await new Promise<string | undefined>((resolve) => {
    void listen(t, (socket) => resolve(socket.remoteAddress)).then(async (address) => {
      const socket = await attempt(address, {
        localAddress: { kind: "tcp", host: "127.0.0.1", port: 0 },
        keepAlive: { timeS: 10 },
      }).outcome;
      (socket as net.Socket).destroy();
    });
  });
  assert.equal(from, "127.0.0.1");
  const dir = mkdtempSync(path.join(tmpdir(), "outrigger-pipe-"));
  t.after(() => rmSync(dir, { recursive: true }));
  const pipe = path.join(dir, "socket");
  const server = net.createServer((socket) => socket.destroy()).listen(pipe);
  await once(server, "listening");
  const socket = await attempt({ kind: "pipe", path: pipe }).outcome;
  assert.ok(socket instanceof net.Socket);
  socket.destroy();
  server.close();
});

test("a connection that needs a special socket fails with a reason, where that can't be made", async () => {
  const reason =
    (await loadSystemSockets()) === null
      ? "connections in another network namespace, or from another's address, need Linux and the optional package koffi"
      : "there is no network namespace at /nowhere/net (ENOENT)";
  const address = { kind: "tcp", host: "127.0.0.1", port: 1 } as const;
  const localAddress = { kind: "tcp", host: "127.0.0.6", port: 0, networkNamespace: "/nowhere/net" } as const;
  assert.equal(await attempt(address, { localAddress }).outcome, `connect_failure: ${reason}`);
});

test("failures are in Envoy's words where it has some", async (t) => {
  const address = await listen(t);
  const { port } = address as { port: number };
  const server = net.createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const closed = (server.address() as net.AddressInfo).port;
  server.close();
  await once(server, "close");
  assert.notEqual(port, closed);
  const refused = attempt({ kind: "tcp", host: "127.0.0.1", port: closed });
  assert.equal(await refused.outcome, "connect_failure: delayed connect error: Connection refused");
  assert.equal(refused.wheel.size, 0);
  const missing = await attempt({ kind: "pipe", path: "/nowhere/to/be/found" }).outcome;
  assert.equal(missing, "connect_failure: immediate connect error: No such file or directory");
});

test("a handshake that is not answered ends at the deadline, once", async (t) => {
  const address = await listen(t);
  const { outcome, wheel, calls } = attempt(address, { tls: silentTls });
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(wheel.size, 1);
  clock.advance(990);
  assert.equal(calls(), 0);
  clock.advance(20);
  assert.equal(await outcome, "connect_timeout: no connection within 1000 ms");
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual([calls(), wheel.size], [1, 0]);
});

test("a peer that answers TLS with something else, or with nothing, fails the handshake", async (t) => {
  const plain = await listen(t, (socket) => socket.write("HTTP/1.1 400 Bad Request\r\n\r\n"));
  assert.match((await attempt(plain, { tls: silentTls }).outcome) as string, /^connect_failure: handshake: /);
  const hangsUp = await listen(t, (socket) => socket.destroy());
  assert.match((await attempt(hangsUp, { tls: silentTls }).outcome) as string, /^connect_failure: /);
});

test("TLS that can't be set up fails, but not from inside the call", async (t) => {
  const address = await listen(t);
  const broken: UpstreamTlsConnector = {
    begin: () => {
      throw new Error("there is no certificate yet");
    },
  };
  const { outcome, wheel, calls } = attempt(address, { tls: broken });
  assert.equal(calls(), 0);
  assert.equal(await outcome, "connect_failure: TLS could not be set up: there is no certificate yet");
  assert.equal(wheel.size, 0);
});

test("what is given up reports nothing and leaves nothing", async (t) => {
  let ended = 0;
  const address = await listen(t, (socket) => {
    socket.on("data", () => undefined);
    socket.on("close", () => ended++);
  });
  const broken: UpstreamTlsConnector = {
    begin: () => {
      throw new Error("no");
    },
  };
  for (const tls of [null, silentTls, broken]) {
    for (const turns of [0, 1, 5]) {
      // After some turns a plain connection stands, and the broken one has failed: giving up comes too late then.
      if (turns > 0 && tls !== silentTls) continue;
      const { giveUp, wheel, calls } = attempt(address, { tls });
      for (let i = 0; i < turns; i++) await new Promise((resolve) => setImmediate(resolve));
      giveUp();
      giveUp();
      assert.equal(wheel.size, 0);
      clock.advance(5000);
      for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
      assert.equal(calls(), 0);
    }
  }
  while (ended < 2) await new Promise((resolve) => setImmediate(resolve));
});
