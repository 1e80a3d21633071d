import assert from "node:assert/strict";
import { test } from "node:test";
import { EMPTY_SNAPSHOT, type Snapshot } from "../model/snapshot.ts";
import type { TcpProxy } from "../model/tcp.ts";
import type { ResourceKind, ResourceModels } from "../xds/resources.ts";
import { Assembler, type AssemblerOptions, type Assembly } from "./assemble.ts";
import type { ResourceUpdate } from "./resources.ts";
import {
  certificateSecret,
  downstreamTls,
  edsCluster,
  endpointSet,
  httpListener,
  rdsListener,
  routeTable,
  staticCluster,
  tcpListener,
  upstreamTls,
} from "./testing/models.ts";

const ads = { kind: "ads", initialFetchTimeoutMs: 15_000 } as const;
const DYNAMIC: AssemblerOptions = {
  base: EMPTY_SNAPSHOT,
  clusters: ads,
  listeners: ads,
  localSecrets: new Set(),
  graceMs: 5000,
};

function update<K extends ResourceKind>(
  kind: K,
  values: readonly ResourceModels[K][],
  removed: readonly string[] = [],
  version = "1",
): ResourceUpdate {
  return { kind, version, upserts: new Map(values.map((v) => [v.name, v])), removed } as ResourceUpdate;
}

function messages(assembly: Assembly): string[] {
  return assembly.waiting.map((item) => item.message);
}

function ready(assembly: Assembly): Snapshot {
  assert.ok(assembly.snapshot, `not ready: ${messages(assembly).join("; ")}`);
  return assembly.snapshot;
}

/** An assembler in which cluster orders, listener web and route table r serve. */
function serving(): Assembler {
  const assembler = new Assembler(DYNAMIC);
  assembler.apply(update("cluster", [edsCluster("orders")]));
  assembler.apply(update("listener", [rdsListener("web", "r")]));
  assembler.assemble();
  assembler.apply(update("endpoint", [endpointSet("orders", 1)]));
  assembler.apply(update("route", [routeTable("r", "orders")]));
  ready(assembler.assemble());
  return assembler;
}

test("static resources alone are ready at once", () => {
  const base: Snapshot = { ...EMPTY_SNAPSHOT, revision: "file", clusters: new Map([["a", staticCluster("a")]]) };
  const assembler = new Assembler({ ...DYNAMIC, base, clusters: null, listeners: null });
  const snapshot = ready(assembler.assemble());
  assert.equal(snapshot.revision, "file");
  assert.equal(snapshot.clusters.get("a"), base.clusters.get("a"));
});

test("nothing is ready before clusters and listeners have come, and it says so", () => {
  const assembler = new Assembler(DYNAMIC);
  assert.equal(assembler.assemble().snapshot, null);
  assert.deepEqual(messages(assembler.assemble()), [
    "no clusters have come yet (CDS)",
    "no listeners have come yet (LDS)",
  ]);
  assembler.apply(update("cluster", []));
  assert.deepEqual(messages(assembler.assemble()), ["no listeners have come yet (LDS)"]);
  assembler.apply(update("listener", []));
  assert.equal(ready(assembler.assemble()).listeners.size, 0);
});

test("the first snapshot waits for endpoints, routes and secrets", () => {
  const assembler = new Assembler(DYNAMIC);
  const tls = upstreamTls({ certificates: [{ kind: "sds", name: "client", source: ads }] });
  assembler.apply(update("cluster", [edsCluster("orders", { tls })]));
  assembler.apply(
    update("listener", [rdsListener("web", "r", downstreamTls({ kind: "sds", name: "server", source: ads }))]),
  );
  const first = assembler.assemble();
  assert.equal(first.snapshot, null);
  assert.deepEqual(messages(first), [
    "cluster orders waits for endpoints (EDS orders)",
    "cluster orders waits for the secret (SDS client)",
    "listener web waits for the secret (SDS server)",
    "listener web waits for routes (RDS r)",
  ]);
  assert.deepEqual([...first.wanted.endpoint.keys()], ["orders"]);
  assert.deepEqual([...first.wanted.route.keys()], ["r"]);
  assert.deepEqual([...first.wanted.secret.keys()].sort(), ["client", "server"]);

  assembler.apply(update("endpoint", [endpointSet("orders", 1)]));
  assembler.apply(update("route", [routeTable("r", "orders")]));
  assembler.apply(update("secret", [certificateSecret("client")]));
  assert.deepEqual(messages(assembler.assemble()), ["listener web waits for the secret (SDS server)"]);
  assembler.apply(update("secret", [certificateSecret("server")]));
  const snapshot = ready(assembler.assemble());
  assert.deepEqual([...snapshot.secrets.keys()].sort(), ["client", "server"]);
  assert.ok(Object.isFrozen(snapshot));
});

