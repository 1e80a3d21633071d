import assert from "node:assert/strict";
import * as fs from "node:fs";
import https from "node:https";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import tls from "node:tls";
import { CertificateAuthority } from "../../certs/ca.ts";
import { generateKeyPair, privateKeyToPem } from "../../certs/key.ts";
import { systemClock } from "../../core/clock.ts";
import { WatchCell } from "../../core/watch.ts";
import type { JsonValue } from "../json.ts";
import { until } from "../testing/until.ts";
import type { InjectionEvent } from "./admission.ts";
import { deploymentPod, hostNetworkPod, namespace, SETTINGS } from "./testing/pods.ts";
import { patchedBy, responseOf, reviewOf } from "./testing/reviews.ts";
import { type ServingCertificate, startWebhook, type Webhook } from "./webhook.ts";

const NAME = "outrigger-injector.outrigger-system.svc";
const dir = fs.mkdtempSync(path.join(os.tmpdir(), "outrigger-webhook-"));
const ca = new CertificateAuthority({ stateDir: dir, trustDomain: "mesh.test", clock: systemClock });
const roots = ca.bundle.get() ?? "";
const certificate = new WatchCell<ServingCertificate>();
const events: InjectionEvent[] = [];
const outcomes: string[] = [];
const injectedInto: string[] = [];
const errors: string[] = [];
const log = {
  debug() {},
  info() {},
  warn() {},
  error: (_: object, message: string) => void errors.push(message),
};

let webhook: Webhook;
/** What a namespace look-up answers. */
let lookUp: () => Promise<ReturnType<typeof namespace>> = async () => namespace("shop");

function issue(): ServingCertificate {
  const keys = generateKeyPair();
  return {
    chainPem: ca.issue(keys.publicKey, [{ type: "dns", value: NAME }], null).chainPem,
    keyPem: privateKeyToPem(keys.privateKey),
  };
}

before(async () => {
  certificate.set(issue());
  webhook = await startWebhook({
    host: "127.0.0.1",
    port: 0,
    certificate,
    log,
    settings: SETTINGS,
    namespace: () => lookUp(),
    onEvent: (event) => {
      events.push(event);
      throw new Error("no API server");
    },
    clock: systemClock,
    onReview: (outcome, seconds) => {
      assert.ok(seconds >= 0);
      outcomes.push(outcome);
    },
    onInjected: (space) => injectedInto.push(space),
  });
});

after(async () => {
  await webhook.close();
  fs.rmSync(dir, { recursive: true, force: true });
});

interface Asked {
  readonly status: number;
  readonly body: string;
}

function ask(body: string | Buffer, options: https.RequestOptions = {}): Promise<Asked> {
  return new Promise((resolve, reject) => {
    const request = https.request(
      {
        host: "127.0.0.1",
        port: webhook.port,
        servername: NAME,
        ca: roots,
        method: "POST",
        path: "/inject?timeout=10s",
        headers: { "content-type": "application/json" },
        ...options,
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("end", () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString() }));
      },
    );
    request.on("error", reject);
    request.end(body);
  });
}

test("a review is answered with a patch", async () => {
  const { status, body } = await ask(JSON.stringify(reviewOf(deploymentPod)));
  assert.equal(status, 200);
  const patched = patchedBy(JSON.parse(body) as JsonValue, deploymentPod) as { metadata: { labels: object } };
  assert.deepEqual(patched.metadata.labels, {
    app: "web",
    tier: "frontend",
    "pod-template-hash": "7d4b9c6f5d",
    "outrigger.dev/sidecar": "injected",
  });
  assert.equal(outcomes.at(-1), "injected");
  assert.deepEqual(injectedInto, ["shop"]);
});

test("an event that cannot be written holds up no answer", async () => {
  const { status, body } = await ask(JSON.stringify(reviewOf(hostNetworkPod)));
  assert.equal(status, 200);
  assert.equal(responseOf(JSON.parse(body) as JsonValue)["allowed"], true);
  await until("the event was handed on", () => events.length === 1);
});

