/** For any order in which resources arrive: nothing is referred to that is absent, and the end is always the same. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Cluster } from "../model/cluster.ts";
import type { Listener } from "../model/listener.ts";
import { EMPTY_SNAPSHOT, type Snapshot } from "../model/snapshot.ts";
import type { ResourceKind, ResourceModels } from "../xds/resources.ts";
import { Assembler, type Assembly } from "./assemble.ts";
import {
  clusterReferences,
  endpointName,
  listenerClusters,
  listenerReferences,
  type Reference,
  tableClusters,
} from "./references.ts";
import type { NamedKind, ResourceUpdate } from "./resources.ts";
import {
  certificateSecret,
  downstreamTls,
  edsCluster,
  endpointSet,
  httpListener,
  rdsListener,
  routeTable,
  staticCluster,
  upstreamTls,
} from "./testing/models.ts";

const ads = { kind: "ads", initialFetchTimeoutMs: 0 } as const;
const sds = (name: string) => ({ kind: "sds", name, source: ads }) as const;

/** A whole configuration of a control plane, in which every reference holds. */
interface World {
  readonly cluster: ReadonlyMap<string, Cluster>;
  readonly listener: ReadonlyMap<string, Listener>;
  readonly endpoint: ReadonlyMap<string, ResourceModels["endpoint"]>;
  readonly route: ReadonlyMap<string, ResourceModels["route"]>;
  readonly secret: ReadonlyMap<string, ResourceModels["secret"]>;
}

const names = ["a", "b", "c"] as const;
const worlds: fc.Arbitrary<World> = fc
  .record({
    clusters: fc.subarray([...names], { minLength: 1 }),
    shapes: fc.array(fc.record({ eds: fc.boolean(), tls: fc.boolean(), service: fc.constantFrom("x", "y", "") }), {
      minLength: 3,
      maxLength: 3,
    }),
    listeners: fc.subarray(["l", "m"]),
    inline: fc.boolean(),
    table: fc.constantFrom("r", "s"),
    tls: fc.boolean(),
    uses: fc.subarray([...names]),
    port: fc.integer({ min: 1, max: 3 }),
  })
  .map(({ clusters, shapes, listeners, inline, table, tls, uses, port }) => {
    const made = clusters.map((name, i) => {
      const shape = shapes[i];
      const context = shape?.tls ? upstreamTls({ certificates: [sds(`secret-${name}`)] }) : null;
      if (!shape?.eds) return staticCluster(name, endpointSet(name, port), { tls: context });
      return edsCluster(name, { tls: context, discovery: { kind: "eds", serviceName: shape.service } });
    });
    const used = uses.filter((name) => clusters.includes(name));
    const context = tls ? downstreamTls(sds("server")) : null;
    const serving = listeners.map((name) =>
      inline
        ? httpListener(name, { kind: "inline", table: routeTable("inline", ...used) }, context)
        : rdsListener(name, table, context),
    );
    const byName = <T extends { readonly name: string }>(values: T[]) => new Map(values.map((v) => [v.name, v]));
    return {
      cluster: byName(made),
      listener: byName(serving),
      endpoint: byName(["a", "b", "c", "x", "y"].map((name) => endpointSet(name, port))),
      route: byName([routeTable("r", ...used), routeTable("s", ...used)]),
      secret: byName(["secret-a", "secret-b", "secret-c", "server"].map((name) => certificateSecret(name))),
    };
  });

/** A server that holds a world, and delivers one kind, or one wanted resource, at a time. */
class Delivery {
  readonly assembler = new Assembler({
    base: EMPTY_SNAPSHOT,
    clusters: ads,
    listeners: ads,
    localSecrets: new Set(),
    graceMs: 1,
  });
  #world: World;
  #version = 0;
  #pending = new Set<ResourceKind>(["cluster", "listener"]);
  readonly #delivered = new Map<string, unknown>();
  assembly: Assembly;

  constructor(world: World) {
    this.#world = world;
    this.assembly = this.assembler.assemble();
  }

  change(world: World): void {
    this.#world = world;
    this.#version++;
    this.#pending = new Set(["cluster", "listener"]);
  }