test("a changed cluster serves its old version until the new one is warm", () => {
  const assembler = serving();
  const old = ready(assembler.assemble()).clusters.get("orders");
  const moved = edsCluster("orders", { discovery: { kind: "eds", serviceName: "orders-2" } });
  assembler.apply(update("cluster", [moved], [], "2"));
  const warming = assembler.assemble();
  assert.equal(ready(warming).clusters.get("orders"), old);
  assert.deepEqual(messages(warming), ["cluster orders waits for endpoints (EDS orders-2)"]);
  assert.deepEqual([...warming.wanted.endpoint.keys()].sort(), ["orders", "orders-2"]);

  assembler.apply(update("endpoint", [endpointSet("orders-2", 2)], [], "2"));
  const warm = assembler.assemble();
  assert.equal(ready(warm).clusters.get("orders"), moved);
  assert.deepEqual([...ready(warm).endpoints.keys()], ["orders-2"]);
  assert.deepEqual([...warm.wanted.endpoint.keys()], ["orders-2"]);
});

test("a changed listener serves its old version and its old routes until the new one is warm", () => {
  const assembler = serving();
  assembler.apply(update("listener", [rdsListener("web", "r2")], [], "2"));
  const warming = assembler.assemble();
  assert.deepEqual([...ready(warming).routes.keys()], ["r"]);
  assert.deepEqual([...warming.wanted.route.keys()].sort(), ["r", "r2"]);
  assembler.apply(update("route", [routeTable("r2")], [], "2"));
  assert.deepEqual([...ready(assembler.assemble()).routes.keys()], ["r2"]);
});

test("one edited resource leaves all the others the same object", () => {
  const assembler = serving();
  const before = ready(assembler.assemble());
  assembler.apply(update("endpoint", [endpointSet("orders", 2)], [], "2"));
  const after = ready(assembler.assemble());
  assert.notEqual(after, before);
  assert.notEqual(after.endpoints, before.endpoints);
  assert.equal(after.clusters, before.clusters);
  assert.equal(after.listeners, before.listeners);
  assert.equal(after.routes, before.routes);
});

test("nothing new gives the same snapshot", () => {
  const assembler = serving();
  const before = ready(assembler.assemble());
  assembler.apply(update("endpoint", [], [], "1"));
  assert.equal(assembler.assemble().snapshot, before);
});

test("when the time for endpoints is over, the cluster serves without any", () => {
  const assembler = new Assembler(DYNAMIC);
  assembler.apply(update("cluster", [edsCluster("orders")]));
  assembler.apply(update("listener", []));
  const [wait] = assembler.assemble().waiting;
  assert.equal(wait?.limitMs, 15_000);
  assembler.giveUp(wait?.key ?? "");
  const snapshot = ready(assembler.assemble());
  assert.deepEqual(snapshot.endpoints.get("orders")?.localities, []);
  assembler.apply(update("endpoint", [endpointSet("orders", 1)]));
  assert.equal(ready(assembler.assemble()).endpoints.get("orders")?.localities.length, 1);
});

test("initial_fetch_timeout 0 waits without end", () => {
  const assembler = new Assembler(DYNAMIC);
  const source = { kind: "ads", initialFetchTimeoutMs: 0 } as const;
  assembler.apply(update("cluster", [edsCluster("orders", { discovery: { kind: "eds", serviceName: "", source } })]));
  assembler.apply(update("listener", []));
  assert.equal(assembler.assemble().waiting[0]?.limitMs, null);
});

