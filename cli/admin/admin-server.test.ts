import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { request as httpRequest } from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { type TestContext, test } from "node:test";
import { UserError } from "../../core/errors.ts";
import { logger, logLevels, setLogLevel } from "../../core/log.ts";
import { type Address, formatAddress } from "../../model/address.ts";
import { isLoopback, startAdminServer } from "./admin-server.ts";
import { startHealthServer, startMetricsServer } from "./metrics-server.ts";
import { CLUSTER, ENDPOINT, FakeSource, HTTP2, NOW } from "./testing/fake-source.ts";

const EPHEMERAL: Address = { kind: "tcp", host: "127.0.0.1", port: 0 };

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

async function ask(
  address: Address,
  target: string,
  method = "GET",
  headers: Record<string, string> = {},
): Promise<Answer> {
  const where = address.kind === "pipe" ? { socketPath: address.path } : { host: address.host, port: address.port };
  const request = httpRequest({ ...where, path: target, method, headers, agent: false }).end();
  const [response] = await once(request, "response");
  let body = "";
  for await (const chunk of response.setEncoding("utf8")) body += chunk;
  return { status: response.statusCode, type: response.headers["content-type"], body };
}

async function admin(t: TestContext) {
  const source = new FakeSource();
  const server = await startAdminServer({ address: EPHEMERAL, allowRemote: false, source, now: () => NOW });
  t.after(() => server.close());
  const get = (target: string) => ask(server.address, target);
  const post = (target: string, headers: Record<string, string> = {}) => ask(server.address, target, "POST", headers);
  return { source, server, get, post };
}

test("/ready tells the state, with 503 while it is not LIVE", async (t) => {
  const { source, get } = await admin(t);
  assert.deepEqual(await get("/ready"), { status: 200, type: "text/plain; charset=UTF-8", body: "LIVE\n" });
  source.serverState = "PRE_INITIALIZING";
  source.waiting = "waiting for a certificate";
  const answer = await get("/ready");
  assert.equal(answer.status, 503);
  assert.equal(answer.body, "PRE_INITIALIZING\nwaiting for a certificate\n");
});

test("/clusters prints Envoy's lines, and why an endpoint is out", async (t) => {
  const { source, get } = await admin(t);
  const out = "ejected for 30 s: 5 consecutive 5xx";
  source.clusterViews = [
    {
      ...CLUSTER,
      breaker: { state: "open" },
      endpoints: [ENDPOINT, { ...ENDPOINT, address: "[::1]:9", health: "ejected", out }],
    },
  ];
  const { body } = await get("/clusters");
  // Recorded from Envoy 1.40 for the same cluster, less what Outrigger has not.
  const recorded = [
    "up::observability_name::up",
    "up::default_priority::max_connections::1024",
    "up::default_priority::max_pending_requests::1024",
    "up::default_priority::max_requests::1024",
    "up::default_priority::max_retries::3",
    "up::high_priority::max_connections::1024",
    "up::high_priority::max_pending_requests::1024",
    "up::high_priority::max_requests::1024",
    "up::high_priority::max_retries::3",
    "up::127.0.0.1:9::cx_active::0",
    "up::127.0.0.1:9::cx_connect_fail::0",
    "up::127.0.0.1:9::cx_total::0",
    "up::127.0.0.1:9::rq_active::0",
    "up::127.0.0.1:9::rq_error::0",
    "up::127.0.0.1:9::rq_success::0",
    "up::127.0.0.1:9::rq_timeout::0",
    "up::127.0.0.1:9::rq_total::0",
    "up::127.0.0.1:9::hostname::",
    "up::127.0.0.1:9::health_flags::healthy",
    "up::127.0.0.1:9::weight::1",
    "up::127.0.0.1:9::region::",
    "up::127.0.0.1:9::zone::",
    "up::127.0.0.1:9::sub_zone::",
    "up::127.0.0.1:9::priority::0",
  ];
  const lines = body.split("\n");
  assert.deepEqual(
    lines.filter((line) => recorded.includes(line)),
    recorded,
  );
  assert.ok(lines.includes("up::breaker::open"));
  assert.ok(lines.includes("up::[::1]:9::health_flags::/failed_outlier_check"));
  assert.ok(lines.includes(`up::[::1]:9::out_because::${out}`));
  assert.ok(!lines.some((line) => line.startsWith("up::127.0.0.1:9::out_because")));
});

