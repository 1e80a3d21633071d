/** Pods of all sorts: in which order their parts start and end, and what is said where a sidecar can't be. */
import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import {
  application,
  echoOf,
  fetchIn,
  image,
  onePod,
  type Pod,
  podsOf,
  programConfigMap,
  programContainer,
  programVolume,
  SECURITY,
} from "./harness/application.ts";
import {
  apply,
  exec,
  get,
  type KubeObject,
  list,
  namespace,
  rolledOut,
  tryApply,
  whyNoCluster,
} from "./harness/cluster.ts";
import { kubectl } from "./harness/commands.ts";
import { eventually } from "./harness/eventually.ts";
import { install } from "./harness/installation.ts";

const NODE = "/usr/local/bin/node";

interface Job extends KubeObject {
  readonly status: { readonly succeeded?: number; readonly failed?: number };
}

interface KubeEvent extends KubeObject {
  readonly reason: string;
  readonly note?: string;
  readonly message?: string;
}

/** A program of one line that calls a URL once and fails if that does. */
function oneCall(name: string, url: string): object {
  const script = `fetch(${JSON.stringify(url)}).then((r) => r.text()).then((text) => console.log(text))`;
  return {
    name,
    image: image(),
    command: [NODE, "-e", script],
    securityContext: SECURITY,
    resources: { requests: { cpu: "10m", memory: "32Mi" } },
  };
}

