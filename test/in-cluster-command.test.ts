/** `outrigger control-plane --kubernetes` as a process, against a small API server: from its start to its end. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import * as fs from "node:fs";
import http from "node:http";
import https from "node:https";
import { type AddressInfo, createServer } from "node:net";
import os from "node:os";
import path from "node:path";
import { after, afterEach, before, test } from "node:test";
import { inspectCertificates } from "../certs/inspect.ts";
import { WorkloadIdentity } from "../certs/rotation.ts";
import { caIssuer } from "../control-client/ca/ca-client.ts";
import { rootsFile, tokenFile } from "../control-client/ca/token-file.ts";
import { deploymentPod } from "../control-plane/injector/testing/pods.ts";
import { responseOf, reviewOf } from "../control-plane/injector/testing/reviews.ts";
import type { JsonObject } from "../control-plane/kubernetes/api.ts";
import { objectAt, objectsAt, textAt } from "../control-plane/kubernetes/objects/fields.ts";
import { httpRoute, pod, service, serviceRef, slice } from "../control-plane/kubernetes/testing/objects.ts";
import { sleep, systemClock } from "../core/clock.ts";
import { systemRandom } from "../core/random.ts";
import { nextValue } from "../core/watch.ts";
import { controlPlaneIdentity, formatIdentity } from "../model/identity.ts";
import { FakeApiServer } from "./support/fake-api-server.ts";

const MAIN = path.join(import.meta.dirname, "..", "cli", "main.ts");
const SYSTEM = "/api/v1/namespaces/outrigger-system";
const SECRET = `${SYSTEM}/secrets/outrigger-ca`;
const LEASE = "/apis/coordination.k8s.io/v1/namespaces/outrigger-system/leases/outrigger-leader";
const CONFIGURATION = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/outrigger";
const ROOTS = "/api/v1/namespaces/shop/configmaps/outrigger-ca-roots";
const NAME = "outrigger-control-plane.outrigger-system.svc";
const ROUTE = "/apis/gateway.networking.k8s.io/v1/namespaces/shop/httproutes/r";
const LIMIT = { timeout: 240_000 };

const dir = fs.mkdtempSync(path.join(os.tmpdir(), "outrigger-in-cluster-"));
const server = new FakeApiServer(dir);
const { cluster } = server;
const running: Plane[] = [];

class Plane {
  readonly ports: { readonly xds: number; readonly status: number; readonly webhook: number };
  readonly child: ChildProcess;
  readonly ended: Promise<number | null>;
  log = "";

  constructor(ports: Plane["ports"], name: string, ...more: readonly string[]) {
    this.ports = ports;
    const args = [
      "control-plane",
      "--kubernetes",
      "--namespace=outrigger-system",
      "--revision=default",
      "--service=outrigger-control-plane",
      "--cluster-domain=cluster.local",
      "--trust-domain=cluster.local",
      "--host=127.0.0.1",
      `--xds-tls-port=${ports.xds}`,
      "--status-host=127.0.0.1",
      `--status-port=${ports.status}`,
      `--state=${path.join(dir, name)}`,
      "--lease=outrigger-leader",
      "--ca-secret=outrigger-ca",
      "--roots-config-map=outrigger-ca-roots",
      "--token-audience=outrigger-ca",
      `--webhook-port=${ports.webhook}`,
      "--webhook-configuration=outrigger",
      `--injector-settings=${path.join(dir, "settings.yaml")}`,
      "--log-level=info",
      ...more,
    ];
    const env = { PATH: process.env["PATH"], HOME: dir, POD_NAME: name, ...server.environment };
    this.child = spawn(process.execPath, [MAIN, ...args], { env, stdio: ["ignore", "ignore", "pipe"] });
    this.child.stderr?.on("data", (chunk: Buffer) => (this.log += chunk.toString()));
    this.ended = new Promise((resolve) => this.child.once("exit", resolve));
    running.push(this);
  }

  /** Status and body; status 0: nobody answers. */
  ask(pathname: string): Promise<readonly [number, string]> {
    return new Promise((resolve) => {
      const request = http.get({ host: "127.0.0.1", port: this.ports.status, path: pathname }, (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("end", () => resolve([response.statusCode ?? 0, Buffer.concat(chunks).toString()]));
      });
      request.on("error", () => resolve([0, ""]));
    });
  }

  async ready(): Promise<void> {
    await eventually(`${this.log} ready`, async () => (await this.ask("/ready"))[0] === 200);
  }

  stop(): Promise<number | null> {
    this.child.kill("SIGTERM");
    return this.ended;
  }
}

