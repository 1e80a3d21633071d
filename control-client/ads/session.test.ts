/** The contract of a session, the same for both variants of the protocol. */

import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { SimulatedClock } from "../../core/clock.ts";
import { formatProblem } from "../../core/errors.ts";
import type { ResourceKind } from "../../xds/resources.ts";
import { noObserver } from "../observer.ts";
import type { ResourceUpdate } from "../resources.ts";
import { JsonDecoder, jsonResource } from "../testing/json-decoder.ts";
import { ScriptedTransport } from "../testing/scripted-transport.ts";
import { WIRES, type Wire } from "../testing/wire.ts";
import { Delta } from "./delta.ts";
import { AdsSession } from "./session.ts";
import { StateOfTheWorld } from "./state-of-the-world.ts";

const node = {
  id: "sidecar~1",
  cluster: "orders",
  locality: { region: "r", zone: "z", subZone: "" },
  metadata: { labels: { app: "orders" } },
};
const silent = { debug() {}, info() {}, warn() {}, error() {} };
const NONE: ReadonlySet<string> = new Set();

class Rig {
  readonly clock = new SimulatedClock();
  readonly decoder = new JsonDecoder();
  readonly transport: ScriptedTransport;
  readonly session: AdsSession;
  readonly updates: ResourceUpdate[] = [];
  readonly refused: string[] = [];
  readonly events: string[] = [];
  random = 0.5;

  constructor(wire: Wire) {
    this.transport = new ScriptedTransport(wire);
    this.session = new AdsSession({
      clock: this.clock,
      random: () => this.random,
      log: silent,
      observer: {
        ...noObserver,
        connected: (server) => this.events.push(`connected ${server}`),
        disconnected: (_, reason) => this.events.push(`disconnected: ${reason}`),
        accepted: (api, version, changed) => this.events.push(`${api} ${version}: ${changed} changed`),
        rejected: (api, version, problems) => this.events.push(`${api} ${version}: ${problems.length} problems`),
      },
      transport: this.transport,
      variant: wire.name === "delta" ? new Delta(node, "0.1") : new StateOfTheWorld(node, "0.1"),
      decoder: this.decoder,
      sink: {
        update: (update) => this.updates.push(update),
        refused: (kind, names, problems) =>
          this.refused.push(`${kind} ${[...names].sort().join(",")}: ${problems.map(formatProblem).join(" | ")}`),
      },
      backoff: { baseMs: 500, maxMs: 30_000 },
      stuckAfterMs: 30_000,
    });
  }

  /** Connects with clusters wanted as a whole and these endpoints. */
  connect(...endpoints: string[]): void {
    this.session.want("cluster", NONE);
    this.session.want("endpoint", new Set(endpoints));
    this.session.start();
    this.stream.accept();
  }

  get stream(): ScriptedTransport["stream"] {
    return this.transport.stream;
  }

  respond(kind: ResourceKind, version: string, names: readonly (string | object)[], removed: readonly string[] = []) {
    const resources = names.map((item) => {
      if (typeof item === "string") return jsonResource(kind, item);
      const { name, ...rest } = item as { name: string };
      return jsonResource(kind, name, rest);
    });
    this.stream.respond({ kind, version, nonce: `n${version}`, resources, removed });
  }

  /** The only update since the last call, as `name` lists. */
  update(): { kind: string; version: string; upserts: string[]; removed: string[] } {
    assert.equal(this.updates.length, 1);
    const { kind, version, upserts, removed } = this.updates.splice(0)[0]!;
    return { kind, version, upserts: [...upserts.keys()], removed: [...removed] };
  }
}

