/** Opaque bytes through two sidecars with mutual TLS between them: nothing is lost, nothing is kept, ends stay ends. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import net from "node:net";
import { test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { envoyBinary } from "../scripts/envoy-binary.ts";
import { startTcpSidecars, type TcpSidecarsConfig } from "./support/tcp-sidecars.ts";
import { readAll, startEcho, startServer } from "./support/tcp-subject.ts";

const portOf = (server: net.Server): number => (server.address() as net.AddressInfo).port;
const open = (port: number): net.Socket => net.connect({ port, host: "127.0.0.1", allowHalfOpen: true });

/** Lines of an access log, once there are as many. */
async function linesOf(file: string, count: number): Promise<Record<string, string | number | null>[]> {
  for (let i = 0; i < 300; i++) {
    let text = "";
    try {
      text = readFileSync(file, "utf8");
    } catch {
      // Not written yet.
    }
    const lines = text.split("\n").filter((line) => line !== "");
    if (lines.length >= count) return lines.map((line) => JSON.parse(line));
    await wait(50);
  }
  throw new Error(`${file} has fewer than ${count} lines`);
}

/** Whether a client says something: who only looks whether a port is open does not. */
async function speaks(socket: net.Socket): Promise<boolean> {
  return new Promise((resolve) => {
    socket.once("data", () => resolve(true));
    socket.once("close", () => resolve(false));
  });
}

/** Writes `bytes` of a pattern and returns their hash. */
async function write(socket: net.Socket, bytes: number): Promise<string> {
  const hash = createHash("sha256");
  let seed = 1;
  for (let left = bytes; left > 0; ) {
    const chunk = Buffer.alloc(Math.min(left, 100_000), `${seed++ % 9973} `);
    hash.update(chunk);
    left -= chunk.length;
    if (!socket.write(chunk)) await once(socket, "drain");
  }
  return hash.digest("hex");
}

/** The hash of what a peer sends until its end, read slowly if `everyMs` is given. */
async function read(socket: net.Socket, everyMs = 0): Promise<{ readonly hash: string; readonly bytes: number }> {
  const hash = createHash("sha256");
  let bytes = 0;
  const ended = once(socket, "end");
  socket.on("data", (chunk: Buffer) => {
    hash.update(chunk);
    bytes += chunk.length;
    if (everyMs === 0) return;
    socket.pause();
    void wait(everyMs).then(() => socket.resume());
  });
  await ended;
  return { hash: hash.digest("hex"), bytes };
}

test("100 MB each way at once, with half-closes, in bounded memory", { timeout: 120_000 }, async (t) => {
  const bytes = 100_000_000;
  type Transfer = readonly [string, { readonly hash: string; readonly bytes: number }];
  const served = Promise.withResolvers<Transfer>();
  const server = await startServer(async (socket) => {
    const heard = read(socket);
    if (!(await speaks(socket))) return;
    const sent = await write(socket, bytes);
    socket.end();
    served.resolve([sent, await heard]);
  });
  t.after(() => server.close());
  await using mesh = await startTcpSidecars({ servers: [portOf(server)] });
  const client = open(mesh.port);
  const before = mesh.sidecars.rss();
  const heard = read(client);
  const sent = await write(client, bytes);
  client.end();
  const got = await heard;
  const [serverSent, serverGot] = await served.promise;
  assert.deepEqual([serverGot.bytes, got.bytes], [bytes, bytes]);
  assert.deepEqual([serverGot.hash, got.hash], [sent, serverSent]);
  assert.ok(mesh.sidecars.rss() - before < 96 * 2 ** 20, `grew by ${(mesh.sidecars.rss() - before) >> 20} MiB`);
  const [line] = await linesOf(mesh.logs[1], 1);
  assert.deepEqual(line, {
    flags: "-",
    received: bytes,
    sent: bytes,
    peer: "spiffe://bench/ns/default/sa/hop",
    why: null,
  });
});

test("a slow reader gets everything, and holds its sender up", { timeout: 60_000 }, async (t) => {
  const bytes = 64_000_000;
  let written = 0;
  const server = await startServer(async (socket) => {
    if (!(await speaks(socket))) return;
    for (let left = bytes; left > 0; left -= 100_000) {
      if (!socket.write(Buffer.alloc(100_000, "x"))) await once(socket, "drain");
      written += 100_000;
    }
    socket.end();
  });
  t.after(() => server.close());
  await using mesh = await startTcpSidecars({ servers: [portOf(server)] });
  const client = open(mesh.port);
  client.end("go");
  for (let before = -1; written === 0 || written > before; await wait(500)) before = written;
  const early = written;
  const { bytes: got } = await read(client, 1);
  assert.equal(got, bytes);
  assert.ok(early < bytes, "all was taken from the server before its client read anything");
});

test("an end is passed on as an end, a reset as a reset, in both directions", { timeout: 60_000 }, async (t) => {
  const server = await startServer(() => undefined);
  t.after(() => server.close());
  await using mesh = await startTcpSidecars({ servers: [portOf(server)] });
  const connect = async (): Promise<readonly [net.Socket, net.Socket]> => {
    const spoken = new Promise<net.Socket>((resolve) => {
      server.on("connection", (socket) => void speaks(socket).then((speaking) => speaking && resolve(socket)));
    });
    const client = open(mesh.port);
    client.write("x");
    const remote = await spoken;
    remote.write("x");
    await once(client, "data");
    return [client, remote];
  };

  const [client, remote] = await connect();
  client.end();
  await once(remote, "end");
  remote.end("late");
  assert.equal(await readAll(client), "late");

  const [resetting, struck] = await connect();
  const atServer = once(struck, "error");
  resetting.resetAndDestroy();
  assert.equal(((await atServer)[0] as NodeJS.ErrnoException).code, "ECONNRESET");

  const [victim, breaking] = await connect();
  const atClient = once(victim, "error");
  breaking.resetAndDestroy();
  assert.equal(((await atClient)[0] as NodeJS.ErrnoException).code, "ECONNRESET");

  const lines = await linesOf(mesh.logs[1], 3);
  assert.deepEqual(
    lines.map(({ flags }) => flags),
    ["-", "-", "UR"],
  );
});

