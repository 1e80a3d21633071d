/** Gateway API's routes between pods: where calls go, what their programs see, and what the routes' status says. */
import assert from "node:assert/strict";
import { before, describe, type TestContext, test } from "node:test";
import { application, echoOf, fetchIn, onePod, podsOf, type Reply } from "./harness/application.ts";
import { apply, get, type KubeObject, namespace, rolledOut, whyNoCluster } from "./harness/cluster.ts";
import { attempt, kubectl } from "./harness/commands.ts";
import { eventually } from "./harness/eventually.ts";
import { install } from "./harness/installation.ts";

const GATEWAY = "gateway.networking.k8s.io";

interface Route extends KubeObject {
  readonly status?: {
    readonly parents?: readonly {
      readonly controllerName: string;
      readonly conditions: readonly {
        readonly type: string;
        readonly status: string;
        readonly reason: string;
        readonly message: string;
        readonly observedGeneration: number;
      }[];
    }[];
  };
}

/** Skips the test where the cluster has no routes to speak of. */
async function requireRoutes(t: TestContext): Promise<boolean> {
  const { status } = await attempt("kubectl", ["get", "crd", `httproutes.${GATEWAY}`, `referencegrants.${GATEWAY}`]);
  if (status !== 0) t.skip("Gateway API is not installed in the cluster");
  return status === 0;
}

function route(ns: string, name: string, parent: object, rules: readonly object[]): object {
  return {
    apiVersion: `${GATEWAY}/v1`,
    kind: "HTTPRoute",
    metadata: { name, namespace: ns },
    spec: { parentRefs: [{ group: "", kind: "Service", ...parent }], rules },
  };
}

function to(name: string, parts: object = {}): object {
  return { name, port: 80, ...parts };
}

/** What a program gets that calls `url`, redirects not followed. */
async function call(ns: string, pod: string, url: string, headers: object = {}): Promise<Reply> {
  const query = new URLSearchParams({ url, headers: JSON.stringify(headers) });
  const { body } = await fetchIn(ns, pod, `http://127.0.0.1:8080/call?${query}`);
  return JSON.parse(body) as Reply;
}

/** `type=status reason` of a route's first parent, which is in our name and of the newest generation. */
async function conditionsOf(ns: string, name: string): Promise<readonly string[]> {
  const { metadata, status } = await get<Route & { metadata: { generation: number } }>(ns, "httproute", name);
  const [parent] = status?.parents ?? [];
  if (parent?.controllerName !== "outrigger.dev/controller") return [];
  const fresh = parent.conditions.filter(({ observedGeneration }) => observedGeneration === metadata.generation);
  return fresh.map(({ type, status, reason }) => `${type}=${status} ${reason}`);
}

const IN_FORCE = ["Accepted=True Accepted", "ResolvedRefs=True ResolvedRefs", "Programmed=True Programmed"];

async function inForce(ns: string, name: string): Promise<void> {
  await eventually(`${name} in force`, async () => {
    const conditions = await conditionsOf(ns, name);
    return IN_FORCE.every((condition) => conditions.includes(condition));
  });
}

