import assert from "node:assert/strict";
import { test } from "node:test";
import type { AppliedReport, AppliedWorkload } from "../../control-plane/applied/report.ts";
import { ApiError, type Json } from "../../control-plane/kubernetes/api.ts";
import { SimulatedClock } from "../../core/clock.ts";
import { UserError } from "../../core/errors.ts";
import { type ControlPlaneDoor, type ControlPlanes, controlPlanesIn } from "./control-planes.ts";
import { parseObjectName } from "./object-name.ts";
import { waitApplied } from "./wait-applied.ts";

const object = { kind: "HTTPRoute", namespace: "shop", name: "orders" } as const;

function report(state: AppliedReport["state"], parts: Partial<AppliedReport> = {}): AppliedReport {
  const sidecars = { connected: 3, concerned: 2, applied: state === "applied" ? 2 : 1 };
  const of = { object: "HTTPRoute/shop/orders", generation: 4, revision: "abc", message: "", workloads: [] };
  return { ...of, state, sidecars, ...parts };
}

function waiting(node: string, state: AppliedWorkload["state"], message = ""): AppliedWorkload {
  return { node, namespace: "shop", service: "cart", state, message };
}

type Say = (query: URLSearchParams, now: number) => AppliedReport | Error;

/** What comes of asking control planes that say this. */
function ask(
  says: Readonly<Record<string, Say>>,
  parts: { readonly generation?: number; readonly timeoutMs?: number } = {},
) {
  const clock = new SimulatedClock();
  const queries: string[] = [];
  const doors = Object.entries(says).map(
    ([name, say]): ControlPlaneDoor => ({
      name,
      async ask(query) {
        queries.push(query.toString());
        const said = say(query, clock.now());
        if (said instanceof Error) throw said;
        return said;
      },
    }),
  );
  const controlPlanes: ControlPlanes = { find: async () => doors, generation: async () => 4 };
  let outcome: string | UserError | null = null;
  const { generation = null, timeoutMs = 10_000 } = parts;
  void waitApplied({ object, generation, revision: null, timeoutMs, controlPlanes, clock }).then(
    (said) => {
      outcome = said;
    },
    (error: UserError) => {
      outcome = error;
    },
  );
  return { clock, queries, outcome: (): string | UserError | null => outcome };
}

test("it is over when all control planes say so, of the generation that the cluster has", async () => {
  let ready = false;
  const { clock, queries, outcome } = ask({
    one: () => report("applied"),
    two: () => (ready ? report("applied") : report("pending", { workloads: [waiting("cart-1", "pending")] })),
  });
  await clock.run(3000, 100);
  assert.equal(outcome(), null);
  ready = true;
  await clock.run(600, 100);
  assert.equal(outcome(), "HTTPRoute shop/orders (generation 4) is in force at all 4 sidecars that it concerns, of 6");
  assert.equal(queries[0], "object=HTTPRoute%2Fshop%2Forders&generation=4&wait=2");
});

test("at the end of the time it says who has not, and where nobody could be asked", async () => {
  const workloads = [
    waiting("cart-1", "pending"),
    waiting("cart-2", "applied"),
    waiting("cart-3", "refused", "no such field"),
  ];
  const { clock, outcome } = ask({
    one: () => report("applied"),
    two: () => report("refused", { message: "1 sidecar has refused it", workloads }),
    three: () => new Error("fetch failed", { cause: new Error("connect ECONNREFUSED 127.0.0.1:1") }),
  });
  await clock.run(9900, 100);
  assert.equal(outcome(), null);
  await clock.run(600, 100);
  const error = outcome();
  assert.ok(error instanceof UserError);
  assert.equal(error.exitCode, 1);
  assert.deepEqual(error.message.split("\n  "), [
    "HTTPRoute shop/orders is not in force everywhere",
    "at control plane two: 1 sidecar has refused it",
    "cart-1 (shop/cart): pending",
    "cart-3 (shop/cart): refused: no such field",
    "control plane three cannot be asked: connect ECONNREFUSED 127.0.0.1:1",
  ]);
});