test("garbage is told what is wrong with it, and the next review is answered", async () => {
  const post = (body: string | Buffer, headers: Record<string, string> = {}) =>
    ask(body, { headers: { "content-type": "application/json", ...headers } });
  assert.equal((await post("not JSON")).status, 400);
  assert.equal((await post(Buffer.from([0xff, 0xfe, 0x7b]))).status, 400);
  assert.equal((await post("")).status, 400);
  assert.match((await post("{}")).body, /expected an AdmissionReview/);
  assert.equal((await post("{}", { "content-type": "text/plain" })).status, 415);
  assert.equal((await ask("", { method: "GET" })).status, 405);
  assert.equal((await ask("{}", { path: "/other" })).status, 404);
  assert.equal((await ask("", { method: "GET", path: "/healthz/ready" })).status, 200);
  assert.equal((await ask(JSON.stringify(reviewOf(deploymentPod)))).status, 200);
});

test("a body that is too long is not read to its end, whether or not it says so", async () => {
  const long = Buffer.alloc(8 * 1024 * 1024 + 1, 0x20);
  for (const headers of [{ "content-length": String(long.length) }, { "transfer-encoding": "chunked" }]) {
    const answer = await ask(long, { headers: { "content-type": "application/json", ...headers } }).catch(
      (error: NodeJS.ErrnoException) => error.code ?? "",
    );
    // Who goes on sending may be cut off before the answer has come.
    if (typeof answer === "string") assert.match(answer, /EPIPE|ECONNRESET/);
    else assert.equal(answer.status, 413);
  }
});

test("who only announces such a body is answered before it comes", async () => {
  const status = await new Promise<number | undefined>((resolve, reject) => {
    const request = https.request({
      host: "127.0.0.1",
      port: webhook.port,
      servername: NAME,
      ca: roots,
      method: "POST",
      path: "/inject",
      headers: { "content-type": "application/json", "content-length": 9 * 1024 * 1024 },
    });
    request.on("response", (response) => {
      resolve(response.statusCode);
      request.destroy();
    });
    request.on("error", reject);
    request.flushHeaders();
  });
  assert.equal(status, 413);
});

test("what is deeper than any pod leaves the decision to the failure policy", async () => {
  const depth = 200_000;
  const deep = `${"[".repeat(depth)}${"]".repeat(depth)}`;
  const text = JSON.stringify(reviewOf({ ...deploymentPod, deep: "DEEP" })).replace('"DEEP"', deep);
  const { status } = await ask(text);
  assert.ok([200, 400, 500].includes(status), String(status));
  assert.equal((await ask(JSON.stringify(reviewOf(deploymentPod)))).status, 200);
});

test("a fault of the injector's own is answered 500, and logged", async () => {
  const before = lookUp;
  lookUp = () => {
    throw new Error("broken");
  };
  const { status, body } = await ask(JSON.stringify(reviewOf(deploymentPod)));
  lookUp = before;
  assert.equal(status, 500);
  assert.doesNotMatch(body, /broken/);
  assert.match(errors.join(), /failurePolicy/);
  assert.equal(outcomes.at(-1), "failed");
});

test("a new certificate serves new connections, while one that is open goes on", async () => {
  const agent = new https.Agent({ keepAlive: true, maxSockets: 1 });
  const open = () => ask(JSON.stringify(reviewOf(deploymentPod)), { agent });
  assert.equal((await open()).status, 200);
  const [socket] = Object.values(agent.freeSockets).flatMap((sockets) => sockets ?? []);
  const serial = await servedSerial();
  certificate.set(issue());
  assert.notEqual(await servedSerial(), serial);
  assert.equal((await open()).status, 200);
  assert.equal(Object.values(agent.freeSockets).flatMap((sockets) => sockets ?? [])[0], socket);
  agent.destroy();
});

test("a certificate that cannot be used leaves the old one in force", async () => {
  const serial = await servedSerial();
  certificate.set({ chainPem: "no certificate", keyPem: "no key" });
  assert.equal(await servedSerial(), serial);
  assert.match(errors.join(), /old one serves on/);
});

function servedSerial(): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = tls.connect({ host: "127.0.0.1", port: webhook.port, servername: NAME, ca: roots }, () => {
      resolve(socket.getPeerCertificate().serialNumber);
      socket.destroy();
    });
    socket.once("error", reject);
  });
}