test("an endpoint that is down costs an attempt, all of them the connection", { timeout: 60_000 }, async (t) => {
  const echo = await startEcho();
  const gone = await startEcho();
  const down = portOf(gone);
  gone.close();
  t.after(() => echo.close());
  await using mesh = await startTcpSidecars({
    servers: [down, portOf(echo)],
    proxy: { max_connect_attempts: 2 },
  });
  for (let i = 0; i < 4; i++) {
    const client = open(mesh.port);
    client.end("hello");
    assert.equal(await readAll(client), "hello");
  }
  assert.ok((await linesOf(mesh.logs[1], 4)).some(({ flags }) => flags === "UF"));

  await using broken = await startTcpSidecars({ servers: [down] });
  const client = open(broken.port);
  assert.equal(await readAll(client), "");
  const [line] = await linesOf(broken.logs[1], 1);
  assert.equal(line?.flags, "UF,URX");
  assert.match(String(line?.why), /could not be reached: 127\.0\.0\.1:\d+: delayed connect error: Connection refused/);
});

/** Both know streams. */
const STREAMS = {
  told: { opaque: true, multiplex: true },
  alpn: ["outrigger-tcp-mux/1", "outrigger-tcp/1"],
} as const;

/** Clients that have each heard from the server. */
async function talking(port: number, count: number): Promise<readonly net.Socket[]> {
  return Promise.all(
    Array.from({ length: count }, async (_, i) => {
      const client = open(port);
      client.write(`hello ${i}`);
      assert.equal(String((await once(client, "data"))[0]), `hello ${i}`);
      return client;
    }),
  );
}

test("many connections are few between sidecars, and each is one in the logs", { timeout: 60_000 }, async (t) => {
  const echo = await startEcho();
  t.after(() => echo.close());
  await using mesh = await startTcpSidecars({ ...STREAMS, servers: [portOf(echo)] });
  const clients = await talking(mesh.port, 100);
  assert.ok(mesh.between() <= 10, `${mesh.between()} connections carry 100`);
  for (const client of clients) client.end();
  for (const log of mesh.logs) {
    const lines = (await linesOf(log, 100)).filter(({ received }) => received !== 0);
    assert.ok(lines.every(({ flags, received, sent }) => flags === "-" && received === sent));
  }
  const peers = new Set((await linesOf(mesh.logs[1], 100)).map(({ peer }) => peer));
  assert.deepEqual(peers, new Set(["spiffe://bench/ns/default/sa/hop"]));
});

test("12 MB each way over each of 24 connections, in bounded memory", { timeout: 120_000 }, async (t) => {
  const bytes = 12_000_000;
  const served: Promise<readonly [string, string]>[] = [];
  const server = await startServer(async (socket) => {
    const heard = read(socket);
    heard.catch(() => undefined);
    if (!(await speaks(socket))) return;
    const sent = write(socket, bytes).then((hash) => {
      socket.end();
      return hash;
    });
    served.push(Promise.all([heard.then(({ hash }) => hash), sent]));
  });
  t.after(() => server.close());
  await using mesh = await startTcpSidecars({ ...STREAMS, servers: [portOf(server)] });
  const before = mesh.sidecars.rss();
  const transfers = await Promise.all(
    Array.from({ length: 24 }, async () => {
      const client = open(mesh.port);
      const heard = read(client);
      const sent = await write(client, bytes);
      client.end();
      return [sent, (await heard).hash] as const;
    }),
  );
  const hashes = await Promise.all(served);
  // All send the same.
  assert.equal(new Set([...transfers.flat(), ...hashes.flat()]).size, 1);
  assert.equal(hashes.length, 24);
  assert.ok(mesh.sidecars.rss() - before < 192 * 2 ** 20, `grew by ${(mesh.sidecars.rss() - before) >> 20} MiB`);
});

test("a sidecar that does not know streams, and Envoy, take connections as they are", {
  timeout: 60_000,
}, async (t) => {
  const echo = await startEcho();
  t.after(() => echo.close());
  const envoy = envoyBinary();
  const mixed: TcpSidecarsConfig[] = [
    { ...STREAMS, alpn: ["outrigger-tcp/1"], servers: [portOf(echo)] },
    { ...STREAMS, told: { opaque: true }, servers: [portOf(echo)] },
  ];
  if (envoy !== null) {
    mixed.push(
      { ...STREAMS, envoy, sides: ["envoy", "outrigger"], servers: [portOf(echo)] },
      { ...STREAMS, alpn: [], envoy, sides: ["outrigger", "envoy"], servers: [portOf(echo)] },
    );
  }
  for (const config of mixed) {
    await using mesh = await startTcpSidecars(config);
    const clients = await talking(mesh.port, 20);
    assert.equal(mesh.between(), 20);
    for (const client of clients) client.end();
    const lines = (await linesOf(mesh.logs[1], 20)).filter(({ received }) => received !== 0);
    assert.ok(lines.every(({ flags, received, sent }) => flags === "-" && received === sent));
  }
});
