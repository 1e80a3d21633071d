/** Opaque connections between two sidecars as streams of few: when, with whom, and what becomes of them. */
import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { type TestContext, test } from "node:test";
import tls from "node:tls";
import { SimulatedClock } from "../../core/clock.ts";
import { OPAQUE_ALPN, OPAQUE_STREAMS_ALPN } from "../../model/tls.ts";
import { certificate } from "../../test/envoy/harness/certificates.ts";
import { cluster, DEFAULT_LIMITS, OWN_POLICY } from "../../test/support/clusters.ts";
import { type Pair, type PairOptions, startPair, until } from "../../test/support/stream-subjects.ts";
import { readAll, startEcho, startServer, startSubject } from "../../test/support/tcp-subject.ts";
import { resetSocket } from "../codec/reset.ts";
import { FEW } from "../endpoint/stream-choice.ts";

const POLICY = { ...OWN_POLICY, multiplex: true, opaque: true } as const;

async function start(t: TestContext, options: Partial<PairOptions> = {}): Promise<Pair> {
  const server = options.server ?? (await startEcho());
  t.after(() => server.close());
  const pair = await startPair({ ...options, server });
  t.after(() => pair.close());
  return pair;
}

function connect(pair: Pair): net.Socket {
  const client = net.connect({ port: pair.first.port, host: "127.0.0.1", allowHalfOpen: true });
  client.on("error", () => undefined);
  return client;
}

/** Says a word and hears it again: the connection stands from end to end. */
async function say(client: net.Socket, word: string): Promise<void> {
  client.write(word);
  assert.equal(String((await once(client, "data"))[0]), word);
}

async function talking(pair: Pair): Promise<net.Socket> {
  const client = connect(pair);
  await say(client, "hello");
  return client;
}

test("few connections have one to themselves, the others are streams of one", { timeout: 60_000 }, async (t) => {
  const pair = await start(t);
  await pair.hold();
  assert.deepEqual([pair.open(OPAQUE_ALPN), pair.open(OPAQUE_STREAMS_ALPN)], [FEW, 0]);
  const clients = await Promise.all(Array.from({ length: 40 }, () => talking(pair)));
  assert.deepEqual([pair.open(OPAQUE_ALPN), pair.open(OPAQUE_STREAMS_ALPN)], [FEW, 1]);
  // Each is a connection to those who count.
  assert.deepEqual([pair.active, pair.first.orders.limits.connections], [FEW + 40, FEW + 40]);
  assert.equal(pair.second.orders.stats.upstream_cx_active, FEW + 40);
  for (const client of clients) client.end();
  await until(() => pair.second.ends.length === 40 && pair.first.ends.length === 40);
  assert.deepEqual(
    [...new Set(pair.second.ends.map(({ flags, received, sent }) => `${flags} ${received} ${sent}`))],
    ["- 5 5"],
  );
  assert.equal(new Set(pair.second.ends.map(({ info }) => info.connection.id)).size, 40);
  assert.deepEqual([pair.active, pair.first.orders.limits.connections], [FEW, FEW]);
  assert.equal(pair.open(OPAQUE_STREAMS_ALPN), 1);
});

test("a shared connection that is full is followed by another, and both end when they are idle", {
  timeout: 60_000,
}, async (t) => {
  const clock = new SimulatedClock();
  const http = { ...cluster().http, idleTimeoutMs: 60_000 };
  const pair = await start(t, { first: { clock }, cluster: { outrigger: POLICY, http } });
  await pair.hold();
  const clients = await Promise.all(Array.from({ length: 300 }, () => talking(pair)));
  assert.deepEqual([pair.open(OPAQUE_ALPN), pair.open(OPAQUE_STREAMS_ALPN)], [FEW, 2]);
  for (const client of clients) client.end();
  await until(() => pair.active === FEW);
  await clock.run(59_000, 1000);
  assert.equal(pair.open(OPAQUE_STREAMS_ALPN), 2);
  await clock.run(3000, 1000);
  await until(() => pair.open(OPAQUE_STREAMS_ALPN) === 0);
  assert.equal(pair.first.orders.stats.opaque.protocol_errors, 0);
});

test("a peer that does not know streams is given connections, and not asked each time", {
  timeout: 60_000,
}, async (t) => {
  for (const alpn of [[OPAQUE_ALPN], []]) {
    const pair = await start(t, { alpn });
    await pair.hold();
    for (let i = 0; i < 3; i++) (await talking(pair)).end();
    const many = await Promise.all(Array.from({ length: 8 }, () => talking(pair)));
    assert.deepEqual([pair.active, pair.open(alpn[0] ?? "")], [FEW + 8, FEW + 8]);
    for (const client of many) client.destroy();
  }
});