test("/clusters says what the open connections speak, and how many streams share them", async (t) => {
  const { source, get } = await admin(t);
  const http2 = { ...HTTP2, connections_active: 2, streams_active: 40 };
  source.clusterViews = [{ ...CLUSTER, stats: { upstream_cx_active: 5, http2, multiplexed: HTTP2 } }];
  const { body } = await get("/clusters");
  assert.deepEqual(
    body.split("\n").filter((line) => /_connections::|_streams::/.test(line) && !line.includes("priority")),
    ["up::http1_connections::3", "up::http2_connections::2", "up::http2_streams::40"],
  );
});

test("/clusters gives Envoy's JSON and filters by name", async (t) => {
  const { source, get } = await admin(t);
  source.clusterViews = [CLUSTER, { ...CLUSTER, name: "down" }];
  const { body } = await get("/clusters?format=json&filter=^u");
  const { cluster_statuses: statuses } = JSON.parse(body) as {
    cluster_statuses: { host_statuses: Record<string, unknown>[] }[];
  };
  assert.equal(statuses.length, 1);
  const host = statuses[0]?.host_statuses[0];
  assert.deepEqual(host?.["address"], { socket_address: { address: "127.0.0.1", port_value: 9 } });
  assert.deepEqual(host?.["health_status"], { eds_health_status: "HEALTHY" });
  const bad = await get("/clusters?filter=(");
  assert.equal(bad.status, 400);
  assert.match(bad.body, /Invalid re2 regex/);
});

test("/listeners, /certs and /server_info have Envoy's shapes", async (t) => {
  const { get } = await admin(t);
  assert.equal((await get("/listeners")).body, "lis::127.0.0.1:39611\n");
  assert.deepEqual(JSON.parse((await get("/listeners?format=json")).body), {
    listener_statuses: [
      { name: "lis", local_address: { socket_address: { address: "127.0.0.1", port_value: 39611 } } },
    ],
  });
  const { certificates } = JSON.parse((await get("/certs")).body) as { certificates: { cert_chain: unknown[] }[] };
  assert.deepEqual(certificates[0]?.cert_chain[0], {
    path: "default",
    serial_number: "07",
    subject_alt_names: [{ dns: "localhost" }, { uri: "spiffe://t/ns/a/sa/srv" }],
    days_until_expiration: "29",
    valid_from: "2026-11-21T10:35:14Z",
    expiration_time: "2026-12-21T10:35:13Z",
  });
  const info = JSON.parse((await get("/server_info")).body) as Record<string, unknown>;
  assert.equal(info["state"], "LIVE");
  assert.equal(info["uptime_current_epoch"], "12s");
  assert.equal(info["revision"], "r7");
});

test("/stats gives Envoy's names as text, JSON and Prometheus", async (t) => {
  const { get } = await admin(t);
  assert.equal(
    (await get("/stats")).body,
    "cluster.up.upstream_cx_total: 0\ncluster.up.upstream_rq_total: 7\nserver.live: 1\n",
  );
  assert.equal((await get("/stats?usedonly&filter=cluster")).body, "cluster.up.upstream_rq_total: 7\n");
  assert.deepEqual(JSON.parse((await get("/stats?format=json&filter=live")).body), {
    stats: [{ name: "server.live", value: 1 }],
  });
  for (const target of ["/stats/prometheus", "/stats?format=prometheus"]) {
    assert.deepEqual(await get(target), {
      status: 200,
      type: "text/plain; version=0.0.4; charset=utf-8",
      body: "# HELP a b\na 1\n",
    });
  }
});

