/** How long opaque connections may last, in simulated time. */
import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { type TestContext, test } from "node:test";
import { SimulatedClock } from "../../core/clock.ts";
import type { TcpProxy } from "../../model/tcp.ts";
import { addressOf, startEcho, startSubject } from "../../test/support/tcp-subject.ts";

/** An echo behind the proxy, with one connection that has said a word. */
async function connected(t: TestContext, config: Partial<TcpProxy>) {
  const clock = new SimulatedClock();
  const server = await startEcho();
  t.after(() => server.close());
  const subject = await startSubject({ clock, endpoints: [addressOf(server)], config });
  t.after(() => subject.close());
  const client = net.connect({ port: subject.port, host: "127.0.0.1", allowHalfOpen: true });
  const say = async (word: string): Promise<void> => {
    client.write(word);
    await once(client, "data");
  };
  await say("hello");
  const ended = async (): Promise<void> => {
    if (!client.readableEnded) await once(client.resume(), "end");
    while (subject.ends.length === 0) await new Promise((resolve) => setImmediate(resolve));
  };
  return { clock, subject, client, say, ended };
}

test("without a byte in either direction it ends; any byte begins the time anew", async (t) => {
  const { clock, subject, client, say, ended } = await connected(t, { idleTimeoutMs: 1000 });
  await clock.run(900, 100);
  await say("still");
  await clock.run(900, 100);
  assert.equal(client.readableEnded, false);
  await clock.run(200, 100);
  await ended();
  assert.deepEqual(
    [subject.ends[0]?.flags, subject.ends[0]?.explanation],
    ["-", "no byte went either way for too long"],
  );
  assert.equal(subject.metrics.stats("tcp").idle_timeout, 1);
  assert.equal(subject.wheel.size, 0);
});

test("it ends when it has lasted as long as it may, busy or not", async (t) => {
  const { clock, subject, say, ended } = await connected(t, { maxDownstreamConnectionDurationMs: 1000 });
  await clock.run(900, 100);
  await say("still");
  await clock.run(200, 100);
  await ended();
  assert.equal(subject.ends[0]?.flags, "DT");
  assert.equal(subject.metrics.stats("tcp").max_downstream_connection_duration, 1);
});

test("lines when the upstream connection stands, at intervals and at the end", async (t) => {
  const { clock, subject, client, say, ended } = await connected(t, { logOnConnected: true, logIntervalMs: 1000 });
  await clock.run(1100, 100);
  await say("more");
  await clock.run(1000, 100);
  client.end();
  await ended();
  assert.deepEqual(
    subject.lines.map(({ type, received }) => [type, received]),
    [
      ["TcpUpstreamConnected", 0],
      ["TcpPeriodic", 5],
      ["TcpPeriodic", 9],
      ["TcpConnectionEnd", 9],
    ],
  );
  const ids = new Set(subject.lines.map(({ info }) => info.streamId));
  assert.match([...ids].join(), /^[0-9a-f-]{36}$/);
});

test("bytes, connections and how they end are counted for who calls whom", async (t) => {
  const { subject, client } = await connected(t, {});
  const metric = (name: string): string | undefined => {
    const text = [...subject.registry.pieces()].join("");
    return new RegExp(`^${name}\\{[^}]*cluster="orders"[^}]*\\} (.*)$`, "m").exec(text)?.[1];
  };
  assert.equal(metric("outrigger_tcp_connections_active"), "1");
  assert.equal(metric("outrigger_tcp_received_bytes_total"), "5");
  client.destroy();
  while (subject.ends.length === 0) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(metric("outrigger_tcp_connections_active"), "0");
  assert.equal(metric("outrigger_tcp_connections_closed_total"), "1");
  const stats = Object.fromEntries(subject.metrics.allStats());
  assert.deepEqual(
    [
      stats["tcp.tcp.downstream_cx_total"],
      stats["tcp.tcp.downstream_cx_rx_bytes_total"],
      stats["tcp.tcp.downstream_cx_tx_bytes_total"],
    ],
    [1, 5, 5],
  );
});

test("HTTP/2 among opaque bytes is noticed", async (t) => {
  const { subject, client } = await connected(t, {});
  assert.equal(subject.metrics.stats("tcp").http2_preface_total, 0);
  client.destroy();
  const other = net.connect(subject.port, "127.0.0.1");
  other.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
  await once(other, "data");
  assert.equal(subject.metrics.stats("tcp").http2_preface_total, 1);
  other.destroy();
});
