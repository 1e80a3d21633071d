/** An opaque connection from its first byte to its last. */
import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { test } from "node:test";
import { addressOf, readAll, startServer, startSubject } from "../../test/support/tcp-subject.ts";

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
