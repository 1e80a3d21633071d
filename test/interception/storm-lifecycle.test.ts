/**
 * No request is lost while sidecars start and drain. Where nobody listens yet, or any more, a connection is refused, as a
 * Linux server that isn't there would: its caller tries once more when the sidecar is there.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import type { Daemon } from "./daemon.ts";
import { intercept, Mesh, type Workload } from "./mesh.ts";
import { type Host, Network } from "./network.ts";
import { requirePrograms, serviceAddress, serviceManifest } from "./pair.ts";
import { startApp } from "./servers.ts";
import { assertAllAnswered, storm, tally } from "./storm.ts";

/** A thousand handshakes may take a machine that has other work longer than a connection may, as a rule. */
const POLICIES = `
apiVersion: outrigger.dev/v1alpha1
kind: ResiliencePolicy
metadata: { name: patient }
spec:
  targetRefs: [{ kind: Service, name: web }, { kind: Service, name: bytes }]
  timeouts: { connect: 30s }
---
apiVersion: outrigger.dev/v1alpha1
kind: MeshPolicy
metadata: { name: mesh }
spec: { mtls: { mode: PERMISSIVE } }
`;

test("storms while sidecars come and go", async (t) => {
  if (!requirePrograms(t)) return;
  const network = new Network(t);
  const [client, first, second] = ["client", "first", "second"].map((name) => network.host(name)) as [Host, Host, Host];
  for (const host of [first, second]) await startApp(host, "name:8080:server", "name:8081:server");
  // The same is spoken at both, and at one of them nobody looks into it.
  const services = [
    serviceManifest("web", { port: 8080, protocol: "http" }, 0),
    serviceManifest("bytes", { port: 8081, protocol: "tcp" }, 1),
  ].join("---");
  const mesh = await Mesh.start(network, { services, policies: POLICIES });
  // Far more than the longest request takes, on a machine that has nothing else to do.
  const patient = { sidecar: ["--drain-time-s", "15"] };
  const member = (host: Host, name: string): Workload => ({
    ...patient,
    ...{ host, service: name, port: 8080, labels: ["app=server"] },
  });
  const caller: Workload = { ...patient, host: client, service: "client", port: 1 };
  const url = (index: number): string => `http://${serviceAddress(index)[4]}:${8080 + index}`;
  await Promise.all([intercept(client), intercept(first), intercept(second)]);

  await t.test("a server's sidecar starts, and callers are strangers", async (t) => {
    const stranger = network.host("stranger");
    const report = await storm(stranger, `http://${first.addresses.mesh[4]}:8080`, async () => {
      // The control plane knows a moment before the sidecar listens.
      await (await mesh.sidecar(member(first, "first"))).untilListening(15_006);
      await mesh.untilServing([member(first, "first")]);
    });
    assert.deepEqual(tally(report.lost), {});
    assert.ok(report.answeredLater > 0, "at first there was nobody");
    assert.ok(report.answered > 0, "and then there was");
    t.diagnostic(`${report.answeredLater} were refused, and answered when they tried again`);
  });

  let callers: Daemon | null = null;
  await t.test("the callers' sidecar starts", async (t) => {
    const report = await storm(client, url(0), async () => {
      callers = await mesh.sidecar(caller);
      await callers.untilListening(15_001);
      await mesh.untilServing([caller]);
    });
    assert.deepEqual(tally(report.lost), {});
    assert.ok(report.answeredLater > 0, "at first there was nobody");
    assert.ok(report.answered > 0, "and then there was");
    t.diagnostic(`${report.answeredLater} were refused, and answered when they tried again`);
  });

  for (const [index, what] of ["HTTP", "opaque bytes"].entries()) {
    await t.test(`a second server's sidecar comes and goes: ${what}`, async (t) => {
      const report = await storm(client, url(index), async () => {
        const sidecar = await mesh.sidecar(member(second, "second"));
        await mesh.untilServing([member(second, "second")]);
        await wait(500);
        await sidecar.end();
      });
      assertAllAnswered(report);
      t.diagnostic(`the slowest took ${report.slowestMs} ms longer than the server`);
    });
  }

  await t.test("the callers' sidecar drains, and another takes its place", async (t) => {
    const report = await storm(client, url(1), async () => {
      await callers?.end();
      // Its place in the mesh is that of the one before.
      await (await mesh.sidecar(caller)).untilListening(15_001);
      await mesh.untilServing([caller]);
    });
    assert.deepEqual(tally(report.lost), {});
    t.diagnostic(`${report.answeredLater} were refused, and answered when they tried again`);
  });
});