async function eventually(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let i = 0; i < 1500; i++) {
    if (await holds()) return;
    await sleep(systemClock, 50);
  }
  throw new Error(`it never came: ${what}`);
}

/** Free ports, as far as one can know. */
async function freePorts(): Promise<Plane["ports"]> {
  const servers = [0, 1, 2].map(() => createServer());
  await Promise.all(servers.map((one) => new Promise<void>((resolve) => one.listen(0, "127.0.0.1", resolve))));
  const [xds = 0, status = 0, webhook = 0] = servers.map((one) => (one.address() as AddressInfo).port);
  for (const one of servers) one.close();
  return { xds, status, webhook };
}

const holder = (): string => textAt(objectAt(cluster.get(LEASE) ?? {}, "spec"), "holderIdentity");
const roots = (): string => textAt(objectAt(cluster.get(ROOTS) ?? {}, "data"), "root-cert.pem");
const jwt = (name: string): string => `eyJhbGciOiJSUzI1NiJ9.${Buffer.from(name).toString("base64url")}.c2ln`;

/** Takes the next step of a root's rotation, and waits until it is taken. */
async function rotate(): Promise<void> {
  const secret = cluster.get(SECRET) ?? {};
  const metadata = { ...objectAt(secret, "metadata"), annotations: { "outrigger.dev/rotate-root": "next" } };
  cluster.put(SECRET, { ...secret, metadata });
  const asked = (): boolean =>
    "outrigger.dev/rotate-root" in objectAt(objectAt(cluster.get(SECRET) ?? {}, "metadata"), "annotations");
  await eventually("the step is taken", () => !asked());
}

function review(port: number, ca: string): Promise<JsonObject> {
  return new Promise((resolve, reject) => {
    const options = { host: "127.0.0.1", port, servername: NAME, ca, path: "/inject", method: "POST", agent: false };
    const request = https.request({ ...options, headers: { "content-type": "application/json" } }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("end", () => resolve(responseOf(JSON.parse(Buffer.concat(chunks).toString()))));
    });
    request.on("error", reject);
    request.end(JSON.stringify(reviewOf(deploymentPod, { namespace: "shop" })));
  });
}

before(async () => {
  await server.listen();
  fs.writeFileSync(path.join(dir, "settings.yaml"), "image: registry/outrigger:1\nlogLevel: info\n");
  cluster.put("/api/v1/namespaces/shop", { metadata: { labels: { "outrigger.dev/inject": "enabled" } } });
  cluster.put("/api/v1/namespaces/shop/services/orders", service("orders"));
  cluster.put("/api/v1/namespaces/shop/pods/orders-1", pod("orders-1", "10.1.0.1", true));
  cluster.put(
    "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices/orders-x",
    slice("orders-x", "orders", [{ pod: "orders-1", address: "10.1.0.1" }]),
  );
  cluster.put(CONFIGURATION, {
    webhooks: [
      { name: "a", clientConfig: {} },
      { name: "b", clientConfig: {} },
    ],
  });
  cluster.put(ROUTE, httpRoute("r", serviceRef("orders"), serviceRef("orders")));
  cluster.review = (spec) => {
    const [, body = ""] = textAt(spec, "token").split(".");
    const [account = "", until = ""] = Buffer.from(body, "base64url").toString().split(" ");
    if (until === "expired") return { authenticated: false, error: "[invalid bearer token, token has expired]" };
    const extra = {
      "authentication.kubernetes.io/pod-name": ["orders-1"],
      "authentication.kubernetes.io/pod-uid": ["u1"],
    };
    return {
      authenticated: true,
      audiences: ["outrigger-ca"],
      user: { username: `system:serviceaccount:${account}`, extra },
    };
  };
});

afterEach(async () => {
  server.away(false);
  for (const plane of running.splice(0)) {
    plane.child.kill("SIGKILL");
    await plane.ended;
  }
});
after(async () => {
  await server.close();
  fs.rmSync(dir, { recursive: true, force: true });
});

