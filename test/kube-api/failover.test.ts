/** The leader dies while objects change: each of them is told what became of it, and of its newest version, all the same. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { objectAt, objectsAt, textAt } from "../../control-plane/kubernetes/objects/fields.ts";
import { CONTROLLER_NAME } from "../../control-plane/kubernetes/status/next-status.ts";
import { requireHelm } from "../support/helm.ts";
import { installGatewayCrds, installOwnCrds, sharedKubeApi } from "../support/kube-api.ts";
import { installRights, NAMESPACE } from "../support/kube-chart.ts";
import { outrigger, startControlPlane } from "../support/kube-control-plane.ts";
import { serviceObject } from "../support/kube-objects.ts";
import { eventually } from "../support/running-workers.ts";

const kube = sharedKubeApi();
const GATEWAY = "gateway.networking.k8s.io/v1";
const ROUTES = 40;

function route(index: number, generation: number) {
  // Each with a path of its own, and a new one for each generation.
  const matches = [{ path: { type: "Exact", value: `/${index}/${generation}` } }];
  return {
    apiVersion: GATEWAY,
    kind: "HTTPRoute",
    metadata: { namespace: "failover", name: `r${index}` },
    spec: {
      parentRefs: [{ group: "", kind: "Service", name: "orders", port: 80 }],
      rules: [{ matches, backendRefs: [{ name: "orders", port: 80 }] }],
    },
  };
}

test("nothing is lost where the leader is killed", { timeout: 240_000 }, async (t) => {
  const server = kube(t);
  const helm = server && requireHelm(t);
  if (server === null || helm === null) return;
  const { admin } = server;
  await Promise.all([installOwnCrds(admin), installGatewayCrds(admin)]);
  const { token } = await installRights(server, helm);
  const start = (podName: string) => startControlPlane(t, server, { helm, token, podName });
  const [a, b] = await Promise.all([start("control-plane-a"), start("control-plane-b")]);
  const lease = `/apis/coordination.k8s.io/v1/namespaces/${NAMESPACE}/leases/outrigger-leader`;
  const holder = async (): Promise<string> => {
    const answer = await admin.call("GET", lease).catch(() => ({}));
    return textAt(objectAt(answer, "spec"), "holderIdentity");
  };
  await eventually(async () => (await holder()) !== "");
  const dead = await holder();
  const [leader, other] = dead.startsWith("control-plane-a") ? [a, b] : [b, a];

  await admin.namespace("failover");
  await admin.create(serviceObject("failover", "orders"));
  const path = `/apis/${GATEWAY}/namespaces/failover/httproutes`;
  for (let index = 0; index < ROUTES; index++) {
    await admin.create(route(index, 1));
    // In the midst of its writing.
    if (index === ROUTES / 2) await leader.end("SIGKILL");
  }
  for (let index = 0; index < ROUTES; index += 3) {
    await admin.merge(
      { apiVersion: GATEWAY, kind: "HTTPRoute", namespace: "failover", name: `r${index}` },
      {
        spec: route(index, 2).spec,
      },
    );
  }

  const untold = async (): Promise<readonly string[]> => {
    const routes = objectsAt(await admin.call("GET", path), "items");
    assert.equal(routes.length, ROUTES);
    return routes.flatMap(({ metadata, status }) => {
      const { name, generation } = objectAt({ metadata }, "metadata");
      const own = objectsAt(objectAt({ status }, "status"), "parents").filter(
        ({ controllerName }) => controllerName === CONTROLLER_NAME,
      );
      const told = own.flatMap((parent) => objectsAt(parent, "conditions"));
      const good =
        told.length === 3 && told.every((c) => c["status"] === "True" && c["observedGeneration"] === generation);
      return good ? [] : [`${name}@${generation}: ${JSON.stringify(told)}`];
    });
  };
  // A Lease of 15 seconds has to run out first.
  for (let second = 0; second < 120 && (await untold()).length > 0; second++) await wait(1000);
  assert.deepEqual(await untold(), [], other.output());
  assert.notEqual(await holder(), dead);

  // Whoever is left knows the newest generation of each; there is no sidecar to wait for.
  const status = `127.0.0.1:${other.statusPort}`;
  const waited = outrigger(t, [
    "wait",
    "httproute/r3",
    "-n",
    "failover",
    "--generation",
    "2",
    "--control-plane",
    status,
  ]);
  await eventually(async () => waited.child.exitCode !== null);
  assert.equal(waited.child.exitCode, 0, waited.output());
  assert.match(waited.output(), /HTTPRoute failover\/r3 \(generation 2\) is in force/);
});
