/** The objects of the chart fit together, and have no more rights than they need. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import path from "node:path";
import { type TestContext, test } from "node:test";
import { goTool } from "../../scripts/go-tools.ts";
import { CHARTS, type KubeObject, NAMESPACE, render, requireHelm } from "../support/helm.ts";
import { type Deployment, type Labels, matches, only } from "../support/pod-spec.ts";
import { skip } from "../support/tools.ts";

const GOLDEN = path.join(import.meta.dirname, "..", "golden", "charts");
const CASES: Readonly<Record<string, string>> = {
  default: path.join(CHARTS, "outrigger", "values.yaml"),
  ha: path.join(CHARTS, "outrigger", "values-ha.yaml"),
  everything: path.join(GOLDEN, "everything.in.yaml"),
  canary: path.join(GOLDEN, "canary.in.yaml"),
  offline: path.join(GOLDEN, "offline.in.yaml"),
};

const CLUSTER_SCOPED = new Set(["ClusterRole", "ClusterRoleBinding", "MutatingWebhookConfiguration"]);

function each(name: string, check: (objects: readonly KubeObject[], t: TestContext) => void): void {
  for (const [example, file] of Object.entries(CASES)) {
    test(`${name}: ${example}`, (t) => {
      const helm = requireHelm(t);
      if (helm !== null) check(render(helm, "outrigger", file), t);
    });
  }
}

each("objects have a place, a name of their own and the recommended labels", (objects) => {
  const names = objects.map(({ kind, metadata }) => `${kind}/${metadata.namespace ?? ""}/${metadata.name}`);
  assert.deepEqual(names, [...new Set(names)]);
  for (const { kind, metadata } of objects) {
    assert.equal(metadata.namespace === undefined, CLUSTER_SCOPED.has(kind), kind);
    for (const label of ["name", "instance", "version", "component", "part-of", "managed-by"])
      assert.ok(metadata.labels?.[`app.kubernetes.io/${label}`], `${kind} ${metadata.name}: ${label}`);
  }
});

each("Kubernetes' types have all fields of the objects", (objects, t) => {
  const program = goTool("crdcheck");
  if (program === null) return void skip(t, "crdcheck is not built: node scripts/go-tools.ts does it");
  // Those of the Prometheus operator are not Kubernetes' own.
  const own = objects.filter(({ apiVersion }) => !apiVersion.startsWith("monitoring.coreos.com/"));
  const input = [...own, { ...own[0], unheardOf: 1 }].map((object) => `${JSON.stringify(object)}\n`).join("");
  const { status, stdout, stderr } = spawnSync(program, [], { input, encoding: "utf8", maxBuffer: 1 << 26 });
  assert.equal(status, 0, stderr);
  const problems = stdout.trimEnd().split("\n");
  assert.deepEqual(
    problems.slice(0, -1),
    own.map(() => "[]"),
  );
  assert.match(problems.at(-1) ?? "", /unknown field/);
});

each("what one object says of another is so", (objects) => {
  const deployment = only<Deployment>(objects, "Deployment");
  const { selector, template } = deployment.spec;
  const { labels } = template.metadata;
  assert.ok(matches(selector.matchLabels, labels));
  const [container, ...others] = template.spec.containers;
  assert.ok(container);
  const ports = new Set(container.ports?.map(({ name }) => name));
  const fields = <T>(kind: string) => objects.filter((object): object is KubeObject & T => object.kind === kind);

  for (const { spec } of fields<{ spec: { selector: Labels; ports: { targetPort: string }[] } }>("Service")) {
    assert.ok(matches(spec.selector, labels));
    for (const { targetPort } of spec.ports) assert.ok(ports.has(targetPort), targetPort);
  }
  for (const probe of ["startupProbe", "readinessProbe", "livenessProbe"]) {
    const { httpGet } = container[probe] as { httpGet: { port: string } };
    assert.ok(ports.has(httpGet.port), probe);
  }
  const volumes = new Set(template.spec.volumes.map(({ name }) => name));
  for (const { volumeMounts = [] } of [container, ...others])
    for (const { name } of volumeMounts) assert.ok(volumes.has(name), name);
  for (const { spec } of fields<{ spec: { selector: { matchLabels: Labels } } }>("PodDisruptionBudget"))
    assert.ok(matches(spec.selector.matchLabels, labels));
  type Policy = { spec: { podSelector: { matchLabels: Labels }; ingress: { ports: { port: string }[] }[] } };
  for (const { spec } of fields<Policy>("NetworkPolicy")) {
    assert.ok(matches(spec.podSelector.matchLabels, labels));
    // What is served is let in: all of it, and nothing else.
    assert.deepEqual(new Set(spec.ingress.flatMap((rule) => rule.ports.map(({ port }) => port))), ports);
  }
  for (const { labelSelector } of template.spec.topologySpreadConstraints ?? [])
    assert.ok(matches(labelSelector.matchLabels, labels));
  for (const { spec } of fields<{ spec: { scaleTargetRef: { name: string } } }>("HorizontalPodAutoscaler")) {
    assert.equal(spec.scaleTargetRef.name, deployment.metadata.name);
    // A number of replicas beside an autoscaler would undo its work at each upgrade.
    assert.ok(!("replicas" in deployment.spec));
  }
  const accounts = fields("ServiceAccount").map(({ metadata }) => metadata.name);
  if (accounts.length > 0) assert.deepEqual(accounts, [template.spec.serviceAccountName]);
  type Binding = { roleRef: { kind: string; name: string }; subjects: { name: string; namespace: string }[] };
  for (const { roleRef, subjects } of [...fields<Binding>("RoleBinding"), ...fields<Binding>("ClusterRoleBinding")]) {
    assert.ok(fields(roleRef.kind).some(({ metadata }) => metadata.name === roleRef.name));
    assert.deepEqual(subjects, [
      { kind: "ServiceAccount", name: template.spec.serviceAccountName, namespace: NAMESPACE },
    ]);
  }
  const flags = new Map(container.args?.map((arg) => arg.split("=", 2) as [string, string]));
  const configuration = objects.find(({ kind }) => kind === "MutatingWebhookConfiguration");
  assert.equal(flags.get("--webhook-configuration"), configuration?.metadata.name);
  if (configuration) {
    assert.ok(objects.some(({ kind, metadata }) => kind === "ConfigMap" && metadata.name.endsWith("-injector")));
    const webhooks = configuration["webhooks"] as { clientConfig: { service: { name: string; port: number } } }[];
    const [service] = fields<{ spec: { ports: { port: number }[] } }>("Service");
    for (const { clientConfig } of webhooks) {
      assert.equal(clientConfig.service.name, service?.metadata.name);
      assert.ok(service?.spec.ports.some(({ port }) => port === clientConfig.service.port));
    }
  }
});

for (const example of ["default", "ha", "offline"]) {
  test(`the pods of the control plane keep to the restricted Pod Security Standard: ${example}`, (t) => {
    const helm = requireHelm(t);
    if (helm === null) return;
    const { spec } = only<Deployment>(render(helm, "outrigger", CASES[example] ?? ""), "Deployment").spec.template;
    assert.equal(spec.automountServiceAccountToken, false);
    assert.equal(spec.securityContext.runAsNonRoot, true);
    assert.equal(spec.securityContext.runAsUser, 1337);
    assert.equal(spec.securityContext.seccompProfile?.type, "RuntimeDefault");
    for (const { securityContext: security, resources } of spec.containers) {
      assert.equal(security?.allowPrivilegeEscalation, false);
      assert.equal(security?.readOnlyRootFilesystem, true);
      assert.notEqual(security?.privileged, true);
      assert.deepEqual(security?.capabilities, { drop: ["ALL"] });
      assert.ok(resources?.requests?.["memory"] && resources.limits?.["memory"]);
    }
  });
}

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly verbs: readonly string[];
}

each("the control plane may write what is its own, and read what the mesh is made of", (objects) => {
  for (const kind of ["ClusterRole", "Role"]) {
    for (const object of objects.filter((one) => one.kind === kind)) {
      for (const rule of object["rules"] as readonly Rule[]) {
        const { apiGroups, resources, verbs, resourceNames = [] } = rule;
        const about = JSON.stringify(rule);
        assert.ok(![...apiGroups, ...resources, ...verbs].includes("*"), about);
        for (const verb of ["escalate", "bind", "impersonate", "deletecollection"])
          assert.ok(!verbs.includes(verb), about);
        // Secrets of other namespaces are nobody's business.
        if (kind === "ClusterRole") assert.ok(!resources.includes("secrets"), about);
        const secret = resources.includes("secrets") || resources.includes("configmaps");
        if (secret && !verbs.includes("create")) assert.ok(resourceNames.length > 0, about);
        const writes = verbs.filter((verb) => !["get", "list", "watch"].includes(verb));
        if (writes.length === 0 || resourceNames.length > 0) continue;
        const free = resources.every((resource) => /\/status$|^events$/.test(resource));
        assert.ok(free || writes.join() === "create", about);
      }
    }
  }
});

test("without an injector there is no webhook, nor a right to change one", (t) => {
  const helm = requireHelm(t);
  if (helm === null) return;
  const objects = render(helm, "outrigger", { injector: { enabled: false } });
  const about = objects.filter((object) => /webhook|15017/i.test(JSON.stringify(object)));
  assert.deepEqual(about, []);
});

test("a value that is none is refused by its name", (t) => {
  const helm = requireHelm(t);
  if (helm === null) return;
  const wrong: readonly (readonly [values: object, name: RegExp])[] = [
    [{ replica: 2 }, /'replica'/],
    [{ replicas: "2" }, /\/replicas/],
    [{ injector: { failurePolicy: "ignore" } }, /\/injector\/failurePolicy/],
    [{ injector: { tokenLifetime: 60 } }, /\/injector\/tokenLifetime/],
    [{ injector: { resources: { limits: { memory: "1 GB" } } } }, /\/injector\/resources\/limits\/memory/],
    [{ image: { digest: "latest" } }, /\/image\/digest/],
    [{ ports: { xds: 0 } }, /\/ports\/xds/],
    [{ revision: "Canary" }, /\/revision/],
    [{ podDisruptionBudget: { maxUnavailable: "" } }, /\/podDisruptionBudget\/maxUnavailable/],
  ];
  for (const [values, name] of wrong) {
    const { status, stderr } = helm(
      ["template", "x", path.join(CHARTS, "outrigger"), "--kube-version", "1.36.0", "--values", "-"],
      JSON.stringify(values),
    );
    assert.notEqual(status, 0, JSON.stringify(values));
    assert.match(stderr, name);
  }
});
