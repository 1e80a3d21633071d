import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { parseAllDocuments } from "yaml";
import { injectPod } from "../../control-plane/injector/inject-pod.ts";
import { DEFAULT_SETTINGS } from "../../control-plane/injector/settings.ts";
import { deploymentPod, initPod, jobPod } from "../../control-plane/injector/testing/pods.ts";
import { type JsonObject, type JsonValue, listOf, objectOf, objectsOf, textOf } from "../../control-plane/json.ts";
import { formatProblem, UserError } from "../../core/errors.ts";
import { injectManifests } from "./inject-manifests.ts";

const inject = (text: string) => injectManifests("app.yaml", text, DEFAULT_SETTINGS, "default");
const valuesOf = (text: string): JsonValue[] => {
  const documents = parseAllDocuments(text, { merge: true });
  return "empty" in documents ? [] : documents.map((one) => one.toJS() as JsonValue);
};
const sidecarOf = (podSpec: JsonValue | undefined): JsonObject | undefined =>
  objectsOf(objectOf(podSpec)["initContainers"]).find(({ name }) => name === "outrigger-proxy");
const at = (value: JsonValue | undefined, ...path: string[]): JsonValue | undefined =>
  path.reduce<JsonValue | undefined>((inner, name) => objectOf(inner)[name], value);

const DEPLOYMENT = `# The shop's front.
apiVersion: apps/v1
kind: Deployment
metadata: { name: web, namespace: shop } # one line
spec:
  replicas: 2
  template:
    metadata:
      labels:
        # the Service selects by this
        app: web
    spec:
      # containers of the front
      containers:
      - name: app   # the program
        image: "web:1"
        ports: [ { containerPort: 8080 } ]
        readinessProbe:
          tcpSocket: # only whether it listens
            port: 8080
`;

