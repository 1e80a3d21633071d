/** An opaque connection from its first byte to its last. */
import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { test } from "node:test";
import tls from "node:tls";
import { certificate } from "../../test/envoy/harness/certificates.ts";
import { cluster, endpointSet } from "../../test/support/clusters.ts";
import { addressOf, readAll, startServer, startSubject } from "../../test/support/tcp-subject.ts";
import { TcpSession } from "./session.ts";
import { ManualEnd } from "./testing/manual-end.ts";

test("bytes go both ways, and an end of one way leaves the other open", async (t) => {
  const server = await startServer(async (socket) => {
    const heard = await readAll(socket);
    socket.end(`you said ${heard}`);
  });
  t.after(() => server.close());
  const subject = await startSubject({ endpoints: [addressOf(server)] });
  t.after(() => subject.close());

  const client = net.connect({ port: subject.port, host: "127.0.0.1", allowHalfOpen: true });
  client.end("hello");
  assert.equal(await readAll(client), "you said hello");
  if (!client.closed) await once(client, "close");
  while (subject.served.size > 0) await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(
    subject.lines.map(({ type, flags, received, sent }) => ({ type, flags, received, sent })),
    [{ type: "TcpConnectionEnd", flags: "-", received: 5, sent: 14 }],
  );
  assert.equal(subject.orders.stats.upstream_cx_active, 0);
  assert.equal(subject.orders.limits.connections, 0);
});

