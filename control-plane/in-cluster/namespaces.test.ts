import assert from "node:assert/strict";
import { test } from "node:test";
import { SimulatedClock } from "../../core/clock.ts";
import { seededRandom } from "../../core/random.ts";
import { FakeCluster } from "../kubernetes/testing/fake-cluster.ts";
import { SILENT } from "../testing/silent.ts";
import { followNamespaces } from "./namespaces.ts";

const labelled = (value: string, annotations = {}) => ({
  metadata: { labels: { "outrigger.dev/inject": value }, annotations, managedFields: [{ manager: "x" }] },
  status: { phase: "Active" },
});

test("who asks is known, with all that the injector reads; of others the API server is to be asked", async () => {
  const [cluster, clock] = [new FakeCluster(), new SimulatedClock()];
  cluster.put("/api/v1/namespaces/shop", labelled("enabled", { "sidecar.outrigger.dev/logLevel": "info" }));
  cluster.put("/api/v1/namespaces/bare", labelled("disabled"));
  const told: string[] = [];
  const namespaces = followNamespaces({
    api: cluster,
    clock,
    random: seededRandom(1),
    log: SILENT,
    onAsking: (names) => told.push([...names].sort().join(" ")),
  });
  assert.equal(namespaces.asking("shop"), null, "nothing has been read yet");
  await clock.run(20);
  assert.deepEqual(namespaces.asking("shop"), {
    metadata: {
      name: "shop",
      labels: { "outrigger.dev/inject": "enabled" },
      annotations: { "sidecar.outrigger.dev/logLevel": "info" },
    },
  });
  assert.equal(namespaces.asking("bare"), null);
  // Its label may be new: the API server, which has chosen the webhook by it, knows.
  cluster.put("/api/v1/namespaces/bare", labelled("true"));
  cluster.delete("/api/v1/namespaces/shop");
  await clock.run(20);
  assert.equal(namespaces.asking("shop"), null);
  assert.ok(namespaces.asking("bare"));
  assert.deepEqual(told, ["shop", "bare shop", "bare"]);
  await namespaces.close();
});