test("other work gets its turn between the pieces of a long answer", async (t) => {
  const { source, get } = await admin(t);
  let turns = 0;
  const seen: number[] = [];
  let stop = false;
  const tick = (): void => {
    turns++;
    if (!stop) setImmediate(tick);
  };
  source.metricPieces = (function* () {
    tick();
    for (let i = 0; i < 5; i++) {
      seen.push(turns);
      yield `piece ${i}\n`;
    }
    stop = true;
  })();
  assert.equal((await get("/stats/prometheus")).body.split("\n").length, 6);
  assert.ok(
    seen.every((turn, i) => i === 0 || turn > (seen[i - 1] ?? 0)),
    seen.join(),
  );
});

test("/logging shows and changes levels, all of a request or nothing", async (t) => {
  logger("admin-test-a");
  logger("admin-test-b");
  t.after(() => setLogLevel("info"));
  const { post } = await admin(t);
  assert.match((await post("/logging")).body, /^active loggers:\n(?: {2}.*\n)* {2}admin-test-a: info\n/);
  assert.equal((await post("/logging?admin-test-a=debug")).status, 200);
  assert.equal(logLevels()["admin-test-a"], "debug");
  assert.equal((await post("/logging?paths=admin-test-a:error,admin-test-b:nope")).status, 400);
  assert.equal(logLevels()["admin-test-a"], "debug");
  assert.match((await post("/logging?nobody=info")).body, /^error: unknown logger name/);
  assert.equal((await post("/logging?paths=admin-test-a:error,admin-test-b:trace")).status, 200);
  assert.equal(logLevels()["admin-test-b"], "trace");
  assert.equal((await post("/logging?level=warning")).status, 200);
  assert.equal(logLevels()["admin-test-a"], "warning");
});

test("what changes something must come by POST, in Envoy's words", async (t) => {
  const { source, get, post } = await admin(t);
  for (const target of ["/drain", "/drain_listeners", "/quitquitquit", "/logging", "/healthcheck/fail"]) {
    const answer = await get(target);
    assert.equal(answer.status, 405);
    assert.equal(answer.body, "Method GET not allowed, POST required.");
  }
  assert.deepEqual(source.calls, []);
  for (const target of ["/drain", "/drain_listeners", "/healthcheck/fail", "/healthcheck/ok", "/quitquitquit"]) {
    assert.equal((await post(target)).body, "OK\n");
  }
  assert.deepEqual(source.calls, ["drain", "drain", "failHealthcheck true", "failHealthcheck false", "quit"]);
});

test("a page of a web site can neither read nor change anything", async (t) => {
  const { source, server, post } = await admin(t);
  const rebound = await ask(server.address, "/config_dump", "GET", { host: "evil.example:15000" });
  assert.equal(rebound.status, 403);
  assert.equal((await post("/quitquitquit", { host: "evil.example" })).status, 403);
  assert.equal((await post("/quitquitquit", { origin: "https://evil.example" })).status, 403);
  assert.equal((await post("/quitquitquit", { origin: "null" })).status, 403);
  assert.equal((await post("/quitquitquit", { "sec-fetch-site": "cross-site" })).status, 403);
  assert.deepEqual(source.calls, []);
  const host = formatAddress(server.address);
  assert.equal((await post("/drain", { origin: `http://${host}` })).status, 200);
  assert.equal((await post("/drain", { host: "localhost:15000" })).status, 200);
  assert.equal((await post("/drain", { host: "[::1]:15000" })).status, 200);
});

test("/help lists every page, and an unknown one gets the list", async (t) => {
  const { get } = await admin(t);
  const { body } = await get("/help");
  for (const page of [
    "/certs",
    "/clusters",
    "/config_dump",
    "/drain (POST)",
    "/listeners",
    "/ready",
    "/stats/prometheus",
  ]) {
    assert.ok(body.includes(`\n  ${page}: `), page);
  }
  const unknown = await get("/nope");
  assert.equal(unknown.status, 404);
  assert.equal(unknown.body, `invalid path. ${body}`);
  assert.match((await get("/")).body, /<a href="\/clusters">/);
});