describe("pods", { skip: whyNoCluster() ?? false }, () => {
  before(() => install());

  test("a Job completes, and its one call went through the mesh", async (t) => {
    const ns = await namespace(t, "job");
    await apply(...application({ namespace: ns, name: "callee" }));
    await rolledOut(ns, "callee");
    await apply({
      apiVersion: "batch/v1",
      kind: "Job",
      metadata: { name: "once", namespace: ns },
      spec: {
        backoffLimit: 0,
        template: {
          metadata: { labels: { app: "once" } },
          spec: { restartPolicy: "Never", containers: [oneCall("once", "http://callee/from-job")] },
        },
      },
    });
    await eventually("the Job to complete", async () => {
      const { status } = await get<Job>(ns, "job", "once");
      assert.equal(status.failed ?? 0, 0);
      return status.succeeded === 1;
    });
    const [pod] = await list<Pod>(ns, "pods", "app=once");
    assert.equal(pod?.status.phase, "Succeeded");
    const logs = await kubectl(["--namespace", ns, "logs", "job/once", "--container", "once"]);
    assert.match(logs, new RegExp(`spiffe://cluster.local/ns/${ns}/sa/default`));
  });

  test("the program's first call succeeds: the sidecar is ready before it, and before later init containers", async (t) => {
    const ns = await namespace(t, "order");
    await apply(...application({ namespace: ns, name: "callee" }));
    await rolledOut(ns, "callee");
    await apply({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "eager", namespace: ns, labels: { app: "eager" } },
      spec: {
        restartPolicy: "Never",
        initContainers: [oneCall("prepare", "http://callee/from-init")],
        containers: [oneCall("eager", "http://callee/at-once")],
      },
    });
    const pod = await eventually("the pod to end", async () => {
      const found = await get<Pod>(ns, "pod", "eager");
      return ["Succeeded", "Failed"].includes(found.status.phase) ? found : null;
    });
    assert.equal(pod.status.phase, "Succeeded");
    assert.deepEqual(
      pod.spec.initContainers?.map(({ name, restartPolicy }) => [name, restartPolicy]),
      [
        ["outrigger-init", undefined],
        ["outrigger-proxy", "Always"],
        ["prepare", undefined],
      ],
    );
    for (const container of ["prepare", "eager"]) {
      const logs = await kubectl(["--namespace", ns, "logs", "eager", "--container", container]);
      assert.match(logs, /sa\/default/, `${container} did not call through the mesh`);
    }
    // The sidecar ends after the program, and well.
    const ended = (name: string) =>
      [...(pod.status.initContainerStatuses ?? []), ...(pod.status.containerStatuses ?? [])].find(
        (one) => one.name === name,
      )?.state.terminated;
    const proxy = ended("outrigger-proxy");
    assert.equal(proxy?.exitCode, 0);
    assert.ok((proxy?.finishedAt ?? "") >= (ended("eager")?.finishedAt ?? "9999"));
  });

  test("a program that starts long after its sidecar is called only when it listens", async (t) => {
    const ns = await namespace(t, "late");
    const wait = `setTimeout(() => import("/program/app.ts"), 4000)`;
    await apply(
      ...application({ namespace: ns, name: "caller" }),
      ...application({ namespace: ns, name: "late", container: { command: [NODE, "-e", wait] } }),
    );
    await rolledOut(ns, "caller");
    await rolledOut(ns, "late");
    const { name } = echoOf(await fetchIn(ns, await onePod(ns, "caller"), "http://late/"));
    assert.equal(name, "late");
  });

  test("in the host's network there is no sidecar, and an event and a warning say why", async (t) => {
    const ns = await namespace(t, "hostnet");
    const spec = { hostNetwork: true };
    const bare = { readinessProbe: null, ports: null };
    const objects = application({ namespace: ns, name: "host", spec, container: bare, env: { PORT: "18080" } });
    const { status, stderr } = await tryApply(...objects);
    assert.equal(status, 0, stderr);
    await rolledOut(ns, "host");
    const [pod] = await podsOf(ns, "host");
    assert.deepEqual(pod?.spec.initContainers ?? [], []);
    const event = await eventually("an event", async () => {
      const events = await list<KubeEvent>(ns, "events");
      return events.find(({ reason, message = "" }) => /HostNetwork/.test(`${reason} ${message}`));
    });
    t.diagnostic(`event: ${event.reason}: ${event.message}`);
  });

  test("in a restricted namespace a pod works without any right", async (t) => {
    const labels = {
      "outrigger.dev/inject": "enabled",
      "pod-security.kubernetes.io/enforce": "restricted",
    };
    const ns = await namespace(t, "restricted", labels);
    const annotations = { "sidecar.outrigger.dev/interception": "none" };
    await apply(
      ...application({ namespace: ns, name: "caller", annotations }),
      ...application({ namespace: ns, name: "callee", annotations }),
    );
    await rolledOut(ns, "caller");
    await rolledOut(ns, "callee");
    const caller = await onePod(ns, "caller");
    const { initContainers = [] } = (await get<Pod>(ns, "pod", caller)).spec;
    assert.deepEqual(
      initContainers.map(({ name }) => name),
      ["outrigger-proxy"],
    );
    const script = `const http = require("node:http");
      const options = { host: "127.0.0.1", port: new URL(process.env.http_proxy).port, path: "http://callee/x" };
      http.get(options, (r) => r.pipe(process.stdout)).on("error", (e) => { console.error(e); process.exit(1); });`;
    const echo = await eventually("an answer by http_proxy", async () => {
      const { status, stdout } = await exec(ns, caller, "app", [NODE, "-e", script]);
      return status === 0 && stdout.startsWith("{")
        ? (JSON.parse(stdout) as { headers: Record<string, string> })
        : null;
    });
    assert.match(echo.headers["x-forwarded-client-cert"] ?? "", new RegExp(`/ns/${ns}/sa/caller`));
  });

  test("without that annotation a restricted namespace's pod has no sidecar, and is told why", async (t) => {
    const ns = await namespace(t, "forbidden", {
      "outrigger.dev/inject": "enabled",
      "pod-security.kubernetes.io/enforce": "restricted",
    });
    await apply(...application({ namespace: ns, name: "plain" }));
    await rolledOut(ns, "plain");
    const [pod] = await podsOf(ns, "plain");
    assert.deepEqual(pod?.spec.initContainers ?? [], []);
    await eventually("an event", async () => {
      const events = await list<KubeEvent>(ns, "events");
      return events.find(({ reason, message = "" }) => /PodSecurity/.test(`${reason} ${message}`));
    });
  });

  test("a pod that is made from an injected one is the same, and has one sidecar", async (t) => {
    const ns = await namespace(t, "again");
    const pod = {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "first", namespace: ns, labels: { app: "first" } },
      spec: { containers: [programContainer("first")], volumes: [programVolume] },
    };
    await apply(programConfigMap(ns), pod);
    const first = await get<Pod & { spec: { volumes: readonly { name: string }[] } }>(ns, "pod", "first");
    const dry = ["create", "--dry-run=server", "--output", "json", "--filename", "-"];
    const { labels, annotations } = first.metadata;
    const copy = { apiVersion: "v1", kind: "Pod", metadata: { name: "second", namespace: ns, labels, annotations } };
    const { nodeName: _, ...spec } = first.spec as unknown as Record<string, unknown>;
    const second = JSON.parse(await kubectl(dry, { input: JSON.stringify({ ...copy, spec }) })) as Pod;
    const names = (one: Pod) => one.spec.initContainers?.map(({ name }) => name);
    assert.deepEqual(names(second), ["outrigger-init", "outrigger-proxy"]);
    assert.deepEqual(second.spec.initContainers, first.spec.initContainers);
    assert.equal(new Set(first.spec.volumes.map(({ name }) => name)).size, first.spec.volumes.length);
  });

  test("a sidecar runs as nobody, and the rules' container with two rights and no more", async (t) => {
    const ns = await namespace(t, "rights");
    await apply(...application({ namespace: ns, name: "app" }));
    await rolledOut(ns, "app");
    const script = `const s = require("fs").readFileSync("/proc/1/status", "utf8");
      console.log(["Uid", "CapEff", "NoNewPrivs", "Seccomp"].map((k) => new RegExp(k + ":\\\\s*(\\\\S+)").exec(s)[1]).join(" "))`;
    const pod = await onePod(ns, "app");
    const { stdout } = await exec(ns, pod, "outrigger-proxy", [NODE, "-e", script]);
    assert.equal(stdout.trim(), "1337 0000000000000000 1 2");
    const token = await exec(ns, pod, "outrigger-proxy", [NODE, "-e", `require("fs").readdirSync("/var/run/secrets")`]);
    assert.notEqual(token.status, 0, "the sidecar has a token for the API server");
  });

  test("a wrong annotation is refused when the pod is made, with what is wrong", async (t) => {
    const ns = await namespace(t, "wrong");
    const pod = {
      apiVersion: "v1",
      kind: "Pod",
      metadata: {
        name: "wrong",
        namespace: ns,
        annotations: { "sidecar.outrigger.dev/excludeOutboundPorts": "54e2", "sidecar.outrigger.dev/logLvl": "debug" },
      },
      spec: { containers: [programContainer("wrong")], volumes: [programVolume] },
    };
    const { status, stderr } = await tryApply(pod);
    assert.notEqual(status, 0);
    assert.match(stderr, /excludeOutboundPorts/);
    assert.match(stderr, /logLvl/);
  });
});
