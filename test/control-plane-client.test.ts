/** Outrigger's own control plane and control client together, in both variants of the protocol. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, describe, test } from "node:test";
import { credentials } from "@grpc/grpc-js";
import { type ControlClient, startControlClient } from "../control-client/client.ts";
import { controlPlaneTarget } from "../control-client/connect.ts";
import { sidecarBootstrap } from "../control-client/sidecar.ts";
import { type ControlPlane, type ControlPlaneOptions, startControlPlane } from "../control-plane/control-plane.ts";
import type { Workload } from "../control-plane/mesh/workload.ts";
import { SILENT } from "../control-plane/testing/test-mesh.ts";
import { until } from "../control-plane/testing/until.ts";
import { metadataOf, serviceYaml, workload } from "../control-plane/testing/workloads.ts";
import { systemClock } from "../core/clock.ts";
import { systemRandom } from "../core/random.ts";
import { WORKLOAD_CERT, WORKLOAD_ROOTS } from "../model/tls.ts";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function directory(): string {
  const made = mkdtempSync(path.join(os.tmpdir(), "outrigger-mesh-"));
  cleanups.push(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

async function plane(options: Partial<ControlPlaneOptions> = {}): Promise<ControlPlane> {
  const stateDir = options.stateDir ?? path.join(directory(), "state");
  mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  const ports = { xdsPort: 0, xdsTlsPort: 0, statusPort: 0 };
  const started = await startControlPlane({ configDir: null, log: SILENT, ...ports, ...options, stateDir });
  cleanups.push(() => started.close());
  return started;
}

function sidecar(address: string, variant: "delta" | "state_of_the_world", given: Workload): ControlClient {
  const locality = { region: "", zone: "", subZone: "" };
  const bootstrap = sidecarBootstrap({ id: given.id, cluster: given.service, locality, metadata: metadataOf(given) });
  assert.ok(bootstrap.dynamic?.ads);
  const client = startControlClient({
    clock: systemClock,
    random: systemRandom,
    log: SILENT,
    version: "test",
    bootstrap: { ...bootstrap, dynamic: { ...bootstrap.dynamic, ads: { ...bootstrap.dynamic.ads, variant } } },
    decode: { readFile: () => assert.fail("no file is named"), environment: {} },
    adsTargets: [controlPlaneTarget(address, () => credentials.createInsecure())],
    localSecrets: new Set([WORKLOAD_CERT, WORKLOAD_ROOTS]),
  });
  cleanups.push(() => client.close());
  return client;
}

function endpointsOf(client: ControlClient, name: string): number {
  const localities = client.snapshots.get()?.endpoints.get(name)?.localities ?? [];
  return localities.reduce((sum, { endpoints }) => sum + endpoints.length, 0);
}

for (const variant of ["delta", "state_of_the_world"] as const) {
  describe(variant, () => {
    test("a sidecar has the whole mesh, follows its manifests, and refuses nothing", async () => {
      const configDir = directory();
      const write = (text: string): void => writeFileSync(path.join(configDir, "mesh.yaml"), text);
      write(serviceYaml("orders"));
      const control = await plane({ configDir });
      const shop = sidecar(control.addresses.xds, variant, workload("shop"));
      const listeners = (): readonly string[] => [...(shop.snapshots.get()?.listeners.keys() ?? [])].sort();
      const usual = ["http_proxy", "inbound|8080||", "outbound|8080||shop.default", "outbound|80||orders.default"];
      await until("the first snapshot", () => listeners().length === 4);
      assert.deepEqual(listeners(), usual);
      write(serviceYaml("orders") + serviceYaml("stock"));
      await until("a new service", () => listeners().includes("outbound|80||stock.default"));
      write(serviceYaml("orders"));
      await until("a service that went", () => listeners().length === 4);
      await until("in force", () => control.status().workloads[0]?.stream?.upToDate === true);
      const resources = control.status().workloads[0]?.stream?.resources ?? [];
      assert.deepEqual(
        resources.flatMap(({ nack }) => nack ?? []),
        [],
      );
    });

    test("endpoints outlive a restart of the control plane", async () => {
      const stateDir = path.join(directory(), "state");
      mkdirSync(stateDir, { mode: 0o700 });
      const first = await plane({ stateDir });
      const port = Number(first.addresses.xds.split(":")[1]);
      const shop = sidecar(first.addresses.xds, variant, workload("shop"));
      const stock = sidecar(first.addresses.xds, variant, workload("stock"));
      const name = "outbound|8080||stock.default";
      await until("the endpoint", () => endpointsOf(shop, name) === 1);
      const seen: number[] = [];
      shop.snapshots.subscribe(() => seen.push(endpointsOf(shop, name)));
      await first.close();
      await stock.close();
      const second = await plane({ stateDir, xdsPort: port, leaseMs: 60_000 });
      await until("shop is back", () => second.status().workloads.some(({ stream }) => stream?.upToDate === true));
      assert.ok(
        seen.every((count) => count === 1),
        String(seen),
      );
    });
  });
}
