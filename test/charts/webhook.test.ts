/** Whose webhook a pod's creation waits for: nobody's where nothing asked for a sidecar, and never that of two. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { NAMESPACE, render, requireHelm } from "../support/helm.ts";
import { type Labels, only, type Requirement, selects } from "../support/pod-spec.ts";

interface Webhook {
  readonly name: string;
  readonly namespaceSelector: { readonly matchExpressions: readonly Requirement[] };
  readonly objectSelector: { readonly matchExpressions: readonly Requirement[] };
}

const INJECT = [undefined, "true", "enabled", "false", "disabled", "whatever"];
const REVISIONS = [undefined, "default", "canary", "other"];

/** Webhooks of each revision; null where there is no Helm. */
function webhooks(t: TestContext): ReadonlyMap<string, readonly Webhook[]> | null {
  const helm = requireHelm(t);
  if (helm === null) return null;
  return new Map(
    ["default", "canary"].map((revision) => {
      const objects = render(helm, "outrigger", { revision, injector: { ignoredNamespaces: ["monitoring"] } });
      return [revision, only<{ webhooks: readonly Webhook[] }>(objects, "MutatingWebhookConfiguration").webhooks];
    }),
  );
}

function labels(...pairs: readonly (readonly [string, string | undefined])[]): Labels {
  return Object.fromEntries(pairs.flatMap(([key, value]) => (value === undefined ? [] : [[key, value]])));
}

function asked(all: ReadonlyMap<string, readonly Webhook[]>, namespace: Labels, pod: Labels): readonly string[] {
  return [...all].flatMap(([revision, hooks]) =>
    hooks
      .filter((hook) => selects(hook.namespaceSelector.matchExpressions, namespace))
      .filter((hook) => selects(hook.objectSelector.matchExpressions, pod))
      .map(() => revision),
  );
}

test("a pod meets the webhook of its revision once if it or its namespace asks for a sidecar, else none", (t) => {
  const all = webhooks(t);
  if (all === null) return;
  const yes = (value: string | undefined) => value === "true" || value === "enabled";
  const no = (value: string | undefined) => value === "false" || value === "disabled";
  for (const namespaceInject of INJECT)
    for (const namespaceRevision of REVISIONS)
      for (const podInject of INJECT)
        for (const podRevision of REVISIONS) {
          const namespace = labels(
            ["kubernetes.io/metadata.name", "shop"],
            ["outrigger.dev/inject", namespaceInject],
            ["outrigger.dev/rev", namespaceRevision],
          );
          const pod = labels(["sidecar.outrigger.dev/inject", podInject], ["outrigger.dev/rev", podRevision]);
          const wanted = yes(podInject) || (yes(namespaceInject) && !no(podInject));
          const revision = podRevision ?? namespaceRevision ?? "default";
          const expected: readonly string[] = wanted && all.has(revision) ? [revision] : [];
          assert.deepEqual(asked(all, namespace, pod), expected, JSON.stringify({ namespace, pod }));
        }
});

test("namespaces of the cluster, of the mesh, and those that are named are never asked about", (t) => {
  const all = webhooks(t);
  if (all === null) return;
  for (const name of ["kube-system", "kube-public", "kube-node-lease", "monitoring", NAMESPACE]) {
    const namespace = labels(["kubernetes.io/metadata.name", name], ["outrigger.dev/inject", "enabled"]);
    assert.deepEqual(asked(all, namespace, {}), []);
    assert.deepEqual(asked(all, namespace, { "sidecar.outrigger.dev/inject": "true" }), []);
  }
});
