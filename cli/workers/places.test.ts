import assert from "node:assert/strict";
import net from "node:net";
import { type TestContext, test } from "node:test";
import type { Address } from "../../model/address.ts";
import type { Listener } from "../../model/listener.ts";
import { EMPTY_SNAPSHOT, type Snapshot } from "../../model/snapshot.ts";
import type { FromWorker } from "./messages.ts";
import { PlaceBook, placeKey, WorkerPlaces } from "./places.ts";

const at = (port: number, host = "127.0.0.1"): Address => ({ kind: "tcp", host, port });

/** As far as places look at it. */
const listener = (name: string, address: Address, more: object = {}): Listener =>
  ({ name, address, bindToPort: true, ...more }) as unknown as Listener;

const snapshot = (...listeners: readonly Listener[]): Snapshot => ({
  ...EMPTY_SNAPSHOT,
  listeners: new Map(listeners.map((one) => [one.name, one])),
});

async function occupied(t: TestContext): Promise<{ port: number; free: () => Promise<void> }> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const free = (): Promise<void> => new Promise((resolve) => void server.close(() => resolve()));
  t.after(free);
  return { port: (server.address() as net.AddressInfo).port, free };
}

test("an address in use is found out once, and tried again with the next snapshot", async (t) => {
  const { port, free } = await occupied(t);
  const book = new PlaceBook();
  const wanted = listener("a", at(port));
  await book.add(snapshot(wanted));
  assert.deepEqual(book.entries.get(placeKey(wanted, wanted.address)), { error: "EADDRINUSE" });
  await free();
  const { version } = book;
  await book.add(snapshot(wanted));
  assert.deepEqual(book.entries.get(placeKey(wanted, wanted.address)), { port });
  assert.ok(book.version > version);
  const settled = book.version;
  await book.add(snapshot(wanted));
  assert.equal(book.version, settled, "nothing new");
});

test("port 0 becomes one port for all workers, another for each listener", async (t) => {
  const book = new PlaceBook();
  t.after(() => book.close());
  const [a, b] = [listener("a", at(0)), listener("b", at(0), { additionalAddresses: [at(0, "::1")] })];
  await book.add(snapshot(a, b));
  const ports = [...book.entries.values()].map((entry) => ("port" in entry ? entry.port : 0));
  assert.equal(ports.length, 3);
  assert.equal(new Set(ports).size, 3);
  assert.ok(ports.every((port) => port > 0));
});

test("an address that is not this machine's is told by its error; listeners without a socket have no place", async () => {
  const book = new PlaceBook();
  const foreign = listener("a", at(19_000, "192.0.2.1"));
  const unbound = listener("b", at(0), { bindToPort: false });
  const pipe = listener("c", { kind: "pipe", path: "/tmp/outrigger-place" });
  await book.add(snapshot(foreign, unbound, pipe));
  assert.deepEqual([...book.entries], [[placeKey(foreign, foreign.address), { error: "EADDRNOTAVAIL" }]]);
});

test("places of listeners that are gone are forgotten", async (t) => {
  const book = new PlaceBook();
  const [a, b] = [listener("a", at(0)), listener("b", at(0))];
  await book.add(snapshot(a, b));
  t.after(() => book.close());
  book.prune(snapshot(b));
  assert.deepEqual([...book.entries.keys()], [placeKey(b, b.address)]);
});

function workerPlaces(inherited: readonly (readonly [string, number])[] = [], index = 1) {
  const told: FromWorker[] = [];
  const closed: number[] = [];
  const descriptors = { duplicate: (fd: number) => fd + 100, close: (fd: number) => void closed.push(fd) };
  const places = new WorkerPlaces(index, inherited, descriptors, (message) => told.push(message));
  return { places, told, closed };
}

test("a worker takes a place once, and leaves a second descriptor of its socket with the main thread", () => {
  const { places, told, closed } = workerPlaces();
  const one = listener("a", at(80));
  const key = placeKey(one, one.address);
  assert.throws(() => places.take(one, one.address), { code: "EADDRINUSE" }, "nobody has found it out");
  places.update(new Map([[key, { port: 80 }]]));
  assert.deepEqual(places.take(one, one.address), { port: 80, fd: null });
  assert.throws(() => places.take(listener("b", at(80)), at(80)), { code: "EADDRINUSE" });
  places.onListening(one, one.address, 7);
  places.onClosing(one, one.address);
  assert.deepEqual(told, [
    { kind: "listening", key, fd: 107 },
    { kind: "closing", key },
  ]);
  assert.deepEqual(closed, [107]);
  assert.deepEqual(places.take(one, one.address), { port: 80, fd: null }, "free again");
});

test("a worker goes on with the sockets of the one before it, and closes those that nobody wants", () => {
  const one = listener("a", at(80));
  const key = placeKey(one, one.address);
  const { places, told, closed } = workerPlaces([
    [key, 30],
    ["gone", 31],
  ]);
  places.update(new Map([[key, { port: 80 }]]));
  assert.deepEqual(places.take(one, one.address), { port: 80, fd: 30 });
  assert.deepEqual(told, [{ kind: "adopting", key }]);
  places.closeInherited();
  assert.deepEqual(closed, [31]);
  assert.deepEqual(told.slice(1), [{ kind: "adopting", key: "gone" }]);
});

test("what the main thread could not have, no worker tries; a pipe is the first one's", () => {
  const one = listener("a", at(80));
  const pipe: Address = { kind: "pipe", path: "/tmp/outrigger-place" };
  const { places } = workerPlaces();
  places.update(new Map([[placeKey(one, one.address), { error: "EACCES" }]]));
  assert.throws(() => places.take(one, one.address), { code: "EACCES" });
  assert.equal(places.take(listener("p", pipe), pipe), null);
  assert.deepEqual(workerPlaces([], 0).places.take(listener("p", pipe), pipe), { port: 0, fd: null });
});
