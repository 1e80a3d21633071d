/** An endpoint's connections, kept apart by the server that they were opened for. */
import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { test } from "node:test";
import { EventClock, systemClock } from "../../core/clock.ts";
import { TimerWheel } from "../../core/timer-wheel.ts";
import { cluster, endpoint, endpointSet } from "../../test/support/clusters.ts";
import { createClusterState } from "../cluster/cluster-state.ts";
import type { Http1ClientConnection } from "../codec/http1/client-connection.ts";
import { EndpointPool } from "./pool.ts";
import { serverNameRule } from "./request-server.ts";

const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const names = (name: string) => [name, { sni: name, san: null }] as const;

test("names have connections of their own, and leave nothing behind", async () => {
  const server = net.createServer((socket) => socket.on("error", () => undefined)).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as net.AddressInfo;
  const clock = new EventClock(systemClock);
  const wheel = new TimerWheel(clock);
  const endpoints = endpointSet(endpoint(`127.0.0.1:${port}`));
  const state = createClusterState<EndpointPool>(cluster({ discovery: { kind: "static", endpoints } }), {
    clock,
    wheel,
    random: () => 0,
    log: quiet,
    observer: { onClusterEvent: () => undefined },
    createPool: (target, { config, stats, limits }) =>
      new EndpointPool(target, { config, stats, limits, tls: () => null }, { clock, wheel }),
  });
  const chosen = state.choose({ hash: null, hostSelectionRetries: 0, triedHosts: [] });
  assert.ok(chosen);
  const pool = state.poolOf(chosen);
  const acquire = (part: EndpointPool): Promise<Http1ClientConnection> =>
    new Promise((resolve, reject) => {
      const now = part.acquire({ onConnection: resolve, onPoolFailure: (_kind, detail) => reject(new Error(detail)) });
      if (now !== null) resolve(now);
    });

  const a = pool.forServer(...names("a.test"));
  assert.equal(pool.forServer(...names("a.test")), a);
  const b = pool.forServer(...names("b.test"));
  assert.notEqual(b, a);
  const first = await acquire(a);
  first.giveBack();
  assert.equal(await acquire(a), first, "the same name takes the idle connection");
  const other = await acquire(b);
  assert.notEqual(other, first);
  assert.equal(state.stats.upstream_cx_active, 2);

  const closed = Promise.all([once(first.socket, "close"), once(other.socket, "close")]);
  pool.close();
  await closed;
  assert.equal(state.stats.upstream_cx_active, 0);
  assert.notEqual(pool.forServer(...names("a.test")), a, "a part goes with its last connection");
  server.close();
  state.close();
});

test("names matter only where there is TLS", () => {
  const requestSni = { sni: true, verifySan: false, header: "" };
  const plain = cluster();
  const named = { ...plain, http: { ...plain.http, requestSni } };
  assert.equal(serverNameRule(named), undefined);
  assert.equal(serverNameRule({ ...named, tlsMatches: [{ name: "m", match: {}, tls: null }] }), requestSni);
});
