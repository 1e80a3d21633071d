/** Nothing is lost while parts of the mesh are replaced: applications, sidecars, control planes, the chart. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { application, echoOf, fetchIn, onePod } from "./harness/application.ts";
import { apply, namespace, rolledOut, whyNoCluster } from "./harness/cluster.ts";
import { kubectl } from "./harness/commands.ts";
import { eventually } from "./harness/eventually.ts";
import { CONTROL_PLANE, CONTROL_PLANE_PODS, install, rollback, SYSTEM, upgrade } from "./harness/installation.ts";
import { steadyLoad } from "./harness/load.ts";

const controlPlanes = ["--namespace", SYSTEM, "--selector", CONTROL_PLANE_PODS];

async function served(): Promise<void> {
  await rolledOut(SYSTEM, CONTROL_PLANE);
}

describe("under a steady load", { skip: whyNoCluster() ?? false }, () => {
  before(() => install());
  after(() => install());

  test("a rolling update of the application loses no request, and no more does going back", async (t) => {
    const ns = await namespace(t, "rolling");
    const app = (version: string) =>
      application({ namespace: ns, name: "callee", replicas: 2, env: { VERSION: version } });
    await apply(...app("1"));
    await rolledOut(ns, "callee");
    const load = await steadyLoad(ns, "callee");
    await apply(...app("2"));
    await rolledOut(ns, "callee");
    t.diagnostic(await load.lossless());
    await kubectl(["--namespace", ns, "rollout", "undo", "deployment/callee"]);
    await rolledOut(ns, "callee");
    t.diagnostic(await load.lossless());
  });

  test("so does a change of scale", async (t) => {
    const ns = await namespace(t, "scale");
    await apply(...application({ namespace: ns, name: "callee" }));
    await rolledOut(ns, "callee");
    const load = await steadyLoad(ns, "callee");
    for (const replicas of [3, 1]) {
      await kubectl(["--namespace", ns, "scale", "deployment/callee", `--replicas=${replicas}`]);
      await rolledOut(ns, "callee");
      t.diagnostic(await load.lossless());
    }
  });

  test("upgrade and rollback of the chart lose none", async (t) => {
    const ns = await namespace(t, "upgrade");
    await apply(...application({ namespace: ns, name: "callee", replicas: 2 }));
    await rolledOut(ns, "callee");
    const load = await steadyLoad(ns, "callee");
    await upgrade("--set", "logLevel=debug", "--set", "replicas=2");
    await served();
    t.diagnostic(await load.lossless());
    await rollback();
    await served();
    t.diagnostic(await load.lossless());
  });

  test("the control plane killed: calls go on, and the next one serves what has changed", async (t) => {
    const ns = await namespace(t, "killed");
    await apply(...application({ namespace: ns, name: "callee" }));
    await rolledOut(ns, "callee");
    const load = await steadyLoad(ns, "callee");
    await kubectl(["delete", "pods", ...controlPlanes, "--grace-period=0", "--force"]);
    t.diagnostic(await load.lossless());
    await served();
    await apply(...application({ namespace: ns, name: "later" }));
    await rolledOut(ns, "later");
    const pod = await onePod(ns, "load");
    await eventually("what was made afterwards answers", async () => {
      const { headers } = echoOf(await fetchIn(ns, pod, "http://later/"));
      assert.match(headers["x-forwarded-client-cert"] ?? "", /sa\/load/);
      return true;
    });
    t.diagnostic(await load.lossless());
  });

  test("with no control plane at all pods in the mesh go on", async (t) => {
    const ns = await namespace(t, "without");
    await apply(...application({ namespace: ns, name: "callee" }));
    await rolledOut(ns, "callee");
    const load = await steadyLoad(ns, "callee");
    t.after(async () => {
      await kubectl(["--namespace", SYSTEM, "scale", `deployment/${CONTROL_PLANE}`, "--replicas=1"]);
      await served();
    });
    await kubectl(["--namespace", SYSTEM, "scale", `deployment/${CONTROL_PLANE}`, "--replicas=0"]);
    await kubectl(["wait", "pods", ...controlPlanes, "--for=delete", "--timeout=60s"]);
    t.diagnostic(await load.lossless());
    t.diagnostic(await load.lossless());
  });
});