describe("what is kept", () => {
  test("comments, order and style of what is not changed", () => {
    const { text } = inject(DEPLOYMENT);
    for (const line of DEPLOYMENT.split("\n").filter(
      (one) => one !== "" && !/tcpSocket|port: 8080|name: app/.test(one),
    )) {
      assert.ok(text.split("\n").includes(line), `${line}\n---\n${text}`);
    }
    assert.equal(text.split("# The shop's front.").length, 2, "nothing comes twice");
    assert.match(text, / {6}- name: app +# the program\n/);
    assert.ok(text.indexOf('image: "web:1"') < text.indexOf("outrigger-proxy"), "what is added comes last");
  });

  test("documents without pods, and pods that have their sidecar, to the letter", () => {
    const others =
      "# only a map\nkind:   ConfigMap\ndata: {a:   'x'}\n---\n\n# nothing\n---\nkind: Deployment\nspec: {}\n";
    assert.equal(inject(others).text, others);
    assert.equal(inject("").text, "");
    const once = inject(DEPLOYMENT).text;
    assert.equal(inject(once).text, once);
    const mixed = `${others}---\n${DEPLOYMENT}---\n${others}`;
    const { text } = inject(mixed);
    assert.ok(text.startsWith(others));
    assert.ok(text.endsWith(`---\n${others}`));
    assert.equal(valuesOf(text).length, valuesOf(mixed).length);
  });

  test("a YAML anchor that two share is only changed where the pod is", () => {
    const { text } = inject(`kind: Pod
metadata: { name: a }
probes: &probe { tcpSocket: { port: 80 } }
base: &base { image: x, livenessProbe: *probe }
spec:
  containers:
  - { name: a, <<: *base }
  - { name: b, livenessProbe: *probe }
`);
    const [value] = valuesOf(text);
    assert.deepEqual(at(value, "probes"), { tcpSocket: { port: 80 } });
    assert.deepEqual(at(value, "base", "livenessProbe"), { tcpSocket: { port: 80 } });
    for (const container of objectsOf(at(value, "spec", "containers"))) {
      assert.equal(at(container, "livenessProbe", "httpGet", "path"), "/app-health/tcp/80");
      assert.equal(at(container, "livenessProbe", "tcpSocket"), undefined);
    }
  });
});

describe("kinds", () => {
  const template = (labels = "") =>
    `{ metadata: { labels: { ${labels} } }, spec: { containers: [{ name: a, image: b }] } }`;

  for (const kind of ["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Job"]) {
    test(kind, () => {
      const { text } = inject(`{ kind: ${kind}, metadata: { name: cart }, spec: { template: ${template()} } }`);
      const [value] = valuesOf(text);
      const sidecar = sidecarOf(at(value, "spec", "template", "spec")) ?? assert.fail(text);
      const args = listOf(sidecar["args"]);
      assert.equal(args[args.indexOf("--service") + 1], "cart");
      // What is only known of the pod that will be made is not written down.
      assert.deepEqual(Object.keys(objectOf(at(value, "spec", "template", "metadata"))).sort(), [
        "annotations",
        "labels",
      ]);
    });
  }

  test("CronJob", () => {
    const { text } = inject(
      `{ kind: CronJob, metadata: { name: report }, spec: { jobTemplate: { spec: { template: ${template()} } } } }`,
    );
    assert.ok(sidecarOf(at(valuesOf(text)[0], "spec", "jobTemplate", "spec", "template", "spec")));
  });

  test("List, with what it is of in all its items", () => {
    const item = `{ kind: Deployment, metadata: { name: x }, spec: { template: ${template()} } }`;
    const { text } = inject(`kind: List\nitems: [${item}, { kind: Service }, { kind: List, items: [${item}] }]\n`);
    const [first, service, inner] = objectsOf(at(valuesOf(text)[0], "items"));
    assert.ok(sidecarOf(at(first, "spec", "template", "spec")));
    assert.deepEqual(service, { kind: "Service" });
    assert.ok(sidecarOf(at(objectsOf(at(inner, "items"))[0], "spec", "template", "spec")));
  });

  test("a pod is what the webhook makes of it", () => {
    for (const pod of [deploymentPod, jobPod, initPod]) {
      const expected = injectPod(pod, null, DEFAULT_SETTINGS);
      assert.deepEqual(valuesOf(inject(JSON.stringify(pod)).text), [expected.kind === "injected" && expected.pod]);
    }
  });

  test("JSON stays JSON", () => {
    const { text } = inject(JSON.stringify({ kind: "List", items: [deploymentPod] }));
    assert.ok(sidecarOf(at(objectsOf(at(JSON.parse(text) as JsonValue, "items"))[0], "spec")));
  });
});

describe("what is said", () => {
  const pod = (metadata: string, spec = "") =>
    `kind: Pod\nmetadata: { name: a, ${metadata} }\nspec:\n  ${spec}\n  containers: [{ name: a }]\n`;
  const notes = (text: string): string[] => inject(text).notes.map(formatProblem);

  test("pods that cannot have a sidecar, by file and line", () => {
    const [note] = notes(`kind: Service\n---\n# on the node's network\n${pod("", "hostNetwork: true")}`);
    assert.match(note ?? "", /^app\.yaml:4: Pod default\/a: no sidecar: .*hostNetwork/);
  });

  test("pods that want none", () => {
    const text = pod('labels: { "sidecar.outrigger.dev/inject": "false" }');
    assert.equal(inject(text).text, text);
    assert.match(notes(text).join(), /the pod's label/);
    assert.match(notes(pod("namespace: kube-system")).join(), /never changed/);
  });

  test("what Pod Security of a namespace in the input forbids", () => {
    const labels = "{ pod-security.kubernetes.io/enforce: restricted }";
    const space = `kind: Namespace\nmetadata: { name: locked, labels: ${labels} }\n`;
    assert.match(notes(`${space}---\n${pod("namespace: locked")}`).join(), /interception: none/);
  });

  test("mistakes of all documents at once, and then nothing is done", () => {
    const bad = pod("annotations: { sidecar.outrigger.dev/logLevel: loud }");
    assert.throws(
      () => inject(`${bad}---\n${pod("")}---\n${bad}`),
      (error) => {
        assert.ok(error instanceof UserError);
        const lines = error.message.split("\n");
        assert.equal(lines.length, 2);
        assert.match(lines[0] ?? "", /^app\.yaml:1: Pod default\/a: annotation sidecar\.outrigger\.dev\/logLevel/);
        assert.match(lines[1] ?? "", /^app\.yaml:13: /);
        return true;
      },
    );
  });

  test("broken YAML, with line and column", () => {
    assert.throws(() => inject("kind: Pod\n---\na: [1\nb: 2\n"), { message: /^app\.yaml:\d:\d+: / });
  });

  test("items of a list by their own line", () => {
    const text =
      'kind: List\nitems:\n- kind: Service\n- kind: Pod\n  metadata: { name: "b" }\n  spec: { hostNetwork: true, containers: [{ name: a }] }\n';
    assert.match(notes(text).join(), /^app\.yaml:4: Pod default\/b/);
    assert.equal(textOf(at(valuesOf(inject(text).text)[0], "kind")), "List");
  });
});
