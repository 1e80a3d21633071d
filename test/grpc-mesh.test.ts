/**
 * gRPC through a whole mesh: the control plane on a directory of manifests, a sidecar beside each workload,
 * `@grpc/grpc-js` on both ends.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { after, before, describe, test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import grpc from "@grpc/grpc-js";
import { ECHO, EchoClient, startEcho } from "./support/grpc-echo.ts";
import { LiveMesh } from "./support/live-mesh.ts";
import { until } from "./support/wire.ts";

const SERVICES = `
apiVersion: v1
kind: Service
metadata: { name: prices }
spec: { selector: { app: prices }, ports: [{ name: grpc, port: 9000 }] }
---
apiVersion: v1
kind: Service
metadata: { name: prices-v1 }
spec: { selector: { app: prices, version: v1 }, ports: [{ name: grpc, port: 9000 }] }
---
apiVersion: v1
kind: Service
metadata: { name: prices-v2 }
spec: { selector: { app: prices, version: v2 }, ports: [{ name: grpc, port: 9000 }] }
---
apiVersion: v1
kind: Service
metadata: { name: nobody }
spec: { selector: { app: nobody }, ports: [{ name: grpc, port: 9000 }] }
`;

/** What no rule matches, `test.Echo/Nothing` among it, has no route. */
const route = (v1: number, v2: number): string => `
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: { name: prices }
spec:
  parentRefs: [{ kind: Service, name: prices }]
  rules:
    - name: split
      matches: [{ method: { service: test.Echo, method: Unary } }]
      backendRefs:
        - { name: prices-v1, port: 9000, weight: ${v1} }
        - { name: prices-v2, port: 9000, weight: ${v2} }
    - name: testers
      matches: [{ method: { service: test.Echo, method: Unary }, headers: [{ name: x-tester, value: "yes" }] }]
      backendRefs: [{ name: prices-v2, port: 9000 }]
    - name: collect
      matches: [{ method: { service: test.Echo, method: Collect } }]
      backendRefs: [{ name: prices-v1, port: 9000 }]
    - name: streams
      matches:
        - method: { service: test.Echo, method: Spread }
        - method: { service: test.Echo, method: Chat }
      backendRefs: [{ name: prices, port: 9000 }]
`;

const BACKOFF_MS = 80;
/** For each rule its own: the streams' has no limits, so that none of another's may reach it. */
const POLICIES = `
apiVersion: outrigger.dev/v1alpha1
kind: ResiliencePolicy
metadata: { name: unary }
spec:
  targetRefs: [{ kind: GRPCRoute, name: prices, sectionName: split }]
  retry: { on: [unavailable], attempts: 3, backoff: { base: ${BACKOFF_MS}ms, max: ${BACKOFF_MS}ms } }
---
apiVersion: outrigger.dev/v1alpha1
kind: ResiliencePolicy
metadata: { name: streams }
spec:
  targetRefs: [{ kind: GRPCRoute, name: prices, sectionName: streams }]
  retry: { on: [unavailable, connect-failure], attempts: 3, backoff: { base: ${BACKOFF_MS}ms, max: ${BACKOFF_MS}ms } }
---
apiVersion: outrigger.dev/v1alpha1
kind: ResiliencePolicy
metadata: { name: collect }
spec:
  targetRefs: [{ kind: GRPCRoute, name: prices, sectionName: collect }]
  timeouts: { request: 400ms, idle: 400ms }
---
apiVersion: outrigger.dev/v1alpha1
kind: ResiliencePolicy
metadata: { name: prices }
spec:
  targetRefs: [{ kind: Service, name: prices }, { kind: Service, name: prices-v1 }, { kind: Service, name: prices-v2 }]
  circuitBreaker: { minimumCalls: 100000 }
  outlierDetection: { consecutiveErrors: 1000 }
`;

const ACCESS = `
apiVersion: outrigger.dev/v1alpha1
kind: AccessPolicy
metadata: { name: prices }
spec:
  targetRefs: [{ kind: Service, name: prices }]
  rules: [{ from: [{ serviceAccounts: [caller] }] }]
`;

/** Longer than any limit that the policies set. */
const SILENT_MS = 1500;

