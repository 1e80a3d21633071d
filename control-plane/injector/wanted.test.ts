import assert from "node:assert/strict";
import { test } from "node:test";
import type { JsonObject } from "../json.ts";
import { namespace, pod } from "./testing/pods.ts";
import { injectionWanted } from "./wanted.ts";

const labelled = (value: string): JsonObject =>
  pod({ metadata: { labels: { "sidecar.outrigger.dev/inject": value } } });
const annotated = (value: string): JsonObject => pod({ annotations: { "sidecar.outrigger.dev/inject": value } });
const silent = namespace("shop", { "outrigger.dev/inject": "" });
const enabled = namespace("shop");
const disabled = namespace("shop", { "outrigger.dev/inject": "disabled" });

test("opt-in: by the pod's label, else its annotation, else its namespace's label", () => {
  const both = pod({
    metadata: {
      labels: { "sidecar.outrigger.dev/inject": "false" },
      annotations: { "sidecar.outrigger.dev/inject": "true" },
    },
  });
  for (const [what, given, place, expected] of [
    ["nobody asks", pod(), silent, false],
    ["nobody asks, and the namespace is unknown", pod(), null, false],
    ["the namespace asks", pod(), enabled, true],
    ["the namespace refuses", pod(), disabled, false],
    ["the pod's label against its namespace", labelled("false"), enabled, false],
    ["the pod's label against its namespace, the other way", labelled("true"), disabled, true],
    ["the pod's annotation against its namespace", annotated("false"), enabled, false],
    ["the pod's annotation, in an unknown namespace", annotated("enabled"), null, true],
    ["the label before the annotation", both, enabled, false],
    ["a word that means nothing", labelled("maybe"), enabled, true],
  ] as const) {
    assert.equal(injectionWanted(given, place, []).wanted, expected, what);
  }
});

test("ignored namespaces have no sidecars, whatever a pod asks", () => {
  const { wanted, because } = injectionWanted(labelled("true"), namespace("kube-system"), ["kube-system"]);
  assert.equal(wanted, false);
  assert.match(because, /kube-system/);
  assert.equal(injectionWanted(pod({ metadata: { namespace: "shop" } }), null, ["shop"]).wanted, false);
});