test("one side that is told not to, and callers of plain Envoy clusters", { timeout: 60_000 }, async (t) => {
  for (const outrigger of [{ ...POLICY, multiplex: false }, { ...OWN_POLICY, multiplex: true }, null]) {
    const pair = await start(t, { cluster: { outrigger } });
    await pair.hold();
    await Promise.all(Array.from({ length: 4 }, () => talking(pair)));
    assert.equal(pair.open(OPAQUE_STREAMS_ALPN), 0);
    assert.equal(pair.active, FEW + 4);
  }
});

test("streams count under the limit of connections", { timeout: 60_000 }, async (t) => {
  const limits = { ...DEFAULT_LIMITS, maxConnections: FEW + 2 };
  const pair = await start(t, { cluster: { outrigger: POLICY, limits: { default: limits, high: limits } } });
  await pair.hold();
  await talking(pair);
  const last = await talking(pair);
  const refused = connect(pair);
  assert.equal(await readAll(refused), "");
  await until(() => pair.first.ends.length === 1);
  assert.deepEqual([pair.first.ends[0]?.flags, pair.first.orders.stats.upstream_cx_overflow], ["UO", 1]);
  last.end();
  await until(() => pair.active === FEW + 1);
  await talking(pair);
});

test("who does not read holds up nobody but himself", { timeout: 60_000 }, async (t) => {
  const flood = Buffer.alloc(65_536, 1);
  const server = await startServer((socket) => {
    socket.once("data", (word: Buffer) => {
      if (String(word) === "hello") {
        socket.write(word);
        socket.on("data", (more) => socket.write(more));
        return;
      }
      // As much as it takes until everything on the way is full.
      const pour = (): void => {
        while (socket.writable && socket.write(flood));
      };
      socket.on("drain", pour);
      pour();
    });
  });
  const pair = await start(t, { server });
  await pair.hold();
  const stuck = Array.from({ length: 30 }, () => {
    const client = connect(pair);
    client.write("pour");
    return client.pause();
  });
  await until(() => pair.active === FEW + 30);
  const carried = (): number => pair.first.orders.stats.upstream_cx_rx_bytes_total;
  for (let before = -1; carried() === 0 || carried() > before; ) {
    before = carried();
    await new Promise((resolve) => pair.first.wheel.after(300, () => resolve(null)));
  }
  assert.equal(pair.open(OPAQUE_STREAMS_ALPN), 1);
  const lively = await talking(pair);
  for (let i = 0; i < 20; i++) await say(lively, `word ${i}`);
  for (const client of stuck) client.destroy();
  lively.destroy();
});

test("a peer that dies resets its callers, and new ones find the next", { timeout: 60_000 }, async (t) => {
  const pair = await start(t);
  await pair.hold();
  const clients = [await talking(pair), await talking(pair)];
  const errors: string[] = [];
  for (const client of clients) client.on("error", (error: NodeJS.ErrnoException) => errors.push(error.code ?? ""));
  const shared = pair.between.find(({ alpn }) => alpn === OPAQUE_STREAMS_ALPN)?.socket;
  assert.ok(shared);
  resetSocket(shared);
  await until(() => clients.every(({ closed }) => closed));
  assert.deepEqual(errors, ["ECONNRESET", "ECONNRESET"]);
  await until(() => pair.first.ends.length === 2 && pair.second.ends.length === 2);
  assert.deepEqual(
    pair.first.ends.map(({ flags }) => flags),
    ["UR", "UR"],
  );
  await talking(pair);
  assert.equal(pair.open(OPAQUE_STREAMS_ALPN), 1);
  assert.equal(pair.between.filter(({ alpn }) => alpn === OPAQUE_STREAMS_ALPN).length, 2);
});

test("a drain leaves streams alone, and new ones go to another connection", { timeout: 60_000 }, async (t) => {
  const pair = await start(t);
  await pair.hold();
  const before = await talking(pair);
  const [shared] = [...pair.second.served].slice(-1);
  shared?.drain(10_000);
  // Its answer comes behind the announcement.
  await say(before, "still there");
  const after = await talking(pair);
  await say(before, "still there");
  assert.equal(pair.open(OPAQUE_STREAMS_ALPN), 2);
  before.end();
  // The connection ends with its last stream.
  await until(() => pair.open(OPAQUE_STREAMS_ALPN) === 1);
  await say(after, "and this one");
});

