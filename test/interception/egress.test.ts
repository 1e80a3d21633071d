/** Calls that leave the mesh: let through, or refused with a reason where only the registry counts. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { accessLog, linesOf } from "./access-log.ts";
import { sidecarPage } from "./mesh.ts";
import type { Host } from "./network.ts";
import { makePair, requirePrograms, serviceAddress } from "./pair.ts";
import { startApp } from "./servers.ts";

function policy(egress: string): string {
  return `
apiVersion: outrigger.dev/v1alpha1
kind: MeshPolicy
metadata: { name: mesh }
spec:
  egress: { mode: ${egress} }
  telemetry: { accessLog: { mode: On } }
`;
}

/** curl's exit codes for a connection that ends without an answer, in plaintext and in a handshake of TLS. */
const CUT = [35, 52, 56];

function get(
  from: Host,
  host: string,
  port = 8080,
  scheme = "http",
): Promise<{ readonly code: number | null; readonly stdout: string }> {
  return from.call(["curl", "-sSk", "--max-time", "10", `${scheme}://${host}:${port}/a`]);
}

test("calls that leave the mesh", async (t) => {
  if (!requirePrograms(t)) return;
  const pair = makePair(t);
  const { network, client, server } = pair;
  const outside = network.host("outside");
  await Promise.all([startApp(server, "name:8080:server"), startApp(outside, "name:8080:outside", "smtp:2525")]);
  const mesh = await pair.join({ web: { port: 8080 } }, { policy: policy("AllowAny") });
  const sidecar = pair.sidecars()[0];
  assert.ok(sidecar);
  const to = outside.addresses.outside;

  await t.test("are let through where that is allowed", async () => {
    assert.equal((await get(client, to[4])).stdout, "outside /a \n");
    assert.equal((await get(client, `[${to[6]}]`)).stdout, "outside /a \n");
    const line = await accessLog(sidecar, ({ upstream_host: host }) => host === `${to[4]}:8080`);
    assert.deepEqual([line["upstream_cluster"], line["response_flags"]], ["PassthroughCluster", "-"]);
  });

  await t.test("where nobody listens, that is what the caller and the log are told", async () => {
    assert.ok(CUT.includes((await get(client, to[4], 1234)).code ?? 0));
    const line = await accessLog(sidecar, ({ downstream_local_address: local }) => local === `${to[4]}:1234`);
    assert.match(`${line["response_flags"]}`, /UF/);
    assert.match(`${line["upstream_transport_failure_reason"]}`, /refused/i);
  });

  await t.test("are refused where only the registry counts, and the log and the metrics say so", async () => {
    await mesh.apply("policy", policy("RegistryOnly"));
    const from = linesOf(sidecar.output).length;
    for (const host of [to[4], `[${to[6]}]`]) assert.ok(CUT.includes((await get(client, host)).code ?? 0));
    assert.ok(CUT.includes((await get(client, to[4], 8443, "https")).code ?? 0));
    const { code, stderr } = await client.call(["curl", "-sSv", "--max-time", "10", `smtp://${to[4]}:2525`]);
    assert.ok(code !== 0 && code !== 28 && !stderr.includes("220 "), stderr);
    for (const local of [`${to[4]}:8080`, `[${to[6]}]:8080`, `${to[4]}:8443`, `${to[4]}:2525`]) {
      const line = await accessLog(sidecar, (each) => each["downstream_local_address"] === local, from);
      assert.equal(line["upstream_cluster"], "BlackHoleCluster", local);
      assert.notEqual(line["response_flags"], "-", local);
    }
    const metrics = await sidecarPage(client, "15020/metrics");
    assert.match(metrics, /^\S*tcp\S*\{[^}]*BlackHoleCluster[^}]*\} [1-9]/m);
    assert.equal((await get(client, serviceAddress(0)[4])).stdout, "server /a \n", "the mesh itself is reached");
    assert.equal((await get(client, server.addresses.mesh[4])).stdout, "server /a \n");
  });

  await t.test("are let through again", async () => {
    await mesh.apply("policy", policy("AllowAny"));
    assert.equal((await get(client, to[4])).stdout, "outside /a \n");
  });
});
