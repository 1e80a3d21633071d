/** Which endpoint an opaque connection gets, and what is said where it gets none. */
import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { type TestContext, test } from "node:test";
import { SimulatedClock } from "../../core/clock.ts";
import {
  cluster,
  DEFAULT_LIMITS,
  DEFAULT_OUTLIER_DETECTION,
  endpointSet,
  OWN_POLICY,
} from "../../test/support/clusters.ts";
import {
  addressOf,
  type Line,
  readAll,
  type Subject,
  type SubjectOptions,
  startEcho,
  startServer,
  startSubject,
} from "../../test/support/tcp-subject.ts";

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

async function start(t: TestContext, options: SubjectOptions): Promise<Subject> {
  const subject = await startSubject(options);
  t.after(() => subject.close());
  return subject;
}

async function serverThatSays(t: TestContext, word: string): Promise<net.Server> {
  const server = await startServer((socket) => socket.resume().end(word));
  t.after(() => server.close());
  return server;
}

/** An address at which nobody listens. */
async function closedPort(): Promise<string> {
  const server = await startServer(() => undefined);
  const address = addressOf(server);
  server.close();
  await once(server, "close");
  return address;
}

/** Calls once and waits for the line of the access log. */
async function call(subject: Subject, localAddress?: string): Promise<{ readonly heard: string; readonly line: Line }> {
  const before = subject.ends.length;
  const client = net.connect({ port: subject.port, host: "127.0.0.1", ...(localAddress ? { localAddress } : {}) });
  const heard = await readAll(client).catch((error: NodeJS.ErrnoException) => error.code ?? "");
  while (subject.ends.length === before) await turn();
  return { heard, line: subject.ends.at(-1) as Line };
}

test("further attempts go to other endpoints, and the log tells of the failed ones", async (t) => {
  const server = await serverThatSays(t, "hello");
  const down = await closedPort();
  const subject = await start(t, { endpoints: [down, addressOf(server)], config: { maxConnectAttempts: 2 } });
  // They take turns, whoever begins.
  const calls = [await call(subject), await call(subject), await call(subject)];
  assert.deepEqual(
    calls.map(({ heard }) => heard),
    ["hello", "hello", "hello"],
  );
  const line = calls.find(({ line }) => line.info.attempts === 2)?.line;
  assert.deepEqual([line?.flags, line?.info.upstreamHost], ["UF", addressOf(server)]);
  assert.equal(line?.info.upstreamTransportFailure, "delayed connect error: Connection refused");
});

test("when the last attempt has failed the log says what was tried", async (t) => {
  const down = await closedPort();
  const subject = await start(t, { endpoints: [down], config: { maxConnectAttempts: 3 } });
  const { heard, line } = await call(subject);
  assert.equal(heard, "");
  assert.deepEqual([line.flags, line.info.attempts], ["UF,URX", 3]);
  assert.equal(
    line.explanation,
    `cluster "orders": the upstream could not be reached: ${down}: delayed connect error: Connection refused (3 attempts)`,
  );
  assert.deepEqual([subject.orders.limits.connections, subject.orders.limits.pending], [0, 0]);
});

test("no endpoint, no cluster, no place left", async (t) => {
  const empty = await start(t, { endpoints: [] });
  assert.deepEqual((await call(empty)).line.flags, "UH");
  assert.equal(empty.ends[0]?.explanation, 'cluster "orders": no endpoint is in service: the cluster has no endpoints');

  const lost = await start(t, { config: { cluster: { kind: "name", name: "nowhere" } } });
  const { line } = await call(lost);
  assert.deepEqual(
    [line.flags, line.info.cluster, line.explanation],
    ["NC", "", 'cluster "nowhere": the cluster does not exist'],
  );

  const server = await startEcho();
  t.after(() => server.close());
  const limits = { ...DEFAULT_LIMITS, maxConnections: 1 };
  const full = await start(t, {
    endpoints: [addressOf(server)],
    cluster: { limits: { default: limits, high: limits } },
  });
  const first = net.connect(full.port, "127.0.0.1");
  first.write("x");
  await once(first, "data");
  const second = await call(full);
  assert.deepEqual([second.line.flags, second.line.info.attempts], ["UO", 0]);
  first.destroy();
  while (full.ends.length < 2) await turn();
  assert.equal(full.orders.limits.connections, 0);
  assert.equal(full.orders.stats.upstream_cx_overflow, 1);
});