describe("routes", { skip: whyNoCluster() ?? false }, () => {
  before(() => install());

  test("a producer's route, a consumer's, and calls past both", async (t) => {
    if (!(await requireRoutes(t))) return;
    const [shop, other] = [await namespace(t, "routes"), await namespace(t, "routes-other")];
    await apply(
      ...["caller", "front", "v2"].flatMap((name) => application({ namespace: shop, name })),
      ...application({ namespace: other, name: "caller" }),
    );
    for (const name of ["caller", "front", "v2"]) await rolledOut(shop, name);
    await rolledOut(other, "caller");
    const [caller, stranger] = [await onePod(shop, "caller"), await onePod(other, "caller")];
    const url = `http://front.${shop}`;
    const filters = (field: object) => [field];
    await apply(
      route(shop, "front", { name: "front" }, [
        {
          matches: [{ path: { value: "/moved" } }],
          filters: filters({ type: "RequestRedirect", requestRedirect: { hostname: "example.org", statusCode: 301 } }),
        },
        {
          matches: [{ path: { value: "/old" } }],
          filters: filters({
            type: "URLRewrite",
            urlRewrite: { path: { type: "ReplacePrefixMatch", replacePrefixMatch: "/new" } },
          }),
          backendRefs: [to("v2")],
        },
        { backendRefs: [to("v2")] },
      ]),
    );
    await inForce(shop, "front");
    await eventually("the route's backend", async () => echoOf(await call(shop, caller, `${url}/`)).name === "v2");

    const moved = await call(shop, caller, `${url}/moved/a?b=c`);
    assert.deepEqual([moved.status, moved.headers["location"]], [301, "http://example.org/moved/a?b=c"]);
    const rewritten = echoOf(await call(shop, caller, `${url}/old/a`));
    assert.deepEqual([rewritten.name, rewritten.path], ["v2", "/new/a"]);
    assert.match(rewritten.headers["x-forwarded-client-cert"] ?? "", new RegExp(`/ns/${shop}/sa/caller`));

    // The address decides, not the host that is written; and an instance's own address is nobody's route.
    const { spec } = await get<KubeObject & { spec: { clusterIP: string } }>(shop, "service", "front");
    const byAddress = await call(shop, caller, `http://${spec.clusterIP}/`, { host: "anything.example" });
    assert.equal(echoOf(byAddress).name, "v2");
    const [pod] = await podsOf(shop, "front");
    const direct = echoOf(await call(shop, caller, `http://${pod?.status.podIP}:8080/old/a`));
    assert.deepEqual([direct.name, direct.path], ["front", "/old/a"]);
    assert.match(direct.headers["x-forwarded-client-cert"] ?? "", new RegExp(`/ns/${shop}/sa/caller`));

    const set = {
      type: "ResponseHeaderModifier",
      responseHeaderModifier: { set: [{ name: "x-route", value: "own" }] },
    };
    await apply(
      route(other, "front", { name: "front", namespace: shop }, [
        { filters: [set], backendRefs: [to("front", { namespace: shop })] },
      ]),
    );
    await inForce(other, "front");
    await eventually("the consumer's own route", async () => {
      const reply = await call(other, stranger, `${url}/`);
      return reply.headers["x-route"] === "own" && echoOf(reply).name === "front";
    });
    const unchanged = await call(shop, caller, `${url}/`);
    assert.deepEqual([unchanged.headers["x-route"], echoOf(unchanged).name], [undefined, "v2"]);
  });

  test("a backend in another namespace is for those whom a ReferenceGrant permits it", async (t) => {
    if (!(await requireRoutes(t))) return;
    const [shop, stock] = [await namespace(t, "grants"), await namespace(t, "grants-stock")];
    await apply(
      ...["caller", "front"].flatMap((name) => application({ namespace: shop, name })),
      ...application({ namespace: stock, name: "far" }),
    );
    for (const name of ["caller", "front"]) await rolledOut(shop, name);
    await rolledOut(stock, "far");
    const caller = await onePod(shop, "caller");
    const status = async () => (await call(shop, caller, "http://front/")).status;
    await apply(route(shop, "front", { name: "front" }, [{ backendRefs: [to("far", { namespace: stock })] }]));
    await eventually("what is not permitted is said", async () =>
      (await conditionsOf(shop, "front")).includes("ResolvedRefs=False RefNotPermitted"),
    );
    await eventually("500", async () => (await status()) === 500);
    await apply({
      apiVersion: `${GATEWAY}/v1beta1`,
      kind: "ReferenceGrant",
      metadata: { name: "front", namespace: stock },
      spec: {
        from: [{ group: GATEWAY, kind: "HTTPRoute", namespace: shop }],
        to: [{ group: "", kind: "Service", name: "far" }],
      },
    });
    await inForce(shop, "front");
    await eventually("an answer from there", async () => {
      const reply = await call(shop, caller, "http://front/");
      return reply.status === 200 && echoOf(reply).name === "far";
    });
    await kubectl(["--namespace", stock, "delete", "referencegrant", "front"]);
    await eventually("500 again", async () => (await status()) === 500);
  });
});
