/** The orderly end of opaque connections: bytes have no end to wait for, so they live until the deadline. */
import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { test } from "node:test";
import { any, chain, named } from "../xds/testing/bootstrap-json.ts";
import { startProxy } from "./support/running-proxy.ts";
import { startEcho } from "./support/tcp-subject.ts";

const tcpProxy = named(
  "envoy.filters.network.tcp_proxy",
  any("extensions.filters.network.tcp_proxy.v3.TcpProxy", { stat_prefix: "tcp", cluster: "up" }),
);

test("a drain lets opaque connections end by themselves, and cuts those that are left at its deadline", async (t) => {
  const echo = await startEcho();
  t.after(() => echo.close());
  const proxy = await startProxy(t, {
    upstreams: [(echo.address() as net.AddressInfo).port],
    listener: { filter_chains: [chain([tcpProxy])] },
  });
  const say = async (client: net.Socket, word: string): Promise<void> => {
    client.write(word);
    assert.equal(String((await once(client, "data"))[0]), word);
  };
  const clients = await Promise.all(
    Array.from({ length: 30 }, async () => {
      const client = net.connect({ port: proxy.port, host: "127.0.0.1", allowHalfOpen: true });
      await say(client, "before");
      return client;
    }),
  );
  const [last, ...others] = clients;
  assert.ok(last);
  const closed = others.map((client) => once(client, "close"));
  let over = false;
  const drained = proxy.process.drain(8000).then(() => {
    over = true;
  });
  for (const client of others) {
    await say(client, "while it drains");
    client.end();
  }
  await Promise.all(closed);
  await say(last, "still there");
  assert.equal(over, false);
  const cut = once(last.resume(), "end");
  await drained;
  await cut;
  last.destroy();
  await proxy.settled();
});
