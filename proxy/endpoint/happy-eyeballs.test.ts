/** Which of an endpoint's addresses gets the connection, and when the next one is tried. */
import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { type TestContext, test } from "node:test";
import { setImmediate, setTimeout } from "node:timers/promises";
import { SimulatedClock } from "../../core/clock.ts";
import { TimerWheel } from "../../core/timer-wheel.ts";
import { type Address, formatAddress } from "../../model/address.ts";
import type { UpstreamTlsConnector } from "./connector.ts";
import { connectTo } from "./happy-eyeballs.ts";

/** A handshake that nobody answers: the address neither fails nor serves. */
const NEVER: UpstreamTlsConnector = {
  begin: () => ({ options: {}, verify: () => null, explain: (error) => `handshake: ${error.message}` }),
};
const HEAD_START_MS = 300;
const OPTIONS = { timeoutMs: 1000, hostname: "", server: null, alpn: [], localAddress: null, keepAlive: null };

type TcpAddress = Extract<Address, { kind: "tcp" }>;

async function listen(t: TestContext, onSocket: (socket: net.Socket) => void = () => undefined): Promise<TcpAddress> {
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

/** Nobody listens there any more. */
async function refusing(): Promise<TcpAddress> {
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as net.AddressInfo;
  server.close();
  await once(server, "close");
  return { kind: "tcp", host: "127.0.0.1", port };
}

class Attempt {
  /** Addresses that were tried, in their order. */
  readonly tried: string[] = [];
  readonly clock = new SimulatedClock();
  readonly wheel = new TimerWheel(this.clock);
  readonly outcome: Promise<net.Socket | string>;
  calls = 0;
  giveUp: () => void = () => undefined;

  /** `silent`: addresses whose handshake is never answered. */
  constructor(
    t: TestContext,
    [address, ...additionalAddresses]: readonly [Address, ...Address[]],
    silent: readonly Address[] = [],
    meant: Address | null = null,
  ) {
    this.outcome = new Promise((resolve) => {
      this.giveUp = connectTo(
        { address, config: additionalAddresses.length === 0 ? {} : { additionalAddresses } },
        meant,
        (at) => {
          this.tried.push(formatAddress(at));
          const tls = silent.includes(at) ? NEVER : null;
          return { ...OPTIONS, address: at, tls };
        },
        this.wheel,
        {
          onConnected: (socket) => {
            t.after(() => socket.destroy());
            this.calls++;
            resolve(socket);
          },
          onFailed: (failure, detail) => {
            this.calls++;
            resolve(`${failure}: ${detail}`);
          },
        },
      );
    });
  }

  /** Time passes, and what connections do meanwhile is done. */
  async pass(ms: number): Promise<void> {
    this.clock.advance(ms);
    await setImmediate();
  }
}

const port = (outcome: net.Socket | string): number | string =>
  typeof outcome === "string" ? outcome : (outcome.remotePort ?? 0);

test("the first address that takes connections has the call; those after it are not asked", async (t) => {
  const [gone, there, spare] = [await refusing(), await listen(t), await listen(t)];
  const attempt = new Attempt(t, [gone, there, spare]);
  assert.equal(port(await attempt.outcome), there.port);
  assert.deepEqual(attempt.tried, [gone, there].map(formatAddress));
  assert.equal(attempt.wheel.size, 0);
});

test("where one address is meant the others are not asked, nor where there is only one", async (t) => {
  const [gone, there] = [await refusing(), await listen(t)];
  assert.match(String(await new Attempt(t, [there, gone], [], gone).outcome), /^connect_failure: .*refused/);
  assert.equal(port(await new Attempt(t, [gone, there], [], there).outcome), there.port);
  assert.match(String(await new Attempt(t, [gone]).outcome), /^connect_failure: .*refused/);
});

test("an address that keeps silent has a head start, and loses to the next that answers", async (t) => {
  const ended = Promise.withResolvers<void>();
  const silent = await listen(t, (socket) => socket.resume().once("close", () => ended.resolve()));
  const there = await listen(t);
  const attempt = new Attempt(t, [silent, there], [silent]);
  await attempt.pass(HEAD_START_MS - 50);
  assert.deepEqual(attempt.tried, [formatAddress(silent)]);
  await attempt.pass(100);
  assert.equal(port(await attempt.outcome), there.port);
  await ended.promise;
  assert.equal(attempt.wheel.size, 0);
  assert.equal(attempt.calls, 1);
});

test("where all fail the best one's reason is told, once", async (t) => {
  const nowhere = { kind: "pipe", path: "/nonexistent/outrigger" } as const;
  const attempt = new Attempt(t, [nowhere, await refusing()]);
  assert.equal(await attempt.outcome, "connect_failure: immediate connect error: No such file or directory");
  await attempt.pass(2000);
  assert.equal(attempt.calls, 1);
  assert.equal(attempt.wheel.size, 0);
});

test("that a later address fails says nothing while an earlier one may still answer", async (t) => {
  const silent = await listen(t);
  const attempt = new Attempt(t, [silent, await refusing()], [silent]);
  await attempt.pass(HEAD_START_MS + 50);
  assert.equal(attempt.tried.length, 2);
  const told = await Promise.race([attempt.outcome, setTimeout(100, "nothing")]);
  assert.equal(told, "nothing");
  await attempt.pass(1000);
  assert.equal(await attempt.outcome, "connect_timeout: no connection within 1000 ms");
});

test("one deadline holds for all of them", async (t) => {
  const all = [await listen(t), await listen(t)] as const;
  const attempt = new Attempt(t, all, all);
  await attempt.pass(980);
  assert.equal(attempt.calls, 0);
  await attempt.pass(40);
  assert.equal(await attempt.outcome, "connect_timeout: no connection within 1000 ms");
  assert.equal(attempt.calls, 1);
  assert.equal(attempt.wheel.size, 0);
});

test("given up, nothing is tried and nothing told any more", async (t) => {
  const silent = await listen(t);
  const attempt = new Attempt(t, [silent, await listen(t)], [silent]);
  await attempt.pass(100);
  attempt.giveUp();
  await attempt.pass(2000);
  assert.deepEqual([attempt.calls, attempt.tried.length, attempt.wheel.size], [0, 1, 0]);
});

test("families take turns, beginning with that of the first address", async (t) => {
  const refused = await refusing();
  const at = (host: string): Address => ({ ...refused, host });
  const attempt = new Attempt(t, [at("127.0.0.1"), at("127.0.0.2"), at("127.0.0.3"), at("::1")]);
  assert.match(String(await attempt.outcome), /^connect_failure/);
  const hosts = ["127.0.0.1", "::1", "127.0.0.2", "127.0.0.3"];
  assert.deepEqual(
    attempt.tried,
    hosts.map((host) => formatAddress(at(host))),
  );
});
