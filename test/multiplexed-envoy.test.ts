/** A sidecar that would carry calls as streams beside the real Envoy, which knows nothing of it: both ways as ever. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { type TestContext, test } from "node:test";
import { envoyBinary } from "../scripts/envoy-binary.ts";
import { address } from "../xds/testing/bootstrap-json.ts";
import { reservePorts } from "./envoy/harness/ports.ts";
import { startProxy as startProcess, untilReady } from "./envoy/harness/proxy.ts";
import { bootstrapOf, type ProxyConfig, startProxy } from "./support/running-proxy.ts";
import { skip } from "./support/tools.ts";
import { firstHop, secondHop } from "./support/two-hops.ts";
import { connectTo, ok, Upstream } from "./support/wire.ts";

const POST = "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab";

/** Envoy on a configuration; returns its port, null if there is none on this machine. */
async function envoy(t: TestContext, config: ProxyConfig): Promise<number | null> {
  const binary = envoyBinary();
  if (binary === null) return null;
  const [port = 0] = await reservePorts(1);
  const folder = mkdtempSync(path.join(tmpdir(), "outrigger-envoy-peer-"));
  const file = path.join(folder, "bootstrap.json");
  const listener = { ...config.listener, address: address("127.0.0.1", port) };
  writeFileSync(file, JSON.stringify(bootstrapOf({ ...config, listener })));
  const running = startProcess("envoy", binary, file);
  t.after(async () => {
    await running.stop();
    rmSync(folder, { recursive: true, force: true });
  });
  await untilReady("envoy", running, [port]);
  return port;
}

/** Twelve callers at once, five calls each. */
async function ask(port: number): Promise<void> {
  await Promise.all(
    Array.from({ length: 12 }, async () => {
      const wire = await connectTo(port);
      for (let i = 0; i < 5; i++) {
        wire.write(POST);
        const { start, body } = await wire.message();
        assert.deepEqual([start, body], ["HTTP/1.1 200 OK", "fine"]);
      }
      wire.destroy();
    }),
  );
}

test("Envoy behind it: asked once, then HTTP/1.1", async (t) => {
  const application = await Upstream.serving(t, () => ok("fine"));
  const second = await envoy(t, secondHop({ upstreams: [application.port] }, ["h2", "http/1.1"]));
  if (second === null) return void skip(t, "there is no Envoy on this machine");
  const first = await startProxy(t, firstHop([second]));
  await ask(first.port);
  const { stats } = first.cluster();
  assert.equal(stats.multiplexed.connections_total, 0);
  assert.ok(stats.upstream_cx_total <= 13, `${stats.upstream_cx_total} connections`);
  assert.equal(application.requests.length, 60);
});

test("Envoy before it: what it offers is taken", async (t) => {
  const application = await Upstream.serving(t, () => ok("fine"));
  const second = await startProxy(t, secondHop({ upstreams: [application.port] }));
  const first = await envoy(t, firstHop([second.port]));
  if (first === null) return void skip(t, "there is no Envoy on this machine");
  await ask(first);
  for (const stats of second.process.dataPlane.httpStats.values()) assert.equal(stats.multiplexed.connections_total, 0);
  assert.equal(application.requests.length, 60);
});