test("a connection that does not come to stand in time", async (t) => {
  const clock = new SimulatedClock();
  const silent = await startServer((socket) => socket.resume());
  t.after(() => silent.close());
  const subject = await start(t, {
    clock,
    endpoints: [addressOf(silent)],
    cluster: { connectTimeoutMs: 500 },
    // A handshake that nobody answers.
    tls: { begin: () => ({ options: {}, verify: () => null, explain: ({ message }) => message }) },
  });
  const client = net.connect(subject.port, "127.0.0.1");
  const ended = readAll(client);
  while (subject.orders.stats.upstream_cx_total === 0) await turn();
  await clock.run(600, 50);
  await ended;
  while (subject.ends.length === 0) await turn();
  assert.deepEqual([subject.ends[0]?.flags, subject.ends[0]?.info.upstreamTransportFailure], ["UF,URX", ""]);
  assert.equal(subject.orders.stats.upstream_cx_connect_timeout, 1);
});

test("weights are drawn once for each connection", async (t) => {
  const [one, two] = [await serverThatSays(t, "one"), await serverThatSays(t, "two")];
  let draw = 0;
  const subject = await start(t, {
    clusters: [
      cluster({ name: "one", discovery: { kind: "static", endpoints: endpointSet(addressOf(one)) } }),
      cluster({ name: "two", discovery: { kind: "static", endpoints: endpointSet(addressOf(two)) } }),
    ],
    config: {
      cluster: {
        kind: "weighted",
        clusters: [
          { name: "one", weight: 1 },
          { name: "two", weight: 3 },
        ],
      },
    },
    random: () => draw,
  });
  const heard: string[] = [];
  for (draw of [0, 0.24, 0.26, 0.99]) heard.push((await call(subject)).heard);
  assert.deepEqual(heard, ["one", "one", "two", "two"]);
});

test("callers are hashed by their address, so that each keeps its endpoint", async (t) => {
  const servers = await Promise.all(["a", "b", "c", "d", "e"].map((word) => serverThatSays(t, word)));
  const subject = await start(t, {
    endpoints: servers.map(addressOf),
    cluster: { lbPolicy: { kind: "ring_hash", minimumRingSize: 1024, maximumRingSize: 8192 } },
    config: { hashSourceIp: true },
  });
  const found = new Set<string>();
  for (let i = 2; i < 22; i++) {
    const { heard } = await call(subject, `127.0.0.${i}`);
    assert.equal((await call(subject, `127.0.0.${i}`)).heard, heard);
    found.add(heard);
  }
  assert.ok(found.size > 1, "all callers went to one endpoint");
});

test("failed attempts open the breaker, which then refuses with a sentence", async (t) => {
  const down = await closedPort();
  const breaker = { errorPercent: 50, minimumCalls: 4, windowMs: 10_000, openForMs: 5000 };
  const subject = await start(t, {
    endpoints: [down],
    cluster: { outrigger: { ...OWN_POLICY, breaker } },
  });
  for (let i = 0; i < 4; i++) assert.equal((await call(subject)).line.flags, "UF,URX");
  const { line } = await call(subject);
  assert.deepEqual([line.flags, line.info.attempts], ["UO", 0]);
  assert.match(line.explanation, /the circuit breaker is open: connections to the upstream have been failing/);
  assert.equal(subject.orders.breaker?.state, "open");
});

test("an endpoint that refuses is ejected, and those that stand count as successes", async (t) => {
  const server = await serverThatSays(t, "hello");
  const down = await closedPort();
  const subject = await start(t, {
    endpoints: [down, addressOf(server)],
    cluster: {
      outlierDetection: { ...DEFAULT_OUTLIER_DETECTION, consecutive5xx: 2, maxEjectionPercent: 50 },
    },
  });
  for (let i = 0; i < 4; i++) await call(subject);
  const [first, second] = [...subject.orders.endpoints];
  assert.deepEqual([first?.ejected, second?.ejected], [true, false]);
  for (let i = 0; i < 3; i++) assert.equal((await call(subject)).heard, "hello");
});
