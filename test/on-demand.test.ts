/** Outrigger's own control plane and control client together where sidecars ask for what they are not told of. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, test } from "node:test";
import { credentials } from "@grpc/grpc-js";
import { type ControlClient, startControlClient } from "../control-client/client.ts";
import { controlPlaneTarget } from "../control-client/connect.ts";
import { noObserver } from "../control-client/observer.ts";
import { sidecarBootstrap } from "../control-client/sidecar.ts";
import { type ControlPlane, startControlPlane } from "../control-plane/control-plane.ts";
import { SILENT } from "../control-plane/testing/test-mesh.ts";
import { until } from "../control-plane/testing/until.ts";
import { intercepted, metadataOf, serviceYaml } from "../control-plane/testing/workloads.ts";
import { systemClock } from "../core/clock.ts";
import { systemRandom } from "../core/random.ts";
import { WORKLOAD_CERT, WORKLOAD_ROOTS } from "../model/tls.ts";

const SERVICES = 500;
const POLICY = `---
apiVersion: outrigger.dev/v1alpha1
kind: MeshPolicy
metadata: { name: mesh }
spec: { reach: { mode: OnDemand } }
`;
const OTHERS = Array.from(
  { length: SERVICES },
  (_, i) => `---
apiVersion: v1
kind: Service
metadata: { name: other-${i}, namespace: others }
spec: { clusterIP: 10.97.${i >> 8}.${i & 255}, ports: [{ name: http, port: 80 }] }
`,
).join("");
const THREE = "outbound|80||other-3.others";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function directory(): string {
  const made = mkdtempSync(path.join(os.tmpdir(), "outrigger-on-demand-"));
  cleanups.push(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

async function plane(configDir: string, stateDir: string, xdsPort = 0): Promise<ControlPlane> {
  mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  const ports = { xdsPort, xdsTlsPort: 0, statusPort: 0 };
  const started = await startControlPlane({ configDir, stateDir, log: SILENT, ...ports });
  cleanups.push(() => started.close());
  return started;
}

interface Sidecar {
  readonly client: ControlClient;
  received(): number;
  listeners(): readonly string[];
  absent(): readonly string[];
}

function sidecar(address: string, index: number, asks: boolean): Sidecar {
  const given = intercepted("shop", index, asks ? { onDemand: true } : {});
  const locality = { region: "", zone: "", subZone: "" };
  let received = 0;
  const client = startControlClient({
    clock: systemClock,
    random: systemRandom,
    log: SILENT,
    version: "test",
    bootstrap: sidecarBootstrap({ id: given.id, cluster: given.service, locality, metadata: metadataOf(given) }),
    decode: { readFile: () => assert.fail("no file is named"), environment: {} },
    adsTargets: [controlPlaneTarget(address, () => credentials.createInsecure())],
    localSecrets: new Set([WORKLOAD_CERT, WORKLOAD_ROOTS]),
    observer: { ...noObserver, bytes: (way, count) => void (received += way === "received" ? count : 0) },
  });
  cleanups.push(() => client.close());
  return {
    client,
    received: () => received,
    listeners: () =>
      [...(client.snapshots.get()?.listeners.keys() ?? [])].filter((name) => name.includes(".others")).sort(),
    absent: () => [...(client.absent.get() ?? [])],
  };
}

test("what is told follows what is asked for, through restarts of both", { timeout: 60_000 }, async () => {
  const [configDir, stateDir] = [directory(), path.join(directory(), "state")];
  const write = (text: string): void => writeFileSync(path.join(configDir, "mesh.yaml"), text);
  write(POLICY + serviceYaml("stock") + OTHERS);
  const first = await plane(configDir, stateDir);
  const { xds } = first.addresses;

  const one = sidecar(xds, 1, true);
  const all = sidecar(xds, 2, false);
  await until(
    "the first snapshots",
    () => one.client.snapshots.get() !== undefined && all.listeners().length === SERVICES,
  );
  assert.deepEqual(one.listeners(), []);
  assert.ok(one.received() * 20 < all.received(), `${one.received()} bytes against ${all.received()}`);

  const before = one.received();
  one.client.ask("on-demand|10.97.0.3:80");
  one.client.ask("on-demand|10.96.9.9:80");
  await until("the service that was asked for", () => one.listeners().length === 1);
  await until("the answer about the other", () => one.absent().length === 1);
  assert.deepEqual(one.listeners(), [THREE]);
  assert.deepEqual(one.absent(), ["on-demand|10.96.9.9:80"]);
  assert.ok(one.received() - before < 20_000, `${one.received() - before} bytes for one service`);

  // Another replica, and this one when it starts again, have it from the beginning.
  const replica = sidecar(xds, 3, true);
  await until("the replica's snapshot", () => replica.client.snapshots.get() !== undefined);
  assert.deepEqual(replica.listeners(), [THREE]);
  await one.client.close();
  const again = sidecar(xds, 1, true);
  await until("a snapshot after the restart", () => again.client.snapshots.get() !== undefined);
  assert.deepEqual(again.listeners(), [THREE]);

  // A control plane that starts again knows nothing of it but from the sidecars that have asked.
  again.client.ask("on-demand|10.97.0.4:80");
  await until("a second service", () => again.listeners().length === 2);
  again.client.ask("on-demand|10.96.9.9:80");
  await until("the answer", () => again.absent().length === 1);
  await first.close();
  write(`${POLICY + serviceYaml("stock") + OTHERS}---
apiVersion: v1
kind: Service
metadata: { name: late, namespace: others }
spec: { clusterIP: 10.96.9.9, ports: [{ name: http, port: 80 }] }
`);
  await plane(configDir, stateDir, Number(xds.split(":")[1]));
  const late = "outbound|80||late.others";
  await until("what there is now", () => again.listeners().includes(late));
  assert.deepEqual(again.absent(), []);
  // What was told at the start is held, and so it is used.
  assert.deepEqual(again.listeners(), [late, THREE, "outbound|80||other-4.others"]);
});