test("/config_dump passes its parameters on", async (t) => {
  const { get } = await admin(t);
  const { body } = await get("/config_dump?resource=dynamic_listeners&name_regex=a.*&include_eds");
  assert.deepEqual(JSON.parse(body), {
    configs: [{ resource: "dynamic_listeners", nameRegex: "a.*", includeEndpoints: true }],
  });
});

test("an error of a page is told and the server goes on", async (t) => {
  const { source, get } = await admin(t);
  source.listeners = () => {
    throw new Error("broken");
  };
  assert.deepEqual(await get("/listeners"), {
    status: 500,
    type: "text/plain; charset=UTF-8",
    body: "error: broken\n",
  });
  assert.equal((await get("/ready")).status, 200);
});

test("only loopback is bound, unless the bootstrap says otherwise", async () => {
  const everywhere: Address = { kind: "tcp", host: "0.0.0.0", port: 0 };
  const options = { address: everywhere, source: new FakeSource(), now: () => NOW };
  await assert.rejects(startAdminServer({ ...options, allowRemote: false }), /0\.0\.0\.0:0 is not a loopback address/);
  const server = await startAdminServer({ ...options, allowRemote: true });
  const port = server.address.kind === "tcp" ? server.address.port : 0;
  const local: Address = { kind: "tcp", host: "127.0.0.1", port };
  assert.equal((await ask(local, "/ready", "GET", { host: "sidecar.example" })).status, 200);
  assert.equal((await ask(local, "/drain", "POST", { host: "sidecar.example" })).status, 403);
  await server.close();
  assert.deepEqual(
    ["127.0.0.1", "127.8.8.8", "::1", "localhost", "10.0.0.1", "::", "127.example"].map((host) =>
      isLoopback({ kind: "tcp", host, port: 1 }),
    ),
    [true, true, true, true, false, false, false],
  );
});

test("a port in use is one clear error", async (t) => {
  const { source, server } = await admin(t);
  await assert.rejects(
    startAdminServer({ address: server.address, allowRemote: false, source, now: () => NOW }),
    (error) => error instanceof UserError && /^admin: cannot listen on .*: the port is in use$/.test(error.message),
  );
});

test("a pipe works as an address", async (t) => {
  const directory = mkdtempSync(path.join(tmpdir(), "outrigger-admin-"));
  t.after(() => rmSync(directory, { recursive: true }));
  const address: Address = { kind: "pipe", path: path.join(directory, "admin.sock") };
  const server = await startAdminServer({ address, allowRemote: false, source: new FakeSource(), now: () => NOW });
  assert.equal((await ask(address, "/drain", "POST")).status, 200);
  await server.close();
});

test("the metrics and health ports serve their pages and nothing else", async (t) => {
  const source = new FakeSource();
  const metrics = await startMetricsServer(EPHEMERAL, source);
  const health = await startHealthServer(EPHEMERAL, source);
  t.after(() => Promise.all([metrics.close(), health.close()]));
  for (const target of ["/metrics", "/stats/prometheus"]) {
    assert.equal((await ask(metrics.address, target, "GET", { host: "sidecar.example" })).body, "# HELP a b\na 1\n");
  }
  assert.equal((await ask(metrics.address, "/healthz/ready")).status, 200);
  assert.equal((await ask(metrics.address, "/quitquitquit", "POST")).status, 404);
  assert.equal((await ask(health.address, "/healthz/ready")).body, "LIVE\n");
  assert.equal((await ask(health.address, "/metrics")).status, 404);
  source.serverState = "DRAINING";
  assert.equal((await ask(health.address, "/healthz/ready")).status, 503);
});
