import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type JsonObject, type JsonValue, listOf, textOf } from "../json.ts";
import { type AdmissionContext, answerReview, MalformedReview } from "./admission.ts";
import { injectPod } from "./inject-pod.ts";
import { deploymentPod, hostNetworkPod, namespace, pod, restrictedPod, SETTINGS } from "./testing/pods.ts";
import { patchedBy, responseOf, reviewOf } from "./testing/reviews.ts";

const SPACES: Readonly<Record<string, JsonObject>> = {
  shop: namespace("shop"),
  other: namespace("other", { "outrigger.dev/inject": "disabled" }),
  "kube-system": namespace("kube-system"),
};
const context: AdmissionContext = { settings: SETTINGS, namespace: async (name) => SPACES[name] ?? null };

test("the patch makes of the pod what the injector says", async () => {
  const { review, outcome, event } = await answerReview(reviewOf(deploymentPod), context);
  const expected = injectPod(deploymentPod, SPACES["shop"] ?? null, SETTINGS);
  assert.equal(outcome, "injected");
  assert.equal(event, null);
  assert.equal(responseOf(review)["uid"], "b1c7");
  assert.equal(responseOf(review)["patchType"], "JSONPatch");
  assert.deepEqual(patchedBy(review, deploymentPod), expected.kind === "injected" && expected.pod);
});

test("a second call has nothing to say", async () => {
  const first = await answerReview(reviewOf(deploymentPod), context);
  const again = await answerReview(reviewOf(patchedBy(first.review, deploymentPod)), context);
  assert.equal(again.outcome, "unchanged");
  assert.deepEqual(responseOf(again.review), { uid: "b1c7", allowed: true });
});

test("whoever has not asked for a sidecar is left alone", async () => {
  for (const [object, request] of [
    [deploymentPod, { namespace: "other" }],
    [pod({ metadata: { name: "x", labels: { "sidecar.outrigger.dev/inject": "false" } } }), {}],
    [deploymentPod, { namespace: "kube-system" }],
    [deploymentPod, { operation: "UPDATE" }],
    [deploymentPod, { subResource: "ephemeralcontainers" }],
    [deploymentPod, { resource: { group: "apps", version: "v1", resource: "deployments" } }],
    [{ kind: "Pod" }, {}],
    [null, {}],
    ["garbage", {}],
  ] as const) {
    const { review, outcome } = await answerReview(reviewOf(object, request), context);
    assert.equal(outcome, "not-wanted", JSON.stringify(request));
    assert.deepEqual(responseOf(review), { uid: "b1c7", allowed: true });
  }
});

test("a pod asks for itself in a namespace that does not", async () => {
  const asking = pod({ metadata: { name: "x", labels: { "sidecar.outrigger.dev/inject": "true" } } });
  assert.equal((await answerReview(reviewOf(asking, { namespace: "other" }), context)).outcome, "injected");
});

test("a namespace that cannot be read counts as one that asks: the selectors have let the pod come here", async () => {
  const broken: AdmissionContext = { ...context, namespace: () => Promise.reject(new Error("gone")) };
  assert.equal((await answerReview(reviewOf(deploymentPod), broken)).outcome, "injected");
  assert.equal((await answerReview(reviewOf(deploymentPod, { namespace: "new" }), context)).outcome, "injected");
});

test("a pod that cannot have one is let be, with a warning and an event for its owner", async () => {
  const { review, outcome, event } = await answerReview(reviewOf(hostNetworkPod), context);
  assert.equal(outcome, "refused");
  assert.equal(responseOf(review)["allowed"], true);
  assert.equal(responseOf(review)["patch"], undefined);
  const [warning] = listOf(responseOf(review)["warnings"]);
  assert.match(textOf(warning), /hostNetwork/);
  assert.ok(textOf(warning).length <= 256);
  assert.deepEqual([event?.namespace, event?.reason, event?.regarding.kind], ["shop", "SidecarHostNetwork", "Pod"]);

  const owned = { ...deploymentPod, spec: hostNetworkPod["spec"] ?? null };
  const daemon = await answerReview(reviewOf(owned), context);
  assert.deepEqual(daemon.event?.regarding, {
    apiVersion: "apps/v1",
    kind: "ReplicaSet",
    name: "web-7d4b9c6f5d",
    uid: "f1",
  });
});

test("a dry run tells nobody", async () => {
  assert.equal((await answerReview(reviewOf(deploymentPod), context)).injectedInto, "shop");
  assert.equal((await answerReview(reviewOf(deploymentPod, { dryRun: true }), context)).injectedInto, null);
  assert.equal((await answerReview(reviewOf(hostNetworkPod, { dryRun: true }), context)).event, null);
});

test("a pod that asks for the impossible is denied, with all of it", async () => {
  const annotations = { "sidecar.outrigger.dev/logLevel": "loud", "sidecar.outrigger.dev/includePorts": "1" };
  const { review, outcome } = await answerReview(reviewOf(pod({ annotations })), context);
  assert.equal(outcome, "invalid");
  const { allowed, status } = responseOf(review) as { allowed: boolean; status: { code: number; message: string } };
  assert.equal(allowed, false);
  assert.equal(status.code, 400);
  assert.match(status.message, /logLevel.*"loud"/);
  assert.match(status.message, /includePorts is not known/);
});

test("what is to be known is warned of", async () => {
  const { review } = await answerReview(reviewOf(restrictedPod), context);
  assert.match(textOf(listOf(responseOf(review)["warnings"])[0]), /^outrigger: loopback mode/);
});

test("what is no review is told so, and nothing else is thrown", async () => {
  const malformed: readonly JsonValue[] = [
    null,
    1,
    "x",
    [],
    {},
    { kind: "AdmissionReview", apiVersion: "admission.k8s.io/v1beta1", request: {} },
    { kind: "AdmissionReview", apiVersion: "admission.k8s.io/v1" },
    { kind: "AdmissionReview", apiVersion: "admission.k8s.io/v1", request: {} },
  ];
  for (const one of malformed) await assert.rejects(answerReview(one, context), MalformedReview);
  await fc.assert(
    fc.asyncProperty(fc.jsonValue() as fc.Arbitrary<JsonValue>, async (object) => {
      const { review } = await answerReview(reviewOf(object), context);
      assert.equal(responseOf(review)["allowed"], true);
    }),
  );
});
