/** The injector as a control plane runs it, against an API server that remembers what it was asked. */
import assert from "node:assert/strict";
import https from "node:https";
import { after, before, test } from "node:test";
import { Registry } from "prom-client";
import { testAuthority } from "../../control-client/testing/certificates.ts";
import { systemClock } from "../../core/clock.ts";
import { systemRandom } from "../../core/random.ts";
import { WatchCell } from "../../core/watch.ts";
import type { JsonObject, JsonValue } from "../json.ts";
import { until } from "../testing/until.ts";
import type { ClusterCall } from "./cluster/call.ts";
import { type Injector, startInjector } from "./injector.ts";
import { deploymentPod, hostNetworkPod, namespace, SETTINGS } from "./testing/pods.ts";
import { responseOf, reviewOf } from "./testing/reviews.ts";

const NAME = "outrigger-control-plane.outrigger-system.svc";
const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const authority = testAuthority(systemClock.wallTime());
const { chain, key } = authority.issue({ type: "dns", value: NAME });
const metrics = new Registry();
const calls: ClusterCall[] = [];
const asked = (method: string, part: string): ClusterCall | undefined =>
  calls.find((call) => call.method === method && call.path.includes(part));
/** Namespaces that the API server has, and the control plane has not seen yet. */
const unseen = new Map<string, JsonObject>([["fresh", namespace("fresh")]]);

let injector: Injector;

before(async () => {
  injector = await startInjector({
    settings: SETTINGS,
    host: "127.0.0.1",
    port: 0,
    certificate: new WatchCell({ chainPem: chain, keyPem: key }),
    roots: new WatchCell(authority.roots),
    call: async (call) => {
      calls.push(call);
      const [, name = ""] = /^\/api\/v1\/namespaces\/([^/]+)$/.exec(call.path) ?? [];
      if (name === "") return call.path.includes("mutatingwebhook") ? { webhooks: [{ clientConfig: {} }] } : {};
      return unseen.get(name) ?? assert.fail(`no namespace ${name}`);
    },
    knownNamespace: (name) => (name === "shop" ? namespace("shop") : null),
    namespaces: new WatchCell<ReadonlySet<string>>(new Set(["shop"])),
    configuration: "outrigger",
    instance: "outrigger-control-plane-0",
    clock: systemClock,
    random: systemRandom,
    log: quiet,
    metrics,
  });
});
after(() => injector.close());

function review(pod: JsonValue, place: string): Promise<JsonObject> {
  return new Promise((resolve, reject) => {
    const options = { host: "127.0.0.1", port: injector.port, servername: NAME, ca: authority.roots, path: "/inject" };
    const request = https.request(
      { ...options, method: "POST", headers: { "content-type": "application/json" } },
      (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("end", () => resolve(responseOf(JSON.parse(Buffer.concat(chunks).toString()) as JsonValue)));
      },
    );
    request.on("error", reject);
    request.end(JSON.stringify(reviewOf(pod, { namespace: place })));
  });
}

test("a namespace that is known is not asked for, one that is not is", async () => {
  assert.ok((await review(deploymentPod, "shop"))["patch"]);
  assert.equal(asked("GET", "/api/v1/namespaces/"), undefined);
  assert.ok((await review(deploymentPod, "fresh"))["patch"]);
  assert.ok(asked("GET", "/api/v1/namespaces/fresh"));
});

test("only the control plane that leads writes roots and bundle; then also for whom a pod was made before", async () => {
  assert.equal(asked("PATCH", "/"), undefined);
  const stop = injector.lead();
  await until(
    "roots are written",
    () => asked("PATCH", "/shop/") !== undefined && asked("PATCH", "/fresh/") !== undefined,
  );
  await until("the bundle is written", () => asked("PATCH", "mutatingwebhookconfigurations/outrigger") !== undefined);
  stop();
});

test("a pod that is refused has an event, and all that was asked is counted", async () => {
  assert.equal((await review(hostNetworkPod, "shop"))["allowed"], true);
  await until(
    "the event is written",
    () => asked("POST", "/apis/events.k8s.io/v1/namespaces/shop/events") !== undefined,
  );
  const text = await metrics.metrics();
  assert.match(text, /outrigger_injector_reviews_total\{outcome="refused"\} 1/);
  assert.match(text, /outrigger_injector_review_duration_seconds_count 3/);
});