test("a server that knows no such routes ends the wait; one that takes them back later is ignored", () => {
  const assembler = new Assembler(DYNAMIC);
  assembler.apply(update("cluster", []));
  assembler.apply(update("listener", [rdsListener("web", "r")]));
  assembler.assemble();
  assembler.apply(update("route", [], ["r"]));
  assert.deepEqual(ready(assembler.assemble()).routes.get("r")?.virtualHosts, []);

  const other = serving();
  const before = ready(other.assemble()).routes.get("r");
  other.apply(update("route", [], ["r"]));
  assert.equal(ready(other.assemble()).routes.get("r"), before);
});

test("a refused first answer ends the wait", () => {
  const assembler = new Assembler(DYNAMIC);
  assembler.refuse("cluster", []);
  assembler.refuse("listener", ["web"]);
  assert.equal(ready(assembler.assemble()).clusters.size, 0);
});

test("routes wait for a cluster that they name, for a while", () => {
  const assembler = serving();
  const old = ready(assembler.assemble()).routes.get("r");
  const next = routeTable("r", "orders", "stock");
  assembler.apply(update("route", [next], [], "2"));
  const blocked = assembler.assemble();
  assert.equal(ready(blocked).routes.get("r"), old);
  assert.deepEqual(messages(blocked), ["route table r waits for cluster stock, which is not known"]);
  assembler.apply(update("cluster", [edsCluster("stock")], [], "2"));
  assert.deepEqual(messages(assembler.assemble()), [
    "cluster stock waits for endpoints (EDS stock)",
    "route table r waits for cluster stock, which is warming",
  ]);
  assembler.apply(update("endpoint", [endpointSet("stock", 3)], [], "2"));
  const after = assembler.assemble();
  assert.equal(ready(after).routes.get("r"), next);
  assert.deepEqual(messages(after), []);
});

test("routes to a cluster that never comes serve after the grace", () => {
  const assembler = serving();
  const next = routeTable("r", "nowhere");
  assembler.apply(update("route", [next], [], "2"));
  const [wait] = assembler.assemble().waiting;
  assert.equal(wait?.limitMs, 5000);
  assembler.giveUp(wait?.key ?? "");
  const after = assembler.assemble();
  assert.equal(ready(after).routes.get("r"), next);
  assert.deepEqual(messages(after), []);
});

test("a listener waits for a route table that waits", () => {
  const assembler = new Assembler(DYNAMIC);
  assembler.apply(update("cluster", []));
  assembler.apply(update("listener", [rdsListener("web", "r")]));
  assembler.assemble();
  assembler.apply(update("route", [routeTable("r", "nowhere")]));
  assert.deepEqual(messages(assembler.assemble()), [
    "route table r waits for cluster nowhere, which is not known",
    "listener web waits for route table r",
  ]);
});

test("a removed cluster stays for a table of a listener that is still to serve", () => {
  const assembler = serving();
  const context = downstreamTls({ kind: "sds", name: "server", source: ads });
  assembler.apply(update("listener", [rdsListener("admin", "t", context)]));
  assembler.apply(update("cluster", [staticCluster("stock")]));
  assembler.assemble();
  assembler.apply(update("route", [routeTable("t", "stock")]));
  assembler.assemble();
  assembler.apply(update("cluster", [], ["stock"]));
  assembler.assemble();
  assembler.apply(update("secret", [certificateSecret("server")]));
  const { listeners, clusters } = ready(assembler.assemble());
  assert.ok(listeners.has("admin") && clusters.has("stock"));
});

test("a removed cluster stays while routes name it, and goes when they no longer do", () => {
  const assembler = serving();
  assembler.apply(update("cluster", [], ["orders"], "2"));
  const lingering = assembler.assemble();
  assert.ok(ready(lingering).clusters.has("orders"));
  assert.deepEqual(messages(lingering), ["cluster orders was removed but stays until no route names it"]);
  assembler.apply(update("route", [routeTable("r")], [], "2"));
  const after = assembler.assemble();
  assert.equal(ready(after).clusters.size, 0);
  assert.equal(ready(after).endpoints.size, 0);
  assert.equal(after.wanted.endpoint.size, 0);
});