for (const wire of WIRES) {
  const isDelta = wire.name === "delta";

  suite(`a session, ${wire.name}`, () => {
    test("introduces itself on the first request only, and asks in the order of dependence", () => {
      const rig = new Rig(wire);
      rig.session.want("listener", NONE);
      rig.connect("a", "b");
      const [clusters, endpoints, listeners] = rig.stream.requests();
      assert.equal(clusters?.kind, "cluster");
      assert.deepEqual(clusters?.names, []);
      assert.equal(clusters?.node?.id, "sidecar~1");
      assert.equal(clusters?.node?.cluster, "orders");
      assert.deepEqual(clusters?.node?.metadata, { labels: { app: "orders" } });
      assert.equal(clusters?.node?.locality?.zone, "z");
      assert.equal(clusters?.node?.userAgentName, "outrigger");
      assert.deepEqual(clusters?.node?.clientFeatures, ["xds.config.resource-in-sotw"]);
      assert.equal(endpoints?.kind, "endpoint");
      assert.deepEqual(endpoints?.names, ["a", "b"]);
      assert.equal(endpoints?.node, undefined);
      assert.equal(listeners?.kind, "listener");
    });

    test("acknowledges with nonce and version", () => {
      const rig = new Rig(wire);
      rig.connect();
      rig.stream.requests();
      rig.respond("cluster", "1", ["a", "b"]);
      const [ack, ...rest] = rig.stream.requests();
      assert.equal(rest.length, 0);
      assert.equal(ack?.kind, "cluster");
      assert.equal(ack?.nonce, "n1");
      assert.equal(ack?.error, null);
      assert.equal(ack?.version, isDelta ? "" : "1");
      assert.deepEqual(rig.update(), { kind: "cluster", version: "1", upserts: ["a", "b"], removed: [] });
      assert.deepEqual(rig.events, ["connected scripted:1", "CDS 1: 2 changed"]);
    });

    test("a refusal names every problem with resource and path, and keeps the version", () => {
      const rig = new Rig(wire);
      rig.connect();
      rig.respond("cluster", "1", ["a"]);
      rig.update();
      rig.stream.requests();
      rig.respond("cluster", "2", [
        { name: "a", bad: { lb_policy: "unknown value 9", "tls.sni": "too long" } },
        { name: "b", bad: { name: "is taken" } },
      ]);
      const [nack] = rig.stream.requests();
      assert.equal(nack?.nonce, "n2");
      assert.equal(nack?.version, isDelta ? "" : "1");
      assert.equal(
        nack?.error,
        'resource "a": lb_policy: unknown value 9\nresource "a": tls.sni: too long\nresource "b": name: is taken',
      );
      assert.equal(rig.refused.length, 1);
      assert.match(rig.refused[0] ?? "", /^cluster a,b: /);
      assert.equal(rig.events.at(-1), "CDS 2: 3 problems");
    });

    test("good clusters beside a bad one are taken, and the bad one keeps its last good value", () => {
      const rig = new Rig(wire);
      rig.connect();
      rig.respond("cluster", "1", ["a", "b"]);
      rig.update();
      rig.respond("cluster", "2", [{ name: "a", bad: { x: "y" } }, { name: "b", v: 2 }, "c"]);
      assert.deepEqual(rig.update(), { kind: "cluster", version: "1", upserts: ["b", "c"], removed: [] });
    });

    test("good endpoints beside bad ones are taken too", () => {
      const rig = new Rig(wire);
      rig.connect("a", "b");
      rig.respond("endpoint", "1", [{ name: "a", bad: { x: "y" } }, "b"]);
      assert.deepEqual(rig.update(), { kind: "endpoint", version: "", upserts: ["b"], removed: [] });
      assert.match(rig.refused[0] ?? "", /^endpoint a: /);
    });

    test("what comes again unchanged is neither decoded nor reported", () => {
      const rig = new Rig(wire);
      rig.connect();
      rig.respond("cluster", "1", ["a", "b", "c"]);
      rig.update();
      const before = rig.decoder.decoded;
      rig.respond("cluster", "2", ["a", { name: "b", v: 2 }, "c"]);
      assert.deepEqual(rig.update().upserts, ["b"]);
      assert.equal(rig.decoder.decoded, before + 1);
      rig.respond("cluster", "3", ["a", { name: "b", v: 2 }, "c"]);
      assert.deepEqual(rig.update(), { kind: "cluster", version: "3", upserts: [], removed: [] });
    });

    test("a changed resource that changes back is reported", () => {
      const rig = new Rig(wire);
      rig.connect();
      for (const [version, item] of [
        ["1", "a"],
        ["2", { name: "a", v: 2 }],
        ["3", "a"],
      ] as const) {
        rig.respond("cluster", version, [item]);
        assert.deepEqual(rig.update().upserts, ["a"]);
      }
    });

    test("clusters are removed, by absence or by name", () => {
      const rig = new Rig(wire);
      rig.connect();
      rig.respond("cluster", "1", ["a", "b"]);
      rig.update();
      rig.respond("cluster", "2", isDelta ? [] : ["a"], ["b"]);
      assert.deepEqual(rig.update(), { kind: "cluster", version: "2", upserts: [], removed: ["b"] });
    });

    test("absence of endpoints is not removal", () => {
      const rig = new Rig(wire);
      rig.connect("a", "b");
      rig.respond("endpoint", "1", ["a", "b"]);
      rig.update();
      rig.respond("endpoint", "2", [{ name: "a", v: 2 }]);
      assert.deepEqual(rig.update(), { kind: "endpoint", version: "2", upserts: ["a"], removed: [] });
    });

    test("endpoints that nobody asked for are not taken", () => {
      const rig = new Rig(wire);
      rig.connect("a");
      rig.respond("endpoint", "1", ["a", "z"]);
      assert.deepEqual(rig.update().upserts, ["a"]);
    });

    test("a resource that comes twice in one response is refused", () => {
      const rig = new Rig(wire);
      rig.connect();
      rig.respond("cluster", "1", ["a", { name: "a", v: 2 }]);
      assert.match(rig.stream.requests().at(-1)?.error ?? "", /CDS "a": comes twice/);
    });

    test("names are subscribed and unsubscribed while the stream is open", () => {
      const rig = new Rig(wire);
      rig.connect("a", "b");
      rig.respond("endpoint", "1", ["a", "b"]);
      rig.stream.requests();
      rig.session.want("endpoint", new Set(["b", "c"]));
      const [request, ...rest] = rig.stream.requests();
      assert.equal(rest.length, 0);
      assert.equal(request?.node, undefined);
      if (isDelta) {
        assert.deepEqual([request?.names, request?.unsubscribed], [["c"], ["a"]]);
        assert.equal(request?.nonce, "");
      } else {
        assert.deepEqual(request?.names, ["b", "c"]);
        assert.equal(request?.nonce, "n1");
        assert.equal(request?.version, "1");
      }
      rig.session.want("endpoint", new Set(["b", "c"]));
      assert.equal(rig.stream.requests().length, 0);
    });

    test("the last name is unsubscribed too, and never asked for as everything", () => {
      const rig = new Rig(wire);
      rig.connect();
      rig.session.want("route", NONE);
      assert.deepEqual(
        rig.stream.requests().map((r) => r.kind),
        ["cluster"],
      );
      rig.session.want("route", new Set(["r"]));
      rig.session.want("route", NONE);
      const [first, last] = rig.stream.requests();
      assert.deepEqual(first?.names, ["r"]);
      assert.deepEqual([last?.names, last?.unsubscribed], [[], isDelta ? ["r"] : []]);
    });

    test("a name that was given up and is wanted again is taken anew", () => {
      const rig = new Rig(wire);
      rig.connect("a");
      rig.respond("endpoint", "1", ["a"]);
      rig.update();
      rig.session.want("endpoint", NONE);
      rig.session.want("endpoint", new Set(["a"]));
      rig.respond("endpoint", "2", ["a"]);
      assert.deepEqual(rig.update().upserts, ["a"]);
    });

    test("after a broken stream it waits, then subscribes again with what it holds", () => {
      const rig = new Rig(wire);
      rig.connect("a");
      rig.respond("cluster", "1", ["a"]);
      rig.respond("endpoint", "2", ["a"]);
      rig.stream.break("gone");
      assert.equal(rig.session.status().connected, false);
      assert.equal(rig.session.status().lastError, "gone");
      rig.clock.advance(249);
      assert.equal(rig.transport.streams.length, 1);
      rig.clock.advance(1);
      assert.equal(rig.transport.streams.length, 2);
      rig.stream.accept();
      assert.equal(rig.session.status().connected, true);
      const [clusters, endpoints] = rig.stream.requests();
      assert.equal(clusters?.node?.id, "sidecar~1");
      assert.equal(clusters?.nonce, "");
      assert.deepEqual(endpoints?.names, ["a"]);
      if (isDelta) {
        assert.deepEqual(clusters?.initialVersions, { a: "1" });
        assert.deepEqual(endpoints?.initialVersions, { a: "2" });
      } else {
        assert.equal(clusters?.version, "1");
        assert.equal(endpoints?.version, "2");
      }
    });

    test("versions of what was refused are not claimed after a reconnect", () => {
      const rig = new Rig(wire);
      rig.connect();
      rig.respond("cluster", "1", ["a"]);
      rig.respond("cluster", "2", [{ name: "a", bad: { x: "y" } }]);
      rig.stream.break();
      rig.clock.advance(1000);
      rig.stream.accept();
      const [clusters] = rig.stream.requests();
      if (isDelta) assert.deepEqual(clusters?.initialVersions, { a: "1" });
      else assert.equal(clusters?.version, "1");
    });

    test("waits grow to the bound, full jitter, and start small again after a healthy stream", () => {
      const rig = new Rig(wire);
      rig.random = 0.999_999;
      rig.session.want("cluster", NONE);
      rig.session.start();
      const waits: number[] = [];
      for (let i = 0; i < 9; i++) {
        const count = rig.transport.streams.length;
        rig.stream.break("refused");
        const begin = rig.clock.now();
        while (rig.transport.streams.length === count) rig.clock.advance(50);
        waits.push(rig.clock.now() - begin);
      }
      assert.deepEqual(waits, [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
      rig.stream.accept();
      rig.respond("cluster", "1", []);
      rig.stream.break();
      const count = rig.transport.streams.length;
      rig.clock.advance(500);
      assert.equal(rig.transport.streams.length, count + 1);
    });

    test("a stream that is taken but breaks before an answer does not reset the wait", () => {
      const rig = new Rig(wire);
      rig.random = 0.999_999;
      rig.session.want("cluster", NONE);
      rig.session.start();
      for (const wait of [500, 1000, 2000]) {
        const count = rig.transport.streams.length;
        rig.stream.accept();
        rig.stream.break();
        rig.clock.advance(wait - 1);
        assert.equal(rig.transport.streams.length, count);
        rig.clock.advance(1);
        assert.equal(rig.transport.streams.length, count + 1);
      }
    });

    test("a server that takes the stream but does not answer a newcomer is left", () => {
      const rig = new Rig(wire);
      rig.connect();
      const stuck = rig.stream;
      rig.clock.advance(30_000);
      assert.ok(stuck.cancelled);
      assert.match(rig.session.status().lastError, /not answered for 30 s/);
      rig.clock.advance(1000);
      assert.equal(rig.transport.streams.length, 2);
    });

    test("a server that has nothing new to say to one who holds everything is not stuck", () => {
      const rig = new Rig(wire);
      rig.connect();
      rig.respond("cluster", "1", ["a"]);
      rig.stream.break();
      rig.clock.advance(1000);
      rig.stream.accept();
      rig.clock.advance(600_000);
      assert.equal(rig.transport.streams.length, 2);
      assert.equal(rig.session.status().connected, true);
    });

    test("bytes that are no response end the stream; the next one works", () => {
      const rig = new Rig(wire);
      rig.connect();
      const first = rig.stream;
      first.raw(new Uint8Array([0x0a, 0xff]));
      assert.ok(first.cancelled);
      rig.clock.advance(1000);
      rig.stream.accept();
      rig.respond("cluster", "1", ["a"]);
      assert.deepEqual(rig.update().upserts, ["a"]);
    });

    test("no bytes from a server make it throw, or keep it from going on", () => {
      fc.assert(
        fc.property(fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 5 }), (messages) => {
          const rig = new Rig(wire);
          rig.connect("a");
          for (const message of messages) {
            rig.stream.raw(message);
            if (!rig.stream.cancelled) continue;
            rig.clock.advance(30_000);
            rig.stream.accept();
          }
          rig.respond("cluster", "1", ["a"]);
          assert.equal(rig.updates.at(-1)?.upserts.size, 1);
        }),
        { numRuns: 200 },
      );
    });

    test("a type that was not asked for is ignored", () => {
      const rig = new Rig(wire);
      rig.connect();
      rig.stream.requests();
      rig.respond("route", "1", ["r"]);
      assert.equal(rig.stream.requests().length, 0);
      assert.equal(rig.updates.length, 0);
    });

    test("after close nothing happens any more", () => {
      const rig = new Rig(wire);
      rig.connect();
      rig.session.close();
      assert.ok(rig.stream.cancelled);
      rig.respond("cluster", "1", ["a"]);
      rig.stream.break();
      rig.clock.advance(100_000);
      assert.equal(rig.updates.length, 0);
      assert.equal(rig.transport.streams.length, 1);
      assert.equal(rig.clock.pending, 0);
    });

    test("after close while waiting to reconnect nothing happens either", () => {
      const rig = new Rig(wire);
      rig.connect();
      rig.stream.break();
      rig.session.close();
      assert.equal(rig.clock.pending, 0);
    });

    test("clients that lose their server at once come back spread over the wait", () => {
      const waits = Array.from({ length: 100 }, (_, i) => {
        const rig = new Rig(wire);
        rig.random = i / 100;
        rig.connect();
        rig.respond("cluster", "1", []);
        rig.stream.break();
        const begin = rig.clock.now();
        while (rig.transport.streams.length === 1) rig.clock.advance(5);
        return rig.clock.now() - begin;
      });
      const early = waits.filter((wait) => wait <= 250).length;
      assert.ok(early >= 45 && early <= 55, `${early} of 100 in the first half`);
      assert.ok(Math.max(...waits) <= 500);
    });
  });
}
