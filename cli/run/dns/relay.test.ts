import assert from "node:assert/strict";
import dgram from "node:dgram";
import { once } from "node:events";
import net, { type AddressInfo } from "node:net";
import { type TestContext, test } from "node:test";
import { SimulatedClock } from "../../../core/clock.ts";
import { readQuestion, TYPE_A } from "./message.ts";
import { DnsRelay } from "./relay.ts";
import { query } from "./testing/query.ts";

/** A relay that asks 127.0.0.1 and then 127.0.0.2, of which those in `there` are, and a client. */
async function world(t: TestContext, there: readonly string[], silent = "") {
  const clock = new SimulatedClock();
  const asked: string[] = [];
  const servers: dgram.Socket[] = [];
  let port = 0;
  for (const host of there) {
    const server = dgram.createSocket("udp4").bind(port, host);
    await once(server, "listening");
    ({ port } = server.address());
    server.on("message", (message, from) => {
      asked.push(host);
      if (host === silent) return;
      const answer = Buffer.from(message);
      answer[2] = 0x81;
      server.send(answer, from.port, from.address);
    });
    servers.push(server);
  }
  const streams = net.createServer((socket) => socket.pipe(socket)).listen(port, "127.0.0.2");
  const udp = dgram.createSocket("udp4").bind(0, "127.0.0.1");
  const tcp = net.createServer({ allowHalfOpen: true }).listen(0, "127.0.0.1");
  await Promise.all([once(udp, "listening"), once(tcp, "listening"), once(streams, "listening")]);
  const relay = new DnsRelay({
    udp,
    tcp,
    addresses: (name) => (name === "orders.default" ? ["240.240.0.7"] : undefined),
    servers: () => ["127.0.0.1", "127.0.0.2"],
    clock,
    port,
  });
  const client = dgram.createSocket("udp4").bind(0, "127.0.0.1");
  t.after(() => {
    relay.close();
    client.close();
    streams.close();
    for (const server of servers) server.close();
  });
  const ask = async (message: Buffer): Promise<Buffer> => {
    const answered = once(client, "message");
    client.send(message, udp.address().port, "127.0.0.1");
    return ((await answered) as [Buffer])[0];
  };
  return { clock, asked, ask, tcpPort: (tcp.address() as AddressInfo).port };
}

test("a name of the mesh is answered without asking anybody", async (t) => {
  const { ask, asked } = await world(t, ["127.0.0.1"]);
  const answer = await ask(query("ORDERS.default", TYPE_A));
  assert.equal(answer.subarray(-4).toString("hex"), "f0f00007");
  assert.deepEqual(asked, []);
});

test("any other is asked of the machine's first name server, and its answer passed on as it is", async (t) => {
  const { ask, asked } = await world(t, ["127.0.0.1", "127.0.0.2"]);
  const asking = query("example.com", TYPE_A, 0x1234);
  const expected = Buffer.from(asking);
  expected[2] = 0x81;
  assert.deepEqual(await ask(asking), expected);
  assert.deepEqual(asked, ["127.0.0.1"]);
  assert.equal(readQuestion(asking)?.name, "example.com");
});

test("a name server that is not there gives way to the next", async (t) => {
  const { ask, asked } = await world(t, ["127.0.0.2"]);
  await ask(query("example.com", TYPE_A));
  assert.deepEqual(asked, ["127.0.0.2"]);
});

test("a name server that says nothing for two seconds gives way to the next", async (t) => {
  const { ask, asked, clock } = await world(t, ["127.0.0.1", "127.0.0.2"], "127.0.0.1");
  const answered = ask(query("example.com", TYPE_A));
  while (asked.length === 0) await new Promise((resolve) => setImmediate(resolve));
  clock.advance(1999);
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(asked, ["127.0.0.1"]);
  clock.advance(1);
  await answered;
  assert.deepEqual(asked, ["127.0.0.1", "127.0.0.2"]);
});

test("over TCP the first name server that can be connected to is spoken to", async (t) => {
  const { tcpPort } = await world(t, ["127.0.0.1"]);
  const socket = net.connect(tcpPort, "127.0.0.1");
  socket.end("a long question");
  const [answer] = (await once(socket, "data")) as [Buffer];
  assert.equal(answer.toString(), "a long question");
  await once(socket, "close");
});