test("a reset under TLS, which closes the other side at once, ends a connection once", async (t) => {
  const { chain, key } = certificate("alpha");
  const server = tls.createServer({ cert: chain, key }, (socket) => {
    socket.on("error", () => undefined);
    socket.pipe(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  const subject = await startSubject({
    endpoints: [addressOf(server)],
    tls: {
      begin: () => ({
        options: { rejectUnauthorized: false },
        verify: () => null,
        explain: ({ message }) => message,
      }),
    },
  });
  t.after(() => subject.close());
  const client = net.connect(subject.port, "127.0.0.1");
  client.write("ping");
  await once(client, "data");
  client.resetAndDestroy();
  while (subject.served.size > 0) await new Promise((resolve) => setImmediate(resolve));
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(
    subject.ends.map(({ flags, received }) => ({ flags, received })),
    [{ flags: "-", received: 4 }],
  );
  assert.equal(subject.orders.stats.upstream_cx_active, 0);
  assert.equal(subject.orders.limits.connections, 0);
});

test("a connection that was only listened to, and is no opaque one, is left as it is", async (t) => {
  const server = await startServer((socket) => void socket.resume().on("end", () => socket.end()));
  t.after(() => server.close());
  const accepted: net.Socket[] = [];
  const subject = await startSubject({
    endpoints: [addressOf(server)],
    accept: (subject, socket) => {
      accepted.push(socket);
      const attempt = subject.terminal.opaque?.listen(socket, subject.infoOf(socket), () => undefined);
      server.once("connection", (remote) => setImmediate(() => attempt?.abandon()) && remote.once("close", takeOver));
      const takeOver = (): void => void socket.end("served by another");
    },
  });
  t.after(() => subject.close());
  const client = net.connect({ port: subject.port, host: "127.0.0.1" });
  assert.equal(await readAll(client), "served by another");
  assert.deepEqual(subject.lines, []);
  assert.equal(subject.orders.limits.connections, 0);
});

test("a server that ends while it is only listened to does not end its client", async (t) => {
  const server = await startServer((socket) => socket.resetAndDestroy());
  t.after(() => server.close());
  const subject = await startSubject({
    endpoints: [addressOf(server)],
    accept: (subject, socket) => {
      const attempt = subject.terminal.opaque?.listen(socket, subject.infoOf(socket), () => undefined);
      subject.wheel.after(100, () => {
        attempt?.abandon();
        socket.end("still there");
      });
    },
  });
  t.after(() => subject.close());
  const client = net.connect({ port: subject.port, host: "127.0.0.1" });
  assert.equal(await readAll(client), "still there");
});

test("a client whose server ended while it was only listened to is closed once it turns out to be opaque", async (t) => {
  const server = await startServer((socket) => socket.resetAndDestroy());
  t.after(() => server.close());
  const subject = await startSubject({
    endpoints: [addressOf(server)],
    accept: (subject, socket) => {
      const attempt = subject.terminal.opaque?.listen(socket, subject.infoOf(socket), () => undefined);
      subject.wheel.after(100, () => attempt?.commit(null, () => undefined));
    },
  });
  t.after(() => subject.close());
  const client = net.connect({ port: subject.port, host: "127.0.0.1" });
  assert.equal(await readAll(client), "");
  while (subject.ends.length === 0) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(subject.orders.limits.connections, 0);
});

test("a caller that ends before it has said anything", async (t) => {
  const server = await startServer(async (socket) => {
    await readAll(socket);
    socket.end("goodbye");
  });
  t.after(() => server.close());
  const subject = await startSubject({ endpoints: [addressOf(server)] });
  t.after(() => subject.close());
  const client = net.connect({ port: subject.port, host: "127.0.0.1", allowHalfOpen: true });
  client.end();
  assert.equal(await readAll(client), "goodbye");
  while (subject.ends.length === 0) await new Promise((resolve) => setImmediate(resolve));
});

test("what a slow caller has not taken yet is not lost when its server's end is closed", async (t) => {
  const server = await startServer((socket) => void socket.resume());
  t.after(() => server.close());
  const subject = await startSubject({ endpoints: [addressOf(server)] });
  t.after(() => subject.close());
  const caller = new ManualEnd();
  const remote = new ManualEnd(4096);
  const session = new TcpSession(subject.source.runtime, caller, subject.infoOf(new net.Socket()));
  session.commit(null, () => undefined);
  // Before the connection that it asks for can stand.
  session.onUpstream(remote);
  caller.bringEnd();
  assert.equal(remote.ending, "end");

  caller.isSlow = true;
  const bytes = Buffer.alloc(120_000, "0123456789");
  for (let at = 0; at < bytes.length; at += 15_000) remote.bring(bytes.subarray(at, at + 15_000));
  remote.bringEnd();
  remote.close();
  assert.ok(Buffer.concat(caller.written).length < bytes.length, "the caller takes one write at a time");
  assert.equal(caller.ending, null);
  caller.isSlow = false;
  caller.drain();
  assert.deepEqual(Buffer.concat(caller.written), bytes);
  assert.equal(caller.ending, "end");
  caller.close();
});

test("a connection to an instance's own address goes there, whatever else the service's name leads to", async (t) => {
  const servers = await Promise.all(
    ["orders", "canary"].map((name) => startServer((socket) => void socket.end(`${name} `))),
  );
  t.after(() => servers.forEach((server) => void server.close()));
  const [orders, canary] = servers.map((server, index) =>
    cluster({
      name: index === 0 ? "orders" : "canary",
      discovery: { kind: "static", endpoints: endpointSet(addressOf(server)) },
    }),
  );
  assert.ok(orders && canary);
  let toInstance = false;
  const localPort = Number(servers.map(addressOf)[0]?.split(":")[1]);
  const subject = await startSubject({
    clusters: [orders, canary],
    config: { cluster: { kind: "name", name: "canary" } },
    accept: (subject, socket) => {
      const asked = { localAddress: "127.0.0.1", localPort, restored: true, pinned: "orders" } as const;
      const info = { ...subject.infoOf(socket), ...(toInstance && asked) };
      subject.terminal.serve(socket, null, info, () => undefined);
    },
  });
  t.after(() => subject.close());
  const answer = () => readAll(net.connect(subject.port, "127.0.0.1"));
  assert.equal(await answer(), "canary ");
  toInstance = true;
  assert.equal(await answer(), "orders ");
});
