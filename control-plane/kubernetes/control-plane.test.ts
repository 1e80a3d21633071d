/** A control plane that follows a cluster, up to what its sidecars are told. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, test } from "node:test";
import { systemClock } from "../../core/clock.ts";
import { seededRandom } from "../../core/random.ts";
import type { EndpointSet } from "../../model/endpoint.ts";
import type { Listener } from "../../model/listener.ts";
import { type ControlPlane, startControlPlane } from "../control-plane.ts";
import { SILENT } from "../testing/test-mesh.ts";
import { TestSidecar } from "../testing/test-sidecar.ts";
import { until } from "../testing/until.ts";
import { intercepted } from "../testing/workloads.ts";
import { KubernetesSource } from "./source.ts";
import { FakeApi } from "./testing/fake-api.ts";
import { pod, service, slice } from "./testing/objects.ts";

const cleanups: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function start(api: FakeApi): Promise<ControlPlane> {
  const stateDir = mkdtempSync(path.join(os.tmpdir(), "outrigger-cluster-"));
  cleanups.push(() => rmSync(stateDir, { recursive: true, force: true }));
  const source = new KubernetesSource({ api, clock: systemClock, random: seededRandom(1), log: SILENT });
  const ports = { xdsPort: 0, xdsTlsPort: 0, statusPort: 0 };
  const plane = await startControlPlane({ configDir: null, source, stateDir, log: SILENT, ...ports });
  cleanups.push(() => plane.close());
  return plane;
}

function sidecarOf(plane: ControlPlane, address: string): TestSidecar {
  const workload = intercepted("orders", 1, { namespace: "shop", serviceAccount: "orders-sa", address });
  const sidecar = new TestSidecar({ variant: "delta", workload });
  sidecar.connect(plane.addresses.xds);
  cleanups.push(() => sidecar.disconnect());
  return sidecar;
}

const OUTBOUND = "outbound|80||orders.shop";

function hosts(sidecar: TestSidecar): readonly string[] {
  const set = sidecar.held("endpoint").get(OUTBOUND) as EndpointSet | undefined;
  return set?.localities.flatMap(({ endpoints }) => endpoints.map(({ address }) => JSON.stringify(address))) ?? [];
}

/** The application's ports for which the sidecar has a filter chain. */
function inboundPorts(sidecar: TestSidecar): readonly number[] {
  const listener = sidecar.held("listener").get("virtualInbound") as Listener | undefined;
  const ports = (listener?.filterChains ?? []).map(({ match }) => match.destinationPort);
  return [...new Set(ports.filter((port) => port !== null))];
}

test("a sidecar is told of the cluster's endpoints and takes calls at the port that its pod gives the name", async () => {
  const api = new FakeApi();
  api.put("Service", service("orders"));
  api.put("EndpointSlice", slice("orders-x", "orders", [{ pod: "orders-1", address: "10.1.0.1" }]));
  const plane = await start(api);
  const sidecar = sidecarOf(plane, "10.1.0.1");
  await until("configuration", () => sidecar.held("endpoint").has(OUTBOUND));
  assert.deepEqual([hosts(sidecar), inboundPorts(sidecar)], [[], []]);
  // It registered before its pod was seen with its address.
  api.put("Pod", pod("orders-1", "10.1.0.1", true));
  await until("its pod to be known", () => hosts(sidecar).length === 1 && inboundPorts(sidecar).includes(8080));
  assert.match(hosts(sidecar)[0] ?? "", /10\.1\.0\.1/);
  // Whether it is ready is the cluster's word, not its stream's.
  api.put("EndpointSlice", slice("orders-x", "orders", [{ pod: "orders-1", address: "10.1.0.1", ready: false }]));
  await until("it to be left out", () => hosts(sidecar).length === 0);
  assert.deepEqual(
    plane.status().services.map(({ name, source }) => [name, source]),
    [["orders", "kubernetes"]],
  );
  assert.ok(plane.status().source.some(({ kind, phase }) => kind === "Pod" && phase === "watching"));
});