test("what is opened after the rules have changed is judged by the new ones", { timeout: 60_000 }, async (t) => {
  const pair = await start(t);
  await pair.hold();
  const before = await talking(pair);
  const old = pair.second.source;
  pair.second.replaceSource();
  assert.equal(old.inForce, false);
  // Refused where its chain is gone, before a byte of it was sent: its caller notices nothing.
  const after = await talking(pair);
  assert.equal(pair.between.filter(({ alpn }) => alpn === OPAQUE_STREAMS_ALPN).length, 2);
  await say(before, "still there");
  after.end();
  before.end();
  await until(() => pair.first.ends.length === 2);
  assert.deepEqual(
    pair.first.ends.map(({ flags }) => flags),
    ["-", "-"],
  );
});

test("a new certificate is followed by new connections, for new streams", { timeout: 60_000 }, async (t) => {
  let current = {};
  const pair = await start(t, { current: () => current });
  await pair.hold();
  const before = await talking(pair);
  await talking(pair);
  assert.equal(pair.open(OPAQUE_STREAMS_ALPN), 1);
  current = {};
  const after = await talking(pair);
  assert.equal(pair.open(OPAQUE_STREAMS_ALPN), 2);
  await say(before, "still there");
  await say(after, "and this one");
});

/** Something that agrees to streams, and then does what the test says. */
async function stranger(t: TestContext, onSecure: (socket: tls.TLSSocket) => void): Promise<net.Server> {
  const { chain, key } = certificate("alpha");
  const server = tls.createServer(
    {
      cert: chain,
      key,
      ALPNCallback: ({ protocols }) => [OPAQUE_STREAMS_ALPN, OPAQUE_ALPN].find((name) => protocols.includes(name)),
    },
    (socket) => {
      socket.on("error", () => undefined);
      onSecure(socket);
    },
  );
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  return server;
}

async function caller(t: TestContext, server: net.Server, clock?: SimulatedClock) {
  const subject = await startSubject({
    endpoints: [`127.0.0.1:${(server.address() as net.AddressInfo).port}`],
    tls: {
      begin: (_host, _server, offered) => ({
        options: { rejectUnauthorized: false, ALPNProtocols: [...offered] },
        verify: () => null,
        explain: ({ message }) => message,
      }),
    },
    cluster: { outrigger: POLICY, connectTimeoutMs: 500 },
    ...(clock === undefined ? {} : { clock }),
  });
  t.after(() => subject.close());
  return subject;
}

test("who is not let in is refused as on a connection of its own", { timeout: 60_000 }, async (t) => {
  const seen: string[] = [];
  const server = await stranger(t, (socket) => {
    seen.push(socket.alpnProtocol || "");
    socket.end();
  });
  const subject = await caller(t, server);
  for (let i = 0; i < FEW + 2; i++) {
    const client = net.connect({ port: subject.port, host: "127.0.0.1" });
    assert.equal(await readAll(client), "");
  }
  await until(() => subject.ends.length === FEW + 2);
  assert.deepEqual([...new Set(subject.ends.map(({ flags }) => flags))], ["-"]);
  assert.equal(seen.filter((alpn) => alpn === OPAQUE_STREAMS_ALPN).length, 1);
});

test("a peer that does not answer costs an attempt, as one that is not there", { timeout: 60_000 }, async (t) => {
  const clock = new SimulatedClock();
  const settings = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);
  const server = await stranger(t, (socket) => {
    if (socket.alpnProtocol === OPAQUE_STREAMS_ALPN) socket.resume().write(settings);
  });
  const subject = await caller(t, server, clock);
  const held = Array.from({ length: FEW }, () => net.connect({ port: subject.port, host: "127.0.0.1" }));
  await until(() => subject.orders.stats.upstream_cx_active === FEW);
  const client = net.connect({ port: subject.port, host: "127.0.0.1" });
  const ended = readAll(client);
  await until(() => subject.orders.stats.opaque.streams_active === 1);
  await clock.run(600, 50);
  assert.equal(await ended, "");
  await until(() => subject.ends.length === 1);
  assert.deepEqual([subject.ends[0]?.flags, subject.orders.stats.upstream_cx_connect_timeout], ["UF,URX", 1]);
  // Whoever comes next is not to wait for the same peer's answer on the same connection.
  assert.equal(subject.orders.limits.connections, FEW);
  for (const socket of held) socket.destroy();
});