interface Instance {
  readonly name: string;
  readonly version: string;
  readonly port: number;
  readonly server: grpc.Server;
  /** Streams that are open here. */
  readonly streams: Set<unknown>;
}

interface Attempt {
  readonly instance: string;
  /** What was left of the caller's deadline when it arrived, ms; Infinity: it told none. */
  readonly left: number;
}

/** By the number of the call. */
const attempts = new Map<string, Attempt[]>();

async function startInstance(name: string, version: string): Promise<Instance> {
  const streams = new Set<unknown>();
  const stay = (call: grpc.ServerWritableStream<Buffer, Buffer> | grpc.ServerDuplexStream<Buffer, Buffer>): void => {
    streams.add(call);
    call.on("cancelled", () => streams.delete(call));
    call.write(Buffer.from(name));
  };
  const { port, server } = await startEcho({
    unary(call, callback) {
      const [id = ""] = call.metadata.get("x-call").map(String);
      const deadline = call.getDeadline();
      const left = typeof deadline === "number" ? deadline - Date.now() : deadline.getTime() - Date.now();
      const before = attempts.get(id) ?? [];
      attempts.set(id, [...before, { instance: name, left }]);
      const failures = Number(call.metadata.get("x-failures")[0] ?? 0);
      if (before.length < failures) callback({ code: grpc.status.UNAVAILABLE, details: "not now" });
      else callback(null, Buffer.from(name));
    },
    collect(call, callback) {
      call.on("data", () => undefined);
      call.on("end", () => callback(null, Buffer.from(name)));
    },
    spread(call) {
      stay(call);
      if (call.request.toString() === "break") call.emit("error", { code: grpc.status.UNAVAILABLE, details: "broken" });
    },
    chat(call) {
      stay(call);
      call.on("data", (part: Buffer) => call.write(part));
      call.on("end", () => call.end());
    },
  });
  return { name, version, port, server, streams };
}

let instances: readonly Instance[] = [];
let mesh: LiveMesh;
const clients: EchoClient[] = [];
let prices: EchoClient;
let calls = 0;

async function clientOf(workload: string, service: string): Promise<EchoClient> {
  const at = await mesh.addressFor(workload, service);
  const client = new EchoClient(at, grpc.credentials.createInsecure());
  clients.push(client);
  return client;
}

interface Outcome {
  /** "OK" or another status. */
  readonly status: string;
  readonly message: string;
  /** Name of the instance that answered. */
  readonly by: string;
  readonly attempts: readonly Attempt[];
}

function unary(
  client: EchoClient,
  fields: Readonly<Record<string, string>> = {},
  { path = ECHO.unary.path, deadlineMs = 10_000 } = {},
): Promise<Outcome> {
  const { requestSerialize, responseDeserialize } = ECHO.unary;
  const id = String(++calls);
  const metadata = new grpc.Metadata();
  for (const [name, value] of Object.entries({ ...fields, "x-call": id })) metadata.set(name, value);
  return new Promise((resolve) => {
    client.makeUnaryRequest(
      path,
      requestSerialize,
      responseDeserialize,
      Buffer.from("?"),
      metadata,
      { deadline: Date.now() + deadlineMs },
      (error, value) =>
        resolve({
          status: grpc.status[error?.code ?? grpc.status.OK] ?? "",
          message: error?.details ?? "",
          by: String(value ?? ""),
          attempts: attempts.get(id) ?? [],
        }),
    );
  });
}

/** Sends one part, and the end after `pauseMs`. */
async function collect(client: EchoClient, pauseMs = 0): Promise<Pick<Outcome, "status" | "by">> {
  const { path, requestSerialize, responseDeserialize } = ECHO.collect;
  const { promise, resolve } = Promise.withResolvers<Pick<Outcome, "status" | "by">>();
  const call = client.makeClientStreamRequest(path, requestSerialize, responseDeserialize, (error, value) =>
    resolve({ status: grpc.status[error?.code ?? grpc.status.OK] ?? "", by: String(value ?? "") }),
  );
  call.write(Buffer.from("part"));
  if (pauseMs > 0) await wait(pauseMs);
  call.end();
  return promise;
}

const spread = (client: EchoClient, asked = "stay"): grpc.ClientReadableStream<Buffer> =>
  client.makeServerStreamRequest(
    ECHO.spread.path,
    ECHO.spread.requestSerialize,
    ECHO.spread.responseDeserialize,
    Buffer.from(asked),
  );