test("a removed cluster that routes go on naming goes after the grace", () => {
  const assembler = serving();
  assembler.apply(update("cluster", [], ["orders"], "2"));
  const [wait] = assembler.assemble().waiting;
  assembler.giveUp(wait?.key ?? "");
  const after = assembler.assemble();
  assert.equal(ready(after).clusters.size, 0);
  assert.ok(ready(after).routes.has("r"));
  assert.deepEqual(messages(after), []);
});

test("a removed listener goes at once", () => {
  const assembler = serving();
  assembler.apply(update("listener", [], ["web"], "2"));
  const after = assembler.assemble();
  assert.equal(ready(after).listeners.size, 0);
  assert.equal(ready(after).routes.size, 0);
});

test("inline routes hold their listener back in the same way", () => {
  const assembler = serving();
  const table = routeTable("inline", "stock");
  assembler.apply(update("listener", [httpListener("in", { kind: "inline", table })], [], "2"));
  const blocked = assembler.assemble();
  assert.ok(!ready(blocked).listeners.has("in"));
  assert.deepEqual(messages(blocked), ["listener in waits for cluster stock, which is not known"]);
});

test("so do TCP proxies, by every cluster that they name", () => {
  const named = (...names: string[]): TcpProxy["cluster"] =>
    names.length === 1
      ? { kind: "name", name: names[0] ?? "" }
      : { kind: "weighted", clusters: names.map((name) => ({ name, weight: 1 })) };
  for (const names of [["stock"], ["orders", "stock"]]) {
    const assembler = serving();
    assembler.apply(update("listener", [tcpListener("in", named(...names))], [], "2"));
    assert.deepEqual(messages(assembler.assemble()), ["listener in waits for cluster stock, which is not known"]);
    assembler.apply(update("cluster", [staticCluster("stock")], [], "2"));
    assert.ok(ready(assembler.assemble()).listeners.has("in"));
  }
});

test("where no cluster can come, nobody waits for one", () => {
  const proxy = tcpListener("in", { kind: "name", name: "nowhere" });
  const base: Snapshot = { ...EMPTY_SNAPSHOT, listeners: new Map([["in", proxy]]) };
  const assembly = new Assembler({ ...DYNAMIC, base, clusters: null, listeners: null }).assemble();
  assert.deepEqual(messages(assembly), []);
  assert.ok(ready(assembly).listeners.has("in"));
});

test("static resources win over dynamic ones of the same name", () => {
  const a = staticCluster("a", endpointSet("a", 1));
  const base: Snapshot = { ...EMPTY_SNAPSHOT, clusters: new Map([["a", a]]) };
  const assembler = new Assembler({ ...DYNAMIC, base });
  assembler.apply(update("cluster", [staticCluster("a", endpointSet("a", 2))]));
  assembler.apply(update("listener", []));
  assert.equal(ready(assembler.assemble()).clusters.get("a"), a);
});

test("secrets of the workload itself are neither fetched nor waited for", () => {
  const assembler = new Assembler({ ...DYNAMIC, localSecrets: new Set(["default"]) });
  assembler.apply(update("cluster", []));
  assembler.apply(update("listener", [rdsListener("web", "r", downstreamTls({ kind: "sds", name: "default" }))]));
  assembler.assemble();
  assembler.apply(update("route", [routeTable("r")]));
  const assembly = assembler.assemble();
  assert.ok(ready(assembly).listeners.has("web"));
  assert.equal(assembly.wanted.secret.size, 0);
});

test("the revision is the control plane's version, or each kind's where they differ", () => {
  const assembler = serving();
  assert.equal(ready(assembler.assemble()).revision, "1");
  assembler.apply(update("endpoint", [endpointSet("orders", 2)], [], "2"));
  assert.equal(ready(assembler.assemble()).revision, "CDS=1,EDS=2,LDS=1,RDS=1");
});
