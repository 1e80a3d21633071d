/** Which listener a connection is handed to, by the address that it was going to. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { SimulatedClock } from "../core/clock.ts";
import type { Listener } from "../model/listener.ts";
import { EMPTY_SNAPSHOT } from "../model/snapshot.ts";
import { cluster } from "../test/support/clusters.ts";
import { OwnConnections } from "./endpoint/own-connections.ts";
import { Interception, type TakingListener } from "./interception.ts";
import { Arrival } from "./listener/arrival.ts";
import { listenerOf, PlayedSocket } from "./listener/testing/inbound-subject.ts";
import type { UpstreamClusters } from "./outbound.ts";

const EXTENSION = { service: null, httpProxy: false, multiplex: false } as const;
const SERVICE = { name: "db", namespace: "shop", port: 80, portName: "" };
const VIRTUAL = listenerOf({
  name: "virtual",
  address: { kind: "tcp", host: "127.0.0.1", port: 15_001 },
  outrigger: { ...EXTENSION, virtual: { kind: "outbound", registryOnly: false } },
});

function at(name: string, host: string, port: number, fields: Partial<Listener> = {}): Listener {
  return listenerOf({ name, bindToPort: false, address: { kind: "tcp", host, port }, ...fields });
}

/** Clusters by name, and where their endpoints are: `10.0.0.5:5432`, and further hosts at port 5432 after spaces. */
function clustersOf(endpoints: Readonly<Record<string, readonly string[]>>): UpstreamClusters {
  const all = Object.entries(endpoints).map(([name, keys]) => ({
    name,
    config: cluster({ name }),
    endpoints: keys.map((text) => {
      const [key = "", ...others] = text.split(" ");
      const additionalAddresses = others.map((host) => ({ kind: "tcp", host, port: 5432 }));
      return { key, config: others.length === 0 ? {} : { additionalAddresses } };
    }),
  }));
  return { own: new OwnConnections(), all: () => all } as unknown as UpstreamClusters;
}

class World {
  listeners: Listener[];
  readonly taken: { readonly by: string; readonly pinned: string }[] = [];
  readonly interception: Interception;

  constructor(listeners: readonly Listener[], endpoints: Readonly<Record<string, readonly string[]>> = {}) {
    this.listeners = [...listeners];
    this.interception = new Interception(clustersOf(endpoints), () => this.#taking(), new SimulatedClock());
  }

  *#taking(): Iterable<TakingListener> {
    for (const config of this.listeners) {
      yield { config, take: ({ pinned }) => void this.taken.push({ by: config.name, pinned }) };
    }
  }

  /** Who takes a connection to that address; "" for nobody else. */
  to(host: string, port: number, from: Listener = VIRTUAL): string {
    const arrival = new Arrival(
      new PlayedSocket({ host: "10.0.0.1", port: 1 }, { host: "127.0.0.1", port: 15_001 }).asSocket,
    );
    arrival.restore({ host, port });
    return this.interception.handOver(arrival, from) ? (this.taken.at(-1)?.by ?? "") : "";
  }
}

describe("handing over", () => {
  test("goes by the address, else by the port of any address of that family", () => {
    const world = new World([
      VIRTUAL,
      at("exact", "10.96.0.1", 80),
      at("more", "10.96.0.2", 80, { additionalAddresses: [{ kind: "tcp", host: "fd96::2", port: 80 }] }),
      at("any", "0.0.0.0", 80),
      at("any six", "::", 81),
      at("both", "::", 82, { address: { kind: "tcp", host: "::", port: 82, ipv4Compat: true } }),
    ]);
    assert.equal(world.to("10.96.0.1", 80), "exact");
    assert.equal(world.to("fd96::2", 80), "more");
    assert.equal(world.to("10.96.0.9", 80), "any");
    assert.equal(world.to("fd96::9", 80), "");
    assert.equal(world.to("fd96::9", 81), "any six");
    assert.equal(world.to("10.96.0.9", 81), "");
    assert.equal(world.to("10.96.0.9", 82), "both");
    assert.equal(world.to("10.96.0.9", 83), "");
  });

  test("never leads to the listener that hands over, nor to a virtual one", () => {
    const plain = at("plain", "0.0.0.0", 15_001);
    const inbound = listenerOf({
      name: "inbound",
      address: { kind: "tcp", host: "::", port: 15_006, ipv4Compat: true },
      outrigger: { ...EXTENSION, virtual: { kind: "inbound" } },
    });
    const world = new World([VIRTUAL, plain, inbound]);
    assert.equal(world.to("10.0.0.9", 15_001, plain), "");
    assert.equal(world.to("10.0.0.9", 15_006), "");
  });

  test("an endpoint's own address is its service's, and the connection is pinned", () => {
    const service = at("outbound|80||db", "10.96.0.1", 80, { outrigger: { ...EXTENSION, service: SERVICE } });
    const world = new World([VIRTUAL, service, at("any", "0.0.0.0", 5432)], {
      "outbound|80||db": ["10.0.0.5:5432", "[fd77::5]:5432", "10.0.0.7:5432 fd77::7 fd77::8"],
      "of nobody's listener": ["10.0.0.6:5432"],
    });
    assert.equal(world.to("10.0.0.5", 5432), service.name);
    assert.equal(world.to("fd77::5", 5432), service.name);
    assert.deepEqual(world.taken.at(-1), { by: service.name, pinned: service.name });
    for (const host of ["10.0.0.7", "fd77::7", "fd77::8"]) assert.equal(world.to(host, 5432), service.name, host);
    assert.deepEqual(world.taken.at(-1), { by: service.name, pinned: service.name });
    assert.equal(world.to("10.0.0.6", 5432), "any");
    // By the service's own address any endpoint will do.
    assert.equal(world.to("10.96.0.1", 80), service.name);
    assert.equal(world.taken.at(-1)?.pinned, "");
    // Where only Envoy's resources are given, endpoints stand for nothing.
    assert.equal(world.to("10.0.0.5", 5432, at("envoy", "127.0.0.1", 15_001)), "any");
  });

  test("what was not intercepted stays", () => {
    const world = new World([VIRTUAL, at("exact", "127.0.0.1", 15_001)]);
    const socket = new PlayedSocket({ host: "10.0.0.1", port: 1 }, { host: "127.0.0.1", port: 15_001 });
    assert.equal(world.interception.handOver(new Arrival(socket.asSocket), VIRTUAL), false);
  });

  test("connections go by what was in force until all of a change is", () => {
    const world = new World([VIRTUAL, at("old", "10.96.0.1", 80)]);
    assert.equal(world.to("10.96.0.1", 80), "old");
    world.listeners = [VIRTUAL, at("new", "10.96.0.1", 80)];
    const renewal = world.interception.renew();
    renewal.next();
    assert.equal(world.to("10.96.0.1", 80), "old");
    while (!renewal.next().done);
    assert.equal(world.to("10.96.0.1", 80), "new");
  });
});

test("virtual listeners are refused where nothing tells where connections were going", () => {
  const { interception } = new World([]);
  assert.throws(() => interception.check(VIRTUAL), /needs Linux and the optional package koffi/);
  interception.check(listenerOf());
});

test("one's own connections are watched while there is a virtual listener", async () => {
  const { interception } = new World([]);
  await interception.prepare({ ...EMPTY_SNAPSHOT, listeners: new Map([["virtual", VIRTUAL]]) });
  assert.equal(interception.own.watching, true);
  await interception.prepare(EMPTY_SNAPSHOT);
  assert.equal(interception.own.watching, false);
});