function count<T>(values: readonly T[]): ReadonlyMap<T, number> {
  const counts = new Map<T, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return counts;
}

async function many<T>(times: number, work: () => Promise<T>): Promise<readonly T[]> {
  const results: T[] = [];
  const worker = async (): Promise<void> => {
    while (times-- > 0) results.push(await work());
  };
  await Promise.all(Array.from({ length: 8 }, worker));
  return results;
}

before(async () => {
  instances = await Promise.all([
    startInstance("prices-1", "v1"),
    startInstance("prices-2", "v1"),
    startInstance("prices-3", "v2"),
  ]);
  mesh = await LiveMesh.start({ services: SERVICES, route: route(80, 20), policies: POLICIES, access: ACCESS }, [
    { name: "caller", service: "caller", port: 9 },
    { name: "stranger", service: "stranger", port: 9 },
    ...instances.map(({ name, version, port }) => ({ name, service: "prices", port, labels: [`version=${version}`] })),
  ]);
  prices = await clientOf("caller", "prices");
});

after(async () => {
  for (const client of clients) client.close();
  await mesh?.stop();
  for (const { server } of instances) server.forceShutdown();
});

describe("gRPC in a mesh", () => {
  test("weights of a GRPCRoute hold for the calls of one connection", async () => {
    const outcomes = await many(400, () => unary(prices));
    assert.deepEqual([...count(outcomes.map(({ status }) => status))], [["OK", 400]]);
    const v2 = outcomes.filter(({ by }) => by === "prices-3").length;
    // Five standard deviations of 400 draws at a fifth.
    assert.ok(Math.abs(v2 - 80) <= 40, `${v2} of 400`);
  });

  test("a rule that names a header takes the calls that have it", async () => {
    const outcomes = await many(20, () => unary(prices, { "x-tester": "yes" }));
    assert.deepEqual([...count(outcomes.map(({ by }) => by))], [["prices-3", 20]]);
  });

  test("a rule that names a method takes its calls, each balanced by itself", async () => {
    const answers = await many(60, () => collect(prices));
    const by = count(answers.map((answer) => answer.by));
    assert.deepEqual([...by.keys()].sort(), ["prices-1", "prices-2"]);
    for (const times of by.values()) assert.ok(times >= 15, JSON.stringify([...by]));
  });

  test("a method that no rule names is not implemented", async () => {
    const { status } = await unary(prices, {}, { path: "/test.Echo/Nothing" });
    assert.equal(status, "UNIMPLEMENTED");
  });

  test("a service without instances is unavailable, and the caller is told why", async () => {
    const { status, message } = await unary(await clientOf("caller", "nobody"));
    assert.equal(status, "UNAVAILABLE");
    assert.match(message, /nobody/);
  });

  test("UNAVAILABLE is tried again, and each attempt is told what is left of the deadline", async () => {
    const outcome = await unary(prices, { "x-failures": "2" }, { deadlineMs: 5000 });
    assert.equal(outcome.status, "OK");
    const [first, second, third, ...rest] = outcome.attempts;
    assert.ok(first && second && third && rest.length === 0, JSON.stringify(outcome));
    assert.ok(first.left <= 5000 && first.left > 3000, JSON.stringify(outcome));
    for (const [earlier, later] of [
      [first, second],
      [second, third],
    ] as const)
      assert.ok(later.left < earlier.left, JSON.stringify(outcome));
  });

  test("attempts are limited, and the last status is the caller's", async () => {
    const outcome = await unary(prices, { "x-failures": "9" });
    assert.deepEqual([outcome.status, outcome.message, outcome.attempts.length], ["UNAVAILABLE", "not now", 3]);
  });

  test("a call that has had a message is not tried again", async () => {
    const stream = spread(prices, "break");
    stream.on("error", () => undefined);
    const status = new Promise<grpc.StatusObject>((resolve) => stream.once("status", resolve));
    let messages = 0;
    stream.on("data", () => messages++);
    const { code, details } = await status;
    assert.deepEqual([grpc.status[code], details, messages], ["UNAVAILABLE", "broken", 1]);
  });

  test("a stream that is silent for long is not cut, however short its neighbours' limits", async () => {
    const call = prices.makeBidiStreamRequest(
      ECHO.chat.path,
      ECHO.chat.requestSerialize,
      ECHO.chat.responseDeserialize,
    );
    await once(call, "data");
    const cut = await collect(prices, SILENT_MS);
    assert.notEqual(cut.status, "OK");
    const back = once(call, "data");
    call.write(Buffer.from("still there"));
    assert.equal(String((await back)[0]), "still there");
    const status = once(call, "status");
    call.end();
    assert.equal(((await status)[0] as grpc.StatusObject).code, grpc.status.OK);
  });

  test("weights that are edited hold for connections that are there", async () => {
    await mesh.apply("route", route(0, 100));
    const outcomes = await many(40, () => unary(prices));
    assert.deepEqual([...count(outcomes.map(({ by }) => by))], [["prices-3", 40]]);
    await mesh.apply("route", route(80, 20));
  });

  test("who may not call is denied by the identity of its certificate", async () => {
    const { status, attempts } = await unary(await clientOf("stranger", "prices"));
    assert.deepEqual([status, attempts.length], ["PERMISSION_DENIED", 0]);
  });

  test("calls are counted by method and status", async () => {
    const text = await mesh.metrics("caller");
    const line = (method: string, status: string): RegExp =>
      new RegExp(
        `^outrigger_grpc_calls_total\\{direction="outbound",source="caller.default",destination="prices[^"]*",service="test.Echo",method="${method}",status="${status}"\\} [1-9]`,
        "m",
      );
    for (const [method, status] of [
      ["Unary", "OK"],
      ["Unary", "UNAVAILABLE"],
      ["Collect", "OK"],
      ["Chat", "OK"],
    ] as const)
      assert.match(text, line(method, status));
  });

  test("no call is lost while an instance leaves in good order", async () => {
    let over = false;
    const leaving = wait(200)
      .then(() => mesh.end("prices-1", "SIGTERM"))
      .finally(() => {
        over = true;
      });
    const outcomes: Outcome[] = [];
    const worker = async (): Promise<void> => {
      while (!over) outcomes.push(await unary(prices));
    };
    await Promise.all([leaving, ...Array.from({ length: 8 }, worker)]);
    assert.deepEqual([...count(outcomes.map(({ status }) => status)).keys()], ["OK"]);
    assert.ok(outcomes.some(({ by }) => by === "prices-1"));
    const afterwards = await many(20, () => unary(prices));
    assert.ok(afterwards.every(({ by, status }) => status === "OK" && by !== "prices-1"));
  });

  test("an endpoint that goes away in the middle of a stream ends it with a status, and the next call is elsewhere", async () => {
    const stream = spread(prices);
    stream.on("error", () => undefined);
    const status = new Promise<grpc.StatusObject>((resolve) => stream.once("status", resolve));
    const by = String((await once(stream, "data"))[0]);
    await mesh.end(by, "SIGKILL");
    const { code, details } = await status;
    assert.equal(grpc.status[code], "UNAVAILABLE", details);
    assert.match(details, /prices\.default failed on its way out: the upstream closed the connection/);
    const outcomes = await many(40, async () => {
      const next = spread(prices);
      next.on("error", () => undefined);
      const [name] = await once(next, "data");
      next.cancel();
      return String(name);
    });
    assert.ok(!outcomes.includes(by));
    await until(() => instances.every(({ name, streams }) => name === by || streams.size === 0));
  });

  test("a program that ends while its caller is still sending ends the call with a status, and what was sent arrives", async () => {
    const call = prices.makeBidiStreamRequest(
      ECHO.chat.path,
      ECHO.chat.requestSerialize,
      ECHO.chat.responseDeserialize,
    );
    call.on("error", () => undefined);
    const status = new Promise<grpc.StatusObject>((resolve) => call.once("status", resolve));
    const by = String((await once(call, "data"))[0]);
    const back = once(call, "data");
    call.write(Buffer.from("part"));
    assert.equal(String((await back)[0]), "part");
    instances.find(({ name }) => name === by)?.server.forceShutdown();
    const { code, details } = await status;
    assert.equal(grpc.status[code], "UNAVAILABLE", details);
  });
});