test("it makes a mesh of a cluster: CA, roots, webhook, and gives the Lease back at its end", LIMIT, async () => {
  const ports = await freePorts();
  const plane = new Plane(ports, "one");
  await plane.ready();
  assert.deepEqual(await plane.ask("/live"), [200, "LIVE\n"]);
  await eventually("it leads", () => holder().startsWith("one_"));
  await eventually("the roots are published", () => roots() !== "");
  const bundles = (): readonly string[] =>
    objectsAt(cluster.get(CONFIGURATION) ?? {}, "webhooks").map((one) =>
      textAt(objectAt(one, "clientConfig"), "caBundle"),
    );
  await eventually("the webhook's configuration has them", () => bundles().every((bundle) => bundle !== ""));
  const trusted = Buffer.from(bundles()[0] ?? "", "base64").toString();
  assert.equal(trusted, roots());

  const parents = (): readonly JsonObject[] => objectsAt(objectAt(cluster.get(ROUTE) ?? {}, "status"), "parents");
  await eventually("the route's status says who is its controller", () => parents().length > 0);
  assert.equal(textAt(parents()[0] ?? {}, "controllerName"), "outrigger.dev/controller");

  const answer = await review(ports.webhook, trusted);
  assert.equal(answer["allowed"], true);
  assert.match(Buffer.from(textAt(answer, "patch"), "base64").toString(), /registry\/outrigger:1/);
  const [, metrics] = await plane.ask("/metrics");
  assert.match(metrics, /outrigger_injector_reviews_total\{outcome="injected"\} 1/);
  assert.match(metrics, /outrigger_control_plane_leader 1/);
  assert.match(metrics, /outrigger_control_plane_ca_secret_in_force 1/);
  assert.match(metrics, /outrigger_control_plane_info\{version="[^"]+",revision="default"\} 1/);
  assert.match((await plane.ask("/status"))[1], /"name": "orders"/);

  assert.equal(await plane.stop(), 0);
  assert.equal(holder(), "");
});

test("it waits for an API server that is away at the start, says so, and can be stopped meanwhile", LIMIT, async () => {
  server.away(true);
  const plane = new Plane(await freePorts(), "two");
  await eventually("it answers", async () => (await plane.ask("/live"))[0] === 200);
  const [status, why] = await plane.ask("/ready");
  assert.equal(status, 503);
  assert.match(why, /waiting for .*its configuration.*its CA/);
  await eventually(
    "the log says so",
    () => plane.log.includes("waiting for") && plane.log.includes("the server is away"),
  );
  assert.equal(plane.child.exitCode, null);
  assert.equal(await plane.stop(), 0);

  const other = new Plane(await freePorts(), "two");
  await eventually("it answers", async () => (await other.ask("/live"))[0] === 200);
  server.away(false);
  await other.ready();
  assert.equal(await other.stop(), 0);
});

test("of two one leads; killing it loses nothing, and both sign with one root", LIMIT, async () => {
  const [one, two] = [new Plane(await freePorts(), "first"), new Plane(await freePorts(), "second")];
  await Promise.all([one.ready(), two.ready()]);
  await eventually("one leads", () => holder() !== "");
  const [leader, follower] = holder().startsWith("first_") ? [one, two] : [two, one];
  const trusted = roots();
  for (const plane of [one, two]) assert.equal((await review(plane.ports.webhook, trusted))["allowed"], true);
  const before = cluster.get(SECRET);
  const name = holder();
  leader.child.kill("SIGKILL");
  await eventually("the other leads", () => holder() !== name && holder() !== "");
  await eventually("it says so", async () =>
    /outrigger_control_plane_leader 1/.test((await follower.ask("/metrics"))[1]),
  );
  assert.deepEqual(cluster.get(SECRET), before);
  assert.equal((await review(follower.ports.webhook, trusted))["allowed"], true);
});

test(
  "a pod's sidecar renews by the token of the moment, also from a control plane that was started anew",
  LIMIT,
  async () => {
    const ports = await freePorts();
    let plane = new Plane(ports, "three");
    await plane.ready();
    await eventually("the roots are published", () => roots() !== "");
    const [token, bundle] = [path.join(dir, "pod-token"), path.join(dir, "pod-roots.pem")];
    fs.writeFileSync(token, jwt("shop:orders first"));
    fs.writeFileSync(bundle, roots());
    const problems: string[] = [];
    const orders = { trustDomain: "cluster.local", namespace: "shop", serviceAccount: "orders" };
    const identity: WorkloadIdentity = new WorkloadIdentity({
      identity: orders,
      clock: systemClock,
      random: systemRandom,
      backoff: { baseMs: 50, maxMs: 200 },
      onError: (error) => problems.push(error.message),
      issue: caIssuer({
        host: "127.0.0.1",
        port: ports.xds,
        serverName: NAME,
        spiffeId: formatIdentity(controlPlaneIdentity("cluster.local")),
        token: tokenFile(token),
        tokenAlways: true,
        roots: rootsFile(bundle),
        certificate: () => identity.certificate.get(),
        clock: systemClock,
      }),
    });
    try {
      identity.start();
      const first = await nextValue(identity.certificate);
      assert.deepEqual(inspectCertificates(first.chainPem)[0]?.uris, [formatIdentity(orders)]);

      assert.equal(await plane.stop(), 0);
      fs.writeFileSync(token, jwt("shop:orders expired"));
      identity.renew();
      await eventually("there is nobody to renew by", () => problems.length > 0);
      plane = new Plane(ports, "three-again");
      await plane.ready();
      await eventually("a token that has expired is refused", () =>
        problems.some((text) => /token has expired/.test(text)),
      );
      assert.equal(identity.certificate.get(), first, "the certificate in force stays");
      fs.writeFileSync(token, jwt("shop:orders second"));
      const second = await nextValue(identity.certificate, (certificate) => certificate !== first);
      assert.equal(second.rootsPem, first.rootsPem, "the root outlives the control plane");

      server.away(true);
      problems.length = 0;
      identity.renew();
      await eventually("no token can be reviewed", () =>
        problems.some((text) => /cannot answer: the API server/.test(text)),
      );
      assert.equal((await plane.ask("/ready"))[0], 200, "what is known is served");
      server.away(false);
      await nextValue(identity.certificate, (certificate) => certificate !== second);
    } finally {
      identity.stop();
    }
  },
);

test(
  "a root is replaced under a sidecar, which finds a control plane that only the new one vouches for",
  LIMIT,
  async () => {
    const ports = await freePorts();
    let plane = new Plane(ports, "four");
    await plane.ready();
    await eventually("the roots are published", () => roots() !== "");
    const [token, bundle] = [path.join(dir, "sidecar-token"), path.join(dir, "sidecar-roots.pem")];
    fs.writeFileSync(token, jwt("shop:orders sidecar"));
    fs.writeFileSync(bundle, roots());
    const where = ["--control-plane", `127.0.0.1:${ports.xds}`, "--state", path.join(dir, "sidecar")];
    const who = [
      "--namespace",
      "shop",
      "--service",
      "orders",
      "--service-account",
      "orders",
      "--port",
      "8080",
      "--drain-time-s",
      "1",
    ];
    const proof = ["--token-file", token, "--roots-file", bundle];
    const program = [process.execPath, "-e", "setInterval(() => {}, 1000)"];
    const sidecar = spawn(process.execPath, [MAIN, "sidecar", ...where, ...who, ...proof, "--", ...program], {
      env: { PATH: process.env["PATH"], HOME: dir },
      stdio: ["ignore", "ignore", "pipe"],
    });
    let log = "";
    sidecar.stderr.on("data", (chunk: Buffer) => (log += chunk.toString()));
    const ended = new Promise((resolve) => sidecar.once("exit", resolve));
    try {
      const served = async (): Promise<boolean> => {
        const { workloads = [] } = JSON.parse((await plane.ask("/status"))[1] || "{}") as {
          readonly workloads?: readonly { readonly node: string; readonly stream: unknown }[];
        };
        return workloads.some(({ node, stream }) => node.startsWith("orders.shop~") && stream !== null);
      };
      await eventually("the sidecar has its configuration", served);
      const before = roots();
      await rotate();
      await eventually("both roots are published", () => roots().length > before.length);
      await rotate();
      const certificates = (): number => plane.log.split("certificate issued").length;
      const issued = certificates();
      await rotate();
      await eventually("whose root was retired asks for another certificate", () => certificates() > issued);
      assert.ok(!roots().includes(before));

      assert.equal(await plane.stop(), 0);
      plane = new Plane(ports, "four-again");
      await plane.ready();
      await eventually(`the sidecar is back: ${log}`, served);
    } finally {
      // Its program ends with it, and with that the pipe that both write to.
      sidecar.kill("SIGTERM");
      await ended;
    }
  },
);