test("what the control planes refuse is given a while to mend, and not waited for to the end", async () => {
  const refused = (): AppliedReport => report("refused", { message: "spec.rules: nonsense" });
  const { clock, outcome } = ask({ one: refused }, { timeoutMs: 60_000 });
  await clock.run(4900, 100);
  assert.equal(outcome(), null);
  await clock.run(1200, 100);
  const error = outcome();
  assert.ok(error instanceof UserError);
  assert.match(error.message, /spec.rules: nonsense/);
  const mended = ask({ one: (_, now) => (now < 3000 ? refused() : report("applied")) }, { timeoutMs: 60_000 });
  await mended.clock.run(4000, 100);
  assert.match(String(mended.outcome()), /is in force/);
});

test("an object that concerns nobody is in force, and it is said that it does", async () => {
  const { clock, outcome } = ask({
    one: () => report("applied", { sidecars: { connected: 3, concerned: 0, applied: 0 } }),
  });
  await clock.run(100, 100);
  assert.match(String(outcome()), /is in force \(it concerns none of the 3 sidecars that are connected\)$/);
});

test("nobody there is no success", async () => {
  const { clock, outcome } = ask({}, { timeoutMs: 1000 });
  await clock.run(2000, 100);
  assert.match((outcome() as UserError).message, /no control plane runs there/);
});

test("an answer that does not come is given up", async () => {
  const clock = new SimulatedClock();
  const hung: ControlPlaneDoor = {
    name: "hung",
    ask: (_, signal) =>
      new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
  };
  const controlPlanes: ControlPlanes = { find: async () => [hung], generation: async () => null };
  let error: unknown;
  const options = { object, generation: null, revision: null, timeoutMs: 1000, controlPlanes, clock };
  void waitApplied(options).catch((failure: unknown) => {
    error = failure;
  });
  await clock.run(8000, 100);
  assert.match((error as UserError).message, /hung cannot be asked: no answer within \d+ ms/);
});

test("the control planes of a cluster are its pods that run, asked through the API server", async () => {
  const calls: string[] = [];
  const pod = (name: string, phase: string, parts = {}): Json => ({
    metadata: { name, ...parts },
    spec: {
      containers: [
        {
          ports: [
            { name: "grpc-xds", containerPort: 1 },
            { name: "http-status", containerPort: 7 },
          ],
        },
      ],
    },
    status: { phase },
  });
  const items = [
    pod("a", "Running"),
    pod("b", "Pending"),
    pod("c", "Running", { deletionTimestamp: "2026-01-01T00:00:00Z" }),
  ];
  const planes = controlPlanesIn(
    {
      async call({ path }) {
        calls.push(path);
        if (path.includes("labelSelector")) return { items };
        if (path.includes("/proxy/")) return report("applied") as unknown as Json;
        if (path.startsWith("/apis/gateway.networking.k8s.io/v1beta1/")) return { metadata: { generation: 9 } };
        throw new ApiError(404, "NotFound", "not found");
      },
    },
    "mesh",
  );
  const { signal } = new AbortController();
  const doors = await planes.find(signal);
  assert.deepEqual(
    doors.map(({ name }) => name),
    ["mesh/a"],
  );
  assert.equal((await doors[0]?.ask(new URLSearchParams({ object: "x" }), signal))?.state, "applied");
  assert.equal(calls.at(-1), "/api/v1/namespaces/mesh/pods/a:7/proxy/applied?object=x");
  assert.equal(await planes.generation(object, signal), 9);
  await assert.rejects(planes.generation({ ...object, kind: "TCPRoute" }, signal), /has no TCPRoute shop\/orders/);
});

test("kinds are written as kubectl takes them", () => {
  for (const kind of ["HTTPRoute", "httproute", "httproutes"]) {
    assert.deepEqual(parseObjectName(`${kind}/orders`, "shop"), object);
  }
  assert.equal(parseObjectName("Service/a", "default").kind, "Service");
  assert.equal(parseObjectName("respol/a", "default").kind, "ResiliencePolicy");
  for (const wrong of ["orders", "HTTPRoute/", "HTTPRoute/a/b", "Gateway/x", "EndpointSlice/x"]) {
    assert.throws(() => parseObjectName(wrong, "shop"), UserError, wrong);
  }
});