  /** What could arrive next. */
  choices(): (() => void)[] {
    const choices: (() => void)[] = [...this.#pending].map((kind) => () => this.#whole(kind as "cluster" | "listener"));
    for (const kind of ["endpoint", "route", "secret"] as const) {
      const wanted = this.assembly.wanted[kind];
      for (const key of this.#delivered.keys()) {
        const [its, name = ""] = key.split(" ");
        if (its === kind && !wanted.has(name)) this.#delivered.delete(key);
      }
      for (const name of wanted.keys()) {
        const value = this.#world[kind].get(name);
        if (value && this.#delivered.get(`${kind} ${name}`) !== value) choices.push(() => this.#one(kind, name, value));
      }
    }
    return choices;
  }

  /** Lets the time limit of everything that is waited for pass. */
  timeout(): void {
    for (const { key, limitMs } of this.assembly.waiting) if (limitMs !== null) this.assembler.giveUp(key);
    this.assembly = this.assembler.assemble();
  }

  #whole(kind: "cluster" | "listener"): void {
    this.#pending.delete(kind);
    const now: ReadonlyMap<string, Cluster | Listener> = this.#world[kind];
    const before = this.#delivered.get(kind) as ReadonlyMap<string, unknown> | undefined;
    const removed = [...(before?.keys() ?? [])].filter((name) => !now.has(name));
    this.#delivered.set(kind, now);
    this.#apply({ kind, version: String(this.#version), upserts: now, removed } as ResourceUpdate);
  }

  #one(kind: NamedKind, name: string, value: object): void {
    this.#delivered.set(`${kind} ${name}`, value);
    const upserts = new Map([[name, value]]);
    this.#apply({ kind, version: String(this.#version), upserts, removed: [] } as unknown as ResourceUpdate);
  }

  #apply(update: ResourceUpdate): void {
    this.assembler.apply(update);
    this.assembly = this.assembler.assemble();
    if (this.assembly.snapshot) assertComplete(this.assembly.snapshot);
  }
}

function assertComplete(snapshot: Snapshot): void {
  const check = (holder: string, references: readonly Reference[]): void => {
    for (const { kind, name } of references) {
      const there = { endpoint: snapshot.endpoints, route: snapshot.routes, secret: snapshot.secrets }[kind].has(name);
      assert.ok(there, `${holder} refers to ${kind} ${name}, which is absent`);
    }
  };
  for (const [name, cluster] of snapshot.clusters) check(`cluster ${name}`, clusterReferences(cluster));
  for (const [name, listener] of snapshot.listeners) {
    check(`listener ${name}`, listenerReferences(listener));
    for (const c of listenerClusters(listener)) assert.ok(snapshot.clusters.has(c), `listener ${name} names ${c}`);
  }
  for (const [name, table] of snapshot.routes) {
    for (const c of tableClusters(table)) assert.ok(snapshot.clusters.has(c), `table ${name} names ${c}`);
  }
  const fetched = [...snapshot.clusters.values()].map(endpointName).filter((name) => name !== null);
  assert.deepEqual(new Set(snapshot.endpoints.keys()), new Set(fetched), "endpoints of no cluster");
}

/** Delivers in the order that `picks` chooses, until nothing is left. */
function deliver(delivery: Delivery, picks: readonly number[]): void {
  let turn = 0;
  for (let choices = delivery.choices(); choices.length > 0; choices = delivery.choices()) {
    choices[(picks[turn++ % picks.length] ?? 0) % choices.length]?.();
  }
}

function contents({ clusters, listeners, routes, endpoints, secrets }: Snapshot) {
  const sorted = (map: ReadonlyMap<string, unknown>) => [...map].sort(([a], [b]) => (a < b ? -1 : 1));
  return [clusters, listeners, routes, endpoints, secrets].map(sorted);
}

const picks = fc.array(fc.nat(50), { minLength: 1, maxLength: 30 });

test("any order of arrival leads to the same complete snapshot, through complete ones only", () => {
  fc.assert(
    fc.property(worlds, picks, picks, (world, one, other) => {
      const results = [one, other].map((order) => {
        const delivery = new Delivery(world);
        deliver(delivery, order);
        assert.ok(delivery.assembly.snapshot, delivery.assembly.waiting.map((w) => w.message).join("; "));
        return delivery.assembly.snapshot;
      });
      assert.deepEqual(contents(results[0] as Snapshot), contents(results[1] as Snapshot));
    }),
    { numRuns: 300 },
  );
});

test("going from one configuration to another, in any order, no snapshot on the way is incomplete", () => {
  fc.assert(
    fc.property(worlds, worlds, picks, picks, (before, after, first, second) => {
      const delivery = new Delivery(before);
      deliver(delivery, first);
      delivery.change(after);
      deliver(delivery, second);
      const fresh = new Delivery(after);
      deliver(fresh, second);
      assert.deepEqual(contents(delivery.assembly.snapshot as Snapshot), contents(fresh.assembly.snapshot as Snapshot));
      assert.deepEqual(delivery.assembly.waiting, []);
    }),
    { numRuns: 300 },
  );
});

test("a change in the middle of a change ends where the last one would alone, once the limits have passed", () => {
  fc.assert(
    fc.property(worlds, worlds, worlds, picks, fc.nat(6), (first, second, third, order, steps) => {
      const delivery = new Delivery(first);
      deliver(delivery, order);
      delivery.change(second);
      for (let i = 0; i < steps; i++) delivery.choices()[0]?.();
      delivery.change(third);
      deliver(delivery, order);
      delivery.timeout();
      deliver(delivery, order);
      const fresh = new Delivery(third);
      deliver(fresh, order);
      assert.deepEqual(contents(delivery.assembly.snapshot as Snapshot), contents(fresh.assembly.snapshot as Snapshot));
    }),
    { numRuns: 300 },
  );
});
