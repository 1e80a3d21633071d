/** Calls between pods: who is proved to whom, what is refused, and what policies break and mend. */
import assert from "node:assert/strict";
import { before, describe, type TestContext, test } from "node:test";
import { application, echoOf, fetchIn, onePod, podsOf } from "./harness/application.ts";
import { apply, exec, get, type KubeObject, namespace, rolledOut, whyNoCluster } from "./harness/cluster.ts";
import { kubectl } from "./harness/commands.ts";
import { eventually } from "./harness/eventually.ts";
import { install, restarts } from "./harness/installation.ts";

interface Policy extends KubeObject {
  readonly status?: {
    readonly ancestors?: readonly {
      readonly conditions: readonly { readonly type: string; readonly status: string; readonly reason: string }[];
    }[];
  };
}

/** Two applications in the mesh, and a pod outside of it. */
async function twoApplications(t: TestContext, name: string): Promise<{ ns: string; caller: string; outside: string }> {
  const ns = await namespace(t, name);
  await apply(
    ...application({ namespace: ns, name: "caller" }),
    ...application({ namespace: ns, name: "callee" }),
    ...application({ namespace: ns, name: "outside", labels: { "sidecar.outrigger.dev/inject": "false" } }),
  );
  for (const app of ["caller", "callee", "outside"]) await rolledOut(ns, app);
  return { ns, caller: await onePod(ns, "caller"), outside: await onePod(ns, "outside") };
}

describe("traffic", { skip: whyNoCluster() ?? false }, () => {
  before(() => install());

  test("a call goes through both sidecars with mutual TLS, and the callee learns who called", async (t) => {
    const { ns, caller } = await twoApplications(t, "mtls");
    const reply = await eventually("an answer", async () => {
      const found = await fetchIn(ns, caller, "http://callee/hello");
      return found.status === 200 ? found : null;
    });
    const { name, path, headers } = echoOf(reply);
    assert.deepEqual([name, path], ["callee", "/hello"]);
    assert.match(headers["x-forwarded-client-cert"] ?? "", new RegExp(`URI=spiffe://cluster.local/ns/${ns}/sa/caller`));
    assert.equal(await restarts(ns), "");
  });

  test("a caller can't say that it is somebody else", async (t) => {
    const { ns, caller } = await twoApplications(t, "forged");
    const forged = { "x-forwarded-client-cert": "URI=spiffe://cluster.local/ns/kube-system/sa/root" };
    const reply = await eventually("an answer", async () => {
      const found = await fetchIn(ns, caller, "http://callee/", forged);
      return found.status === 200 ? found : null;
    });
    const header = echoOf(reply).headers["x-forwarded-client-cert"] ?? "";
    assert.doesNotMatch(header, /kube-system/);
    assert.match(header, new RegExp(`/ns/${ns}/sa/caller`));
  });

  test("who is not in the mesh is refused, until the policy permits it", async (t) => {
    const { ns, caller, outside } = await twoApplications(t, "strict");
    await eventually("the mesh's own call", async () => (await fetchIn(ns, caller, "http://callee/")).status === 200);
    // With the address of the pod as well as by the Service: neither is a way around. Only the kubelet's probe is let in.
    const [callee] = await podsOf(ns, "callee");
    const refused = async (url: string) => {
      const { status, body } = await fetchIn(ns, outside, url);
      assert.ok(status === 403 || status === 0, `${url} was answered ${status} ${body}`);
      return true;
    };
    for (const url of ["http://callee/", `http://${callee?.status.podIP}:8080/`]) await refused(url);
    const policy = {
      apiVersion: "outrigger.dev/v1alpha1",
      kind: "MeshPolicy",
      metadata: { name: "callee", namespace: ns },
      spec: { targetRefs: [{ kind: "Service", name: "callee" }], mtls: { mode: "PERMISSIVE" } },
    };
    await apply(policy);
    await eventually("plaintext is let in", async () => (await fetchIn(ns, outside, "http://callee/")).status === 200);
    const inMesh = echoOf(await fetchIn(ns, caller, "http://callee/"));
    assert.match(inMesh.headers["x-forwarded-client-cert"] ?? "", /sa\/caller/);
    await kubectl(["--namespace", ns, "delete", "meshpolicy", "callee"]);
    await eventually("plaintext is refused again", () => refused("http://callee/"));
  });

  test("a policy denies a caller, says so in its status, and lets it in again when it is gone", async (t) => {
    const { ns, caller } = await twoApplications(t, "access");
    await eventually("a first answer", async () => (await fetchIn(ns, caller, "http://callee/")).status === 200);
    await apply({
      apiVersion: "outrigger.dev/v1alpha1",
      kind: "AccessPolicy",
      metadata: { name: "callee", namespace: ns },
      spec: {
        targetRefs: [{ kind: "Service", name: "callee" }],
        rules: [{ from: [{ serviceAccounts: ["nobody"] }] }],
      },
    });
    await eventually("a denial", async () => (await fetchIn(ns, caller, "http://callee/")).status === 403);
    await eventually("Programmed in the status", async () => {
      const { status } = await get<Policy>(ns, "accesspolicy", "callee");
      return status?.ancestors?.some(({ conditions }) =>
        conditions.some((one) => one.type === "Programmed" && one.status === "True"),
      );
    });
    await kubectl(["--namespace", ns, "delete", "accesspolicy", "callee"]);
    await eventually("an answer again", async () => (await fetchIn(ns, caller, "http://callee/")).status === 200);
  });

  test("a policy's time limit cuts a slow answer, and one that is wrong changes nothing", async (t) => {
    const { ns, caller } = await twoApplications(t, "limits");
    const slow = () => fetchIn(ns, caller, "http://callee/?ms=1500");
    await eventually("a slow answer", async () => (await slow()).status === 200);
    const policy = (spec: object) => ({
      apiVersion: "outrigger.dev/v1alpha1",
      kind: "ResiliencePolicy",
      metadata: { name: "callee", namespace: ns },
      spec: { targetRefs: [{ kind: "Service", name: "callee" }], ...spec },
    });
    await apply(policy({ timeouts: { request: "300ms" } }));
    await eventually("504", async () => (await slow()).status === 504);
    await assert.rejects(apply(policy({ timeouts: { request: "soon" } })), /request/);
    assert.equal((await slow()).status, 504);
    await apply(policy({ timeouts: { request: "10s" } }));
    await eventually("the answer again", async () => (await slow()).status === 200);
  });

  test("at rest a sidecar needs at most 90 MB", async (t) => {
    const { ns, caller } = await twoApplications(t, "memory");
    await eventually("an answer", async () => (await fetchIn(ns, caller, "http://callee/")).status === 200);
    const script = `console.log(/VmRSS:\\s*(\\d+)/.exec(require("fs").readFileSync("/proc/1/status", "utf8"))[1])`;
    const found: number[] = [];
    for (const app of ["caller", "callee"]) {
      const command = ["/usr/local/bin/node", "-e", script];
      const { stdout, stderr } = await exec(ns, await onePod(ns, app), "outrigger-proxy", command);
      assert.match(stdout, /^\d+$/m, stderr);
      found.push(Number(stdout) / 1024);
    }
    t.diagnostic(`RSS of two sidecars: ${found.map((mib) => `${mib.toFixed(1)} MiB`).join(", ")}`);
    for (const mib of found) assert.ok((mib * 1024 * 1024) / 1e6 <= 90, `${mib} MiB`);
  });
});
