/** Listening sockets: one for each address of a listener, kept while their address stays. */
import assert from "node:assert/strict";
import net from "node:net";
import { test } from "node:test";
import type { Address } from "../../model/address.ts";
import type { Listener } from "../../model/listener.ts";
import { BoundListener } from "./listener.ts";
import { loadSystemSockets } from "./system-sockets.ts";

const loopback = (port = 0): Address => ({ kind: "tcp", host: "127.0.0.1", port });

const listener = (fields: Partial<Listener>): Listener => ({
  name: "l",
  address: loopback(),
  statPrefix: "",
  bindToPort: true,
  trafficDirection: "unspecified",
  listenerFilters: [],
  listenerFiltersTimeoutMs: 0,
  continueOnListenerFiltersTimeout: false,
  filterChains: [],
  defaultFilterChain: null,
  perConnectionBufferLimitBytes: 1024,
  accessLogs: [],
  tcpBacklogSize: 16,
  reusePort: false,
  outrigger: null,
  ...fields,
});

const ignore = (socket: net.Socket): void => void socket.destroy();

/** What a call finds: `accepted`, or the error's code. */
function call(host: string, port: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = net.connect({ host, port });
    socket.on("connect", () => resolve("accepted")).on("error", (error) => resolve(`${Reflect.get(error, "code")}`));
    socket.on("close", () => socket.destroy());
  });
}

test("connections are taken at each address; an address that stays keeps its socket", async () => {
  const config = listener({ additionalAddresses: [{ kind: "tcp", host: "127.0.0.2", port: 0 }] });
  const bound = await BoundListener.bindAll(config, [], ignore);
  const ports = bound.map(({ boundAddress }) => boundAddress?.port ?? 0);
  assert.equal(bound.length, 2);
  assert.equal(await call("127.0.0.1", ports[0] ?? 0), "accepted");
  assert.equal(await call("127.0.0.2", ports[1] ?? 0), "accepted");
  const alone = listener({});
  const next = await BoundListener.bindAll(alone, bound, ignore);
  assert.deepEqual(next, [bound[0]]);
  assert.equal(next[0]?.config, alone);
  for (const socket of bound) socket.stopAccepting();
});

test("all addresses are bound or none", async () => {
  const [taken] = await BoundListener.bindAll(listener({}), [], ignore);
  const [free] = await BoundListener.bindAll(listener({}), [], ignore);
  const place = free?.boundAddress?.port ?? 0;
  free?.stopAccepting();
  const config = listener({
    address: loopback(place),
    additionalAddresses: [loopback(taken?.boundAddress?.port ?? 0)],
  });
  await assert.rejects(BoundListener.bindAll(config, [], ignore), /the address is in use/);
  assert.equal(await call("127.0.0.1", place), "ECONNREFUSED");
  taken?.stopAccepting();
});

test("without bind_to_port nothing is bound", async () => {
  assert.deepEqual(await BoundListener.bindAll(listener({ bindToPort: false }), [], ignore), []);
});

test("as in Envoy, :: leaves IPv4 alone unless it is to be compatible", async (t) => {
  const six: Address = { kind: "tcp", host: "::", port: 0 };
  for (const [address, outcome] of [
    [six, "ECONNREFUSED"],
    [{ ...six, ipv4Compat: true as const }, "accepted"],
  ] as const) {
    let bound: readonly BoundListener[];
    try {
      bound = await BoundListener.bindAll(listener({ address }), [], ignore);
    } catch {
      t.skip("no IPv6 on this machine");
      return;
    }
    const port = bound[0]?.boundAddress?.port ?? 0;
    assert.equal(await call("::1", port), "accepted");
    assert.equal(await call("127.0.0.1", port), outcome);
    for (const socket of bound) socket.stopAccepting();
  }
});

test("a network namespace that is not there is said to be missing", async (t) => {
  if (process.platform !== "linux" || (await loadSystemSockets()) === null) {
    t.skip("sockets in other network namespaces need Linux and koffi");
    return;
  }
  const address: Address = { kind: "tcp", host: "127.0.0.1", port: 0, networkNamespace: "/nowhere/net" };
  await assert.rejects(
    BoundListener.bindAll(listener({ address }), [], ignore),
    /listener "l": cannot bind 127\.0\.0\.1:0: there is no network namespace at \/nowhere\/net \(ENOENT\)/,
  );
});

test("a transparent socket is bound, or the capability that it needs is named", async (t) => {
  if (process.platform !== "linux" || (await loadSystemSockets()) === null) {
    t.skip("transparent sockets need Linux and koffi");
    return;
  }
  try {
    const [bound] = await BoundListener.bindAll(listener({ transparent: true }), [], ignore);
    assert.equal(await call("127.0.0.1", bound?.boundAddress?.port ?? 0), "accepted");
    bound?.stopAccepting();
  } catch (error) {
    assert.match((error as Error).message, /a transparent socket needs the capability NET_ADMIN/);
  }
});
