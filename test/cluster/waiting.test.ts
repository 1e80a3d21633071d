/** When `outrigger wait` comes back a change is in force: the very next call shows it; also through the leader's death. */
import assert from "node:assert/strict";
import path from "node:path";
import { after, before, describe, type TestContext, test } from "node:test";
import { application, fetchIn, onePod, type Reply } from "./harness/application.ts";
import { apply, get, type KubeObject, namespace, rolledOut, whyNoCluster } from "./harness/cluster.ts";
import { attempt, kubectl, type Outcome } from "./harness/commands.ts";
import { eventually } from "./harness/eventually.ts";
import { CONTROL_PLANE, install, SYSTEM } from "./harness/installation.ts";

const GATEWAY = "gateway.networking.k8s.io";
const MAIN = path.join(import.meta.dirname, "..", "..", "cli", "main.ts");
const ROUNDS = 12;

function outriggerWait(ns: string, object: string, ...flags: readonly string[]): Promise<Outcome> {
  return attempt(process.execPath, [MAIN, "wait", object, "--namespace", ns, ...flags]);
}

/** Calls of `front` are led elsewhere, to a place that has the number in it. */
function route(ns: string, round: number, parent = "front"): object {
  const requestRedirect = { hostname: `round-${round}.example`, statusCode: 302 };
  return {
    apiVersion: `${GATEWAY}/v1`,
    kind: "HTTPRoute",
    metadata: { name: "front", namespace: ns },
    spec: {
      parentRefs: [{ group: "", kind: "Service", name: parent, port: 80 }],
      rules: [{ filters: [{ type: "RequestRedirect", requestRedirect }] }],
    },
  };
}

async function locationOf(ns: string, pod: string): Promise<string | undefined> {
  const query = new URLSearchParams({ url: `http://front.${ns}/`, headers: "{}" });
  const { body } = await fetchIn(ns, pod, `http://127.0.0.1:8080/call?${query}`);
  return (JSON.parse(body) as Reply).headers["location"];
}

/** A namespace with two callers and what they call; null where the cluster has no routes, and the test is skipped. */
async function shop(t: TestContext, name: string): Promise<{ ns: string; callers: readonly string[] } | null> {
  const { status } = await attempt("kubectl", ["get", "crd", `httproutes.${GATEWAY}`]);
  if (status !== 0) {
    t.skip("Gateway API is not installed in the cluster");
    return null;
  }
  const ns = await namespace(t, name);
  const names = ["front", "first", "second"];
  await apply(...names.flatMap((one) => application({ namespace: ns, name: one })));
  for (const one of names) await rolledOut(ns, one);
  return { ns, callers: await Promise.all(["first", "second"].map((one) => onePod(ns, one))) };
}

describe("waiting", { skip: whyNoCluster() ?? false }, () => {
  before(() => install("--set", "replicas=2"));
  after(() => install());

  test("the first call after it is of what was waited for, wherever it comes from", async (t) => {
    const at = await shop(t, "waiting");
    if (at === null) return;
    for (let round = 0; round < ROUNDS; round++) {
      await apply(route(at.ns, round));
      const { status, stderr } = await outriggerWait(at.ns, "httproute/front");
      assert.deepEqual([status, stderr], [0, ""]);
      for (const pod of at.callers) assert.equal(await locationOf(at.ns, pod), `http://round-${round}.example/`);
    }
  });

  test("what can't be in force is said, and not waited for to the end", async (t) => {
    const at = await shop(t, "refused");
    if (at === null) return;
    await apply(route(at.ns, 1, "nobody"));
    const { status, stderr } = await outriggerWait(at.ns, "httproute/front", "--timeout", "2m");
    assert.equal(status, 1);
    assert.match(stderr, /parent Service outrigger-test-refused\/nobody does not exist/);
  });

  test("with the leader killed another one writes the status, and waiting goes on", async (t) => {
    const at = await shop(t, "leader");
    if (at === null) return;
    const holder = async (): Promise<string> =>
      kubectl([
        "--namespace",
        SYSTEM,
        "get",
        "lease",
        "outrigger-leader",
        "--output",
        "jsonpath={.spec.holderIdentity}",
      ]);
    const before = await holder();
    await kubectl([
      ...["--namespace", SYSTEM, "delete", "pod", before.replace(/_[^_]*$/, "")],
      ...["--grace-period=0", "--force"],
    ]);
    await apply(route(at.ns, 99));
    const { status, stderr } = await outriggerWait(at.ns, "httproute/front", "--timeout", "2m");
    assert.deepEqual([status, stderr], [0, ""]);
    for (const pod of at.callers) assert.equal(await locationOf(at.ns, pod), "http://round-99.example/");
    await eventually("another leader", async () => ![before, ""].includes(await holder()));
    await eventually("the status", async () => {
      type Route = KubeObject & { status?: { parents?: readonly { conditions: readonly { status: string }[] }[] } };
      const { status: said } = await get<Route>(at.ns, "httproute", "front");
      const conditions = said?.parents?.[0]?.conditions ?? [];
      return conditions.length === 3 && conditions.every((condition) => condition.status === "True");
    });
    await rolledOut(SYSTEM, CONTROL_PLANE);
  });
});
