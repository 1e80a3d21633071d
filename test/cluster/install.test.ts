/** What `helm install` leaves in a cluster: control planes that serve, with no more rights than they need. */
import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import type { Pod } from "./harness/application.ts";
import { exec, get, type KubeObject, list, whyNoCluster } from "./harness/cluster.ts";
import { kubectl } from "./harness/commands.ts";
import { eventually } from "./harness/eventually.ts";
import {
  CONTROL_PLANE,
  CONTROL_PLANE_PODS,
  install,
  mayControlPlane,
  restarts,
  SYSTEM,
} from "./harness/installation.ts";

async function podsOfControlPlane(): Promise<readonly Pod[]> {
  const all = await list<Pod>(SYSTEM, "pods", CONTROL_PLANE_PODS);
  return all.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
}

interface Webhook extends KubeObject {
  readonly webhooks: readonly { readonly clientConfig: { readonly caBundle?: string } }[];
}

describe("an installation", { skip: whyNoCluster() ?? false }, () => {
  before(() => install());

  test("serves, without a restart", async () => {
    const pods = await podsOfControlPlane();
    assert.equal(pods.length, 1);
    assert.equal(await restarts(SYSTEM), "");
  });

  test("says to the API server whom its webhook is to be believed by", async () => {
    const name = `${CONTROL_PLANE}-${SYSTEM}`;
    await eventually("a caBundle in every webhook", async () => {
      const { webhooks } = await get<Webhook>("default", "mutatingwebhookconfiguration", name);
      return webhooks.length > 0 && webhooks.every(({ clientConfig }) => (clientConfig.caBundle ?? "") !== "");
    });
  });

  test("runs as nobody, with a file system that it can't write to", async () => {
    const [pod] = await podsOfControlPlane();
    assert.ok(pod);
    const script = `
      const { readFileSync, writeFileSync } = require("node:fs");
      const status = readFileSync("/proc/1/status", "utf8");
      const field = (name) => new RegExp("^" + name + ":\\\\s*(.*)$", "m").exec(status)[1];
      let written = "";
      try { writeFileSync("/app/x", ""); written = "/app"; } catch (error) { written = error.code; }
      console.log(JSON.stringify([field("Uid"), field("CapEff"), field("NoNewPrivs"), field("Seccomp"), written]));`;
    const command = ["/usr/local/bin/node", "-e", script];
    const { status, stdout, stderr } = await exec(SYSTEM, pod.metadata.name, "control-plane", command);
    assert.equal(status, 0, stderr);
    assert.deepEqual(JSON.parse(stdout), ["1337\t1337\t1337\t1337", "0000000000000000", "1", "2", "EROFS"]);
  });

  test("may do what it needs and nothing that would make it the cluster's master", async () => {
    const may: readonly (readonly [string, string, ...string[]])[] = [
      ["watch", "pods", "--all-namespaces"],
      ["create", "tokenreviews.authentication.k8s.io"],
      ["watch", "secrets/outrigger-ca", "--namespace", SYSTEM],
      ["patch", "httproutes.gateway.networking.k8s.io/x", "--subresource", "status", "--namespace", "default"],
    ];
    const mayNot: readonly (readonly [string, string, ...string[]])[] = [
      ["get", "secrets", "--namespace", SYSTEM],
      ["watch", "secrets/other", "--namespace", SYSTEM],
      ["update", "leases.coordination.k8s.io/other", "--namespace", SYSTEM],
      ["update", "httproutes.gateway.networking.k8s.io", "--all-namespaces"],
      ["get", "secrets", "--namespace", "default"],
      ["list", "secrets", "--all-namespaces"],
      ["create", "pods", "--all-namespaces"],
      ["create", "pods", "--subresource", "exec", "--all-namespaces"],
      ["delete", "pods", "--all-namespaces"],
      ["update", "services", "--all-namespaces"],
      ["create", "clusterrolebindings.rbac.authorization.k8s.io"],
      ["create", "serviceaccounts", "--subresource", "token", "--all-namespaces"],
      ["patch", "mutatingwebhookconfigurations.admissionregistration.k8s.io/other"],
      ["patch", "configmaps/other", "--namespace", "default"],
      ["get", "configmaps", "--all-namespaces"],
    ];
    for (const [verb, resource, ...flags] of may) {
      assert.equal(await mayControlPlane(verb, resource, ...flags), true, `${verb} ${resource} is refused`);
    }
    for (const [verb, resource, ...flags] of mayNot) {
      assert.equal(await mayControlPlane(verb, resource, ...flags), false, `${verb} ${resource} is allowed`);
    }
  });

  test("has policies explained by kubectl", async () => {
    assert.match(await kubectl(["explain", "resiliencepolicy.spec.timeouts"]), /perTry/);
    await kubectl(["get", "outrigger", "--all-namespaces"]);
  });
});
