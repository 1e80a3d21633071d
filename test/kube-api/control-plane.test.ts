/**
 * Control planes as the chart starts them, with a real API server: pods get their sidecars from them, sidecars their
 * certificates and configuration, objects their status; and one that ends is missed by nobody.
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { type TestContext, test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { inspectCertificates } from "../../certs/inspect.ts";
import { addressesOf } from "../../cli/sidecar/addresses.ts";
import type { JsonObject } from "../../control-plane/kubernetes/api.ts";
import { objectAt, objectsAt, textAt, textsAt } from "../../control-plane/kubernetes/objects/fields.ts";
import { OWN_API } from "../../control-plane/manifest/kinds.ts";
import { requireHelm } from "../support/helm.ts";
import {
  conditionsOf,
  installGatewayCrds,
  installOwnCrds,
  type KubeApiServer,
  sharedKubeApi,
} from "../support/kube-api.ts";
import { type InstalledChart, installRights, installWebhook, NAMESPACE } from "../support/kube-chart.ts";
import { refOf, TYPES } from "../support/kube-client.ts";
import { requireKubeconfigPackage } from "../support/kube-config.ts";
import { type Command, outrigger, type RunningControlPlane, startControlPlane } from "../support/kube-control-plane.ts";
import { podObject, podStatus, serviceObject, sliceObject } from "../support/kube-objects.ts";
import { eventually } from "../support/running-workers.ts";

const kube = sharedKubeApi();
const SIDECAR = "outrigger-proxy";

/** A sidecar of a pod that the API server has, as a process of this machine. */
async function startSidecar(
  t: TestContext,
  server: KubeApiServer,
  plane: RunningControlPlane,
  pod: JsonObject,
): Promise<{ readonly command: Command; admin(at: string): Promise<string> }> {
  const { admin } = server;
  const { name, namespace, uid } = objectAt(pod, "metadata") as Readonly<Record<string, string>>;
  assert.ok(name && namespace && uid);
  const account = textAt(objectAt(pod, "spec"), "serviceAccountName");
  const folder = mkdtempSync(path.join(tmpdir(), "outrigger-sidecar-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const roots = { apiVersion: "v1", kind: "ConfigMap", namespace, name: "outrigger-ca-roots" };
  await eventually(async () => (await admin.status("GET", await admin.pathOf(roots))) === 200);
  const { "root-cert.pem": pem = "" } = textsAt(await admin.get(roots), "data");
  writeFileSync(path.join(folder, "roots.pem"), pem);
  const token = await admin.token(namespace, account, { audiences: ["outrigger-ca"], pod: { name, uid } });
  writeFileSync(path.join(folder, "token"), token, { mode: 0o600 });
  const command = outrigger(t, [
    ...["sidecar", "--control-plane", `127.0.0.1:${plane.xdsPort}`, "--service", "orders", "--port", "8080"],
    ...["--namespace", namespace, "--service-account", account, "--trust-domain", "cluster.local", "--pod", name],
    ...["--label", `test=${name}`],
    ...["--token-file", path.join(folder, "token"), "--roots-file", path.join(folder, "roots.pem")],
  ]);
  const own = async () => (await plane.status()).workloads.find(({ labels }) => labels["test"] === name);
  await eventually(async () => (await own())?.stream?.upToDate === true).catch((error: unknown) => {
    throw new Error(`${String(error)}\n${command.output()}\n${plane.output()}`);
  });
  const [host = "", port = ""] = ((await own())?.address ?? "").split(":");
  const { address, adminPort } = addressesOf(host, Number(port));
  return { command, admin: async (at) => (await fetch(`http://${address}:${adminPort}${at}`)).text() };
}

interface Place {
  readonly server: KubeApiServer;
  readonly chart: InstalledChart;
  start(podName: string, kubeconfig?: string): Promise<RunningControlPlane>;
}

async function place(t: TestContext): Promise<Place | null> {
  const server = kube(t);
  const helm = server && requireHelm(t);
  if (server === null || helm === null) return null;
  const chart = await installRights(server, helm);
  const { token } = chart;
  const start: Place["start"] = (podName, kubeconfig) =>
    startControlPlane(t, server, { helm, token, podName, ...(kubeconfig === undefined ? {} : { kubeconfig }) });
  return { server, chart, start };
}

test("from an empty cluster to a sidecar with certificate and endpoints, through a change of the leader", async (t) => {
  const at = await place(t);
  if (at === null) return;
  const { admin } = at.server;
  await Promise.all([installOwnCrds(admin), installGatewayCrds(admin)]);
  const [first, second] = await Promise.all([at.start("control-plane-a"), at.start("control-plane-b")]);
  await installWebhook(at.server, at.chart.objects, first.webhookPort);
  await admin.namespace("shop", { "outrigger.dev/inject": "enabled" });
  await admin.serviceAccount("shop", "orders");

  // The webhook is the process's own, trusted by what it has written into its configuration.
  let pod: JsonObject = {};
  await eventually(async () => {
    const name = { name: undefined, generateName: "orders-" };
    pod = await admin
      .create(podObject("shop", "", name, { serviceAccountName: "orders" }), "?dryRun=All")
      .catch(() => ({}));
    return objectsAt(objectAt(pod, "spec"), "initContainers").some((one) => one["name"] === SIDECAR);
  }).catch((error: unknown) => assert.fail(`${String(error)}\n${first.output()}\n${second.output()}`));
  pod = await admin.create(
    podObject("shop", "orders-1", { labels: { app: "orders" } }, { serviceAccountName: "orders" }),
  );
  await admin.call("PATCH", `${await admin.pathOf(refOf(pod))}/status`, podStatus("10.1.0.1"), TYPES.merge);
  const stock = await admin.create(podObject("shop", "stock-1", { labels: { app: "stock" } }));
  await admin.call("PATCH", `${await admin.pathOf(refOf(stock))}/status`, podStatus("10.1.0.2"), TYPES.merge);
  for (const name of ["orders", "stock"]) await admin.create(serviceObject("shop", name));
  const slice = sliceObject("shop", "stock-x", "stock", ["10.1.0.2"]);
  await admin.create(slice);

  const sidecar = await startSidecar(t, at.server, first, pod);
  assert.match(await sidecar.admin("/certs"), /spiffe:\/\/cluster\.local\/ns\/shop\/sa\/orders/);
  const endpoints = async (): Promise<readonly string[]> =>
    (await sidecar.admin("/clusters")).match(/10\.1\.0\.\d+:8080/g) ?? [];
  await eventually(async () => (await endpoints()).includes("10.1.0.2:8080"));

  // A change reaches the sidecar, and the object's status says what became of it.
  const policy = {
    apiVersion: OWN_API,
    kind: "ResiliencePolicy",
    metadata: { namespace: "shop", name: "stock" },
    spec: { targetRefs: [{ kind: "Service", name: "stock" }], timeouts: { request: "1s" } },
  };
  await admin.create(policy);
  const programmed = async (): Promise<boolean> =>
    conditionsOf(await admin.get(refOf(policy as unknown as JsonObject)))["Programmed"] === "True";
  await eventually(programmed);

  // Each knows the other's CA: it is the cluster's, not theirs.
  const lease = `/apis/coordination.k8s.io/v1/namespaces/${NAMESPACE}/leases/outrigger-leader`;
  const holder = async (): Promise<string> =>
    textAt(objectAt(await admin.call("GET", lease), "spec"), "holderIdentity");
  const leads = await holder();
  const [leader, other] = leads.startsWith("control-plane-a_") ? [first, second] : [second, first];
  await leader.end("SIGTERM");
  await eventually(async () => {
    const now = await holder();
    return now !== leads && now !== "";
  });
  // Whoever is left writes status from now on, and issues certificates of the same CA.
  await admin.merge(refOf(policy as unknown as JsonObject), {
    spec: { targetRefs: [{ kind: "Service", name: "gone" }] },
  });
  await eventually(async () => !(await programmed()));
  const late = await admin.create(
    podObject(
      "shop",
      "orders-2",
      { labels: { "sidecar.outrigger.dev/inject": "false" } },
      { serviceAccountName: "orders" },
    ),
  );
  const elsewhere = await startSidecar(t, at.server, other, late);
  await eventually(async () => (await elsewhere.admin("/clusters")).includes("10.1.0.2:8080"));
  await admin.apply({ ...slice, endpoints: [{ addresses: ["10.1.0.3"] }] });
  await eventually(async () => (await elsewhere.admin("/clusters")).includes("10.1.0.3:8080"));
  // The first sidecar has what its control plane last said, be that gone or not.
  const expected = leader === first ? "10.1.0.2:8080" : "10.1.0.3:8080";
  await eventually(async () => (await endpoints()).includes(expected));
  // It gives the Lease back: whoever comes next need not wait for it.
  await other.end("SIGTERM");
});

test("a root is changed step by step, while pods are made and sidecars come", async (t) => {
  const at = await place(t);
  if (at === null) return;
  const { admin } = at.server;
  const [first, second] = await Promise.all([at.start("control-plane-c"), at.start("control-plane-d")]);
  const configuration = await installWebhook(at.server, at.chart.objects, first.webhookPort);
  await admin.namespace("rotation", { "outrigger.dev/inject": "enabled" });
  const secret = { apiVersion: "v1", kind: "Secret", namespace: NAMESPACE, name: "outrigger-ca" };
  const map = { apiVersion: "v1", kind: "ConfigMap", namespace: "rotation", name: "outrigger-ca-roots" };
  const roots = async (): Promise<readonly string[]> => {
    const pem = textsAt(await admin.get(map).catch(() => ({})), "data")["root-cert.pem"] ?? "";
    const hooks = objectsAt(await admin.get(refOf(configuration as unknown as JsonObject)), "webhooks");
    const bundles = hooks.map((hook) =>
      Buffer.from(textAt(objectAt(hook, "clientConfig"), "caBundle"), "base64").toString(),
    );
    // The same for sidecars and for the API server, or it is not there yet.
    return bundles.every((bundle) => bundle === pem) ? inspectCertificates(pem).map(({ serial }) => serial) : [];
  };
  const step = async (): Promise<void> => {
    await admin.merge(secret, { metadata: { annotations: { "outrigger.dev/rotate-root": "next" } } });
    const asked = async () =>
      textsAt(objectAt(await admin.get(secret), "metadata"), "annotations")["outrigger.dev/rotate-root"];
    await eventually(async () => (await asked()) === undefined);
  };
  const injected = async (): Promise<boolean> => {
    const pod = await admin.create(podObject("rotation", "probe"), "?dryRun=All").catch(() => ({}));
    return objectsAt(objectAt(pod, "spec"), "initContainers").some(({ name }) => name === SIDECAR);
  };
  await eventually(async () => (await roots()).length === 1 && (await injected()));
  const [before] = await roots();
  let [probes, gaps, probing] = [0, 0, true];
  const prober = (async () => {
    for (; probing; probes++) {
      if (!(await injected())) gaps++;
      await wait(20);
    }
  })();

  await step();
  await eventually(async () => (await roots()).length === 2);
  assert.ok((await roots()).includes(before ?? ""));
  // Whoever asks webhooks within the API server hears of it a moment later.
  await wait(1000);
  // From here on it is the new one that signs.
  await step();
  const made = await admin.create(podObject("rotation", "orders-1", { labels: { app: "orders" } }));
  const sidecar = await startSidecar(t, at.server, second, made);
  assert.equal((await roots()).length, 2);
  await step();
  await eventually(async () => (await roots()).length === 1);
  assert.notDeepEqual(await roots(), [before]);
  const late = await startSidecar(t, at.server, second, await admin.create(podObject("rotation", "orders-2")));
  for (const { admin: page } of [sidecar, late]) assert.match(await page("/certs"), /sa\/default/);
  probing = false;
  await prober;
  assert.equal(gaps, 0, `${gaps} of ${probes} pods could not be made`);
  assert.ok(probes > 10);
});

test("outside of the cluster, by a kubeconfig file", async (t) => {
  const at = await place(t);
  if (at === null || !(await requireKubeconfigPackage(t))) return;
  const plane = await at.start("elsewhere", at.server.kubeconfig("control-plane", { token: at.chart.token }));
  await eventually(async () => {
    const { source } = await plane.status();
    return source.length > 10 && source.every(({ phase }) => phase === "watching" || phase === "missing");
  }).catch(async () => assert.fail(JSON.stringify((await plane.status()).source)));
});
