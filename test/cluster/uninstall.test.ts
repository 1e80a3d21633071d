/** Taken out again, Outrigger leaves a cluster as it was, but for what docs/kubernetes.md says stays, and how that goes. */
import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { application } from "./harness/application.ts";
import { apply, deleteNamespace, list, namespace, rolledOut, whyNoCluster } from "./harness/cluster.ts";
import { kubectl } from "./harness/commands.ts";
import { eventually } from "./harness/eventually.ts";
import { install, SYSTEM, uninstall } from "./harness/installation.ts";

/** Every kind that the cluster has, of any group, that can be listed. */
async function kinds(namespaced: boolean): Promise<readonly string[]> {
  const output = await kubectl(["api-resources", `--namespaced=${namespaced}`, "--verbs=list", "--output=name"]);
  return output.split("\n").filter((kind) => kind !== "" && !/^(events|componentstatuses)/.test(kind));
}

/** Objects anywhere in the cluster whose name tells that they are Outrigger's. */
async function remains(): Promise<readonly string[]> {
  const names: string[] = [];
  for (const namespaced of [true, false]) {
    const scope = namespaced ? ["--all-namespaces"] : [];
    const all = (await kinds(namespaced)).join(",");
    const output = await kubectl(["get", all, ...scope, "--ignore-not-found", "--output=name"]);
    names.push(...output.split("\n").filter((name) => /outrigger/.test(name)));
  }
  return [...new Set(names)].sort();
}

describe("an uninstallation", { skip: whyNoCluster() ?? false }, () => {
  before(() => install());

  test("leaves nothing but what is said to stay, and that goes by the commands that are written down", async (t) => {
    const ns = await namespace(t, "uninstall");
    await apply(...application({ namespace: ns, name: "app" }));
    await rolledOut(ns, "app");
    await kubectl(["label", "namespace", ns, "outrigger.dev/inject-"]);
    await kubectl(["--namespace", ns, "rollout", "restart", "deployment/app"]);
    await rolledOut(ns, "app");
    await uninstall();
    await eventually("the control plane's pods are gone", async () => (await list(SYSTEM, "pods")).length === 0);
    const stays = (await remains()).filter((name) => !name.startsWith("namespace/"));
    assert.deepEqual(stays, [
      // The API server's own entry for the group of the definitions below: it comes and goes with them.
      "apiservice.apiregistration.k8s.io/v1alpha1.outrigger.dev",
      "configmap/outrigger-ca-roots",
      "customresourcedefinition.apiextensions.k8s.io/accesspolicies.outrigger.dev",
      "customresourcedefinition.apiextensions.k8s.io/meshpolicies.outrigger.dev",
      "customresourcedefinition.apiextensions.k8s.io/resiliencepolicies.outrigger.dev",
      "lease.coordination.k8s.io/outrigger-leader",
      "secret/outrigger-ca",
    ]);
    await kubectl(["--namespace", SYSTEM, "delete", "secret", "outrigger-ca"]);
    await kubectl(["--namespace", SYSTEM, "delete", "lease", "outrigger-leader"]);
    const named = ["--field-selector", "metadata.name=outrigger-ca-roots"];
    await kubectl(["delete", "configmap", "--all-namespaces", ...named]);
    const crds = ["resiliencepolicies", "accesspolicies", "meshpolicies"].map((kind) => `${kind}.outrigger.dev`);
    await kubectl(["delete", "crd", ...crds, "--timeout=60s"]);
    await eventually("nothing to be left", async () => {
      const left = (await remains()).filter((name) => !name.startsWith("namespace/"));
      assert.deepEqual(left, []);
      return true;
    });
    await deleteNamespace(SYSTEM);
    // A pod that is made now knows nothing of it.
    await kubectl(["--namespace", ns, "rollout", "restart", "deployment/app"]);
    await rolledOut(ns, "app");
  });
});
