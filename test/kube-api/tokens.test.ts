/** Who the CA takes for a workload, by tokens that a real API server made and judges. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { generateKeyPair } from "../../certs/key.ts";
import { AuthenticationError, AuthenticationUnavailable } from "../../control-plane/ca/authenticate.ts";
import { ServiceAccountAuthenticator, tokenReviewBy } from "../../control-plane/ca/token-review.ts";
import type { Json } from "../../control-plane/kubernetes/api.ts";
import { objectAt, textAt } from "../../control-plane/kubernetes/objects/fields.ts";
import { systemClock } from "../../core/clock.ts";
import { type KubeApiServer, sharedKubeApi } from "../support/kube-api.ts";
import { refOf } from "../support/kube-client.ts";
import { podObject } from "../support/kube-objects.ts";
import { eventually } from "../support/running-workers.ts";

const kube = sharedKubeApi();
const AUDIENCE = "outrigger-ca";

function authenticator(server: KubeApiServer): ServiceAccountAuthenticator {
  const api = server.httpApi();
  return new ServiceAccountAuthenticator({
    trustDomain: "example.org",
    audiences: [AUDIENCE],
    create: tokenReviewBy(({ body, ...call }) =>
      api.call({ ...call, body: body as unknown as Json }, AbortSignal.timeout(10_000)),
    ),
    clock: systemClock,
  });
}

interface Workload {
  readonly namespace: string;
  readonly pod: { readonly name: string; readonly uid: string };
  remove(): Promise<void>;
}

/** A namespace with the account `orders`, and a pod of it. */
async function workload({ admin }: KubeApiServer, namespace: string): Promise<Workload> {
  await admin.namespace(namespace);
  await admin.serviceAccount(namespace, "orders");
  const created = await admin.create(podObject(namespace, "orders-1", {}, { serviceAccountName: "orders" }));
  const pod = { name: "orders-1", uid: textAt(objectAt(created, "metadata"), "uid") };
  return { namespace, pod, remove: () => admin.delete(refOf(created)) };
}

test("a pod's token for the CA is its service account's identity", async (t) => {
  const server = kube(t);
  if (server === null) return;
  const { namespace, pod } = await workload(server, "good");
  const ca = authenticator(server);
  for (const audiences of [[AUDIENCE], ["somebody-else", AUDIENCE]]) {
    const token = await server.admin.token(namespace, "orders", { audiences, pod });
    assert.ok(ca.accepts(token));
    const identity = await ca.identify(token);
    assert.deepEqual(identity, { trustDomain: "example.org", namespace: "good", serviceAccount: "orders" });
  }
});

test("a token for anybody else is none for the CA", async (t) => {
  const server = kube(t);
  if (server === null) return;
  const { namespace, pod } = await workload(server, "audiences");
  // Without an audience it is for the API server.
  for (const audiences of [[], ["somebody-else"]]) {
    const token = await server.admin.token(namespace, "orders", { audiences, pod });
    await assert.rejects(authenticator(server).identify(token), AuthenticationError);
  }
});

test("a token that is bound to no pod proves nothing", async (t) => {
  const server = kube(t);
  if (server === null) return;
  const { namespace } = await workload(server, "unbound");
  const token = await server.admin.token(namespace, "orders", { audiences: [AUDIENCE] });
  await assert.rejects(authenticator(server).identify(token), {
    name: "AuthenticationError",
    message: /not bound to a pod/,
  });
});

test("a token ends with its pod, also where another of that name follows", async (t) => {
  const server = kube(t);
  if (server === null) return;
  const { namespace, pod, remove } = await workload(server, "gone");
  const [first, second] = await Promise.all(
    [0, 1].map(() => server.admin.token(namespace, "orders", { audiences: [AUDIENCE], pod })),
  );
  await remove();
  await eventually(() => refused(server, first));
  await server.admin.create(podObject(namespace, pod.name, {}, { serviceAccountName: "orders" }));
  assert.ok(await refused(server, second));
});

test("a token ends with its service account, also where another of that name follows", async (t) => {
  const server = kube(t);
  if (server === null) return;
  const { namespace, pod } = await workload(server, "account-gone");
  const token = await server.admin.token(namespace, "orders", { audiences: [AUDIENCE], pod });
  await server.admin.delete({ apiVersion: "v1", kind: "ServiceAccount", namespace, name: "orders" });
  await server.admin.serviceAccount(namespace, "orders");
  await eventually(() => refused(server, token));
});

test("a token is good from its beginning to its end", async (t) => {
  const server = kube(t);
  if (server === null) return;
  const { namespace, pod } = await workload(server, "expired");
  const token = await server.admin.token(namespace, "orders", { audiences: [AUDIENCE], pod });
  const now = Math.floor(Date.now() / 1000);
  // Signed anew it is as good as before: so it is the time alone that is refused below.
  assert.equal(await refused(server, server.resigned(token, { iat: now - 1 })), false);
  for (const claims of [
    { iat: now - 900, nbf: now - 900, exp: now - 300 },
    { iat: now + 3600, nbf: now + 3600, exp: now + 7200 },
  ]) {
    const ca = authenticator(server);
    await assert.rejects(ca.identify(server.resigned(token, claims)), AuthenticationError);
  }
});

test("what the API server has not signed is nobody's", async (t) => {
  const server = kube(t);
  if (server === null) return;
  const { namespace, pod } = await workload(server, "garbage");
  const ca = authenticator(server);
  const token = await server.admin.token(namespace, "orders", { audiences: [AUDIENCE], pod });
  const [header = "", payload = "", signature = ""] = token.split(".");
  const none = Buffer.from(JSON.stringify({ alg: "none" })).toString("base64url");
  const forged = [
    server.resigned(token, {}, generateKeyPair().privateKey),
    `${header}.${payload}.${signature.slice(0, -4)}AAAA`,
    `${none}.${payload}.AA`,
    `${header}.AAAA.${signature}`,
    "eyJ.x.y",
  ];
  for (const text of forged) await assert.rejects(ca.identify(text), AuthenticationError, text);
  assert.equal(ca.accepts(""), false);
  assert.equal(ca.accepts("join-token"), false);
});

test("while the API server is away nobody is refused for good", async (t) => {
  const server = kube(t);
  if (server === null) return;
  const { namespace, pod } = await workload(server, "away");
  const token = await server.admin.token(namespace, "orders", { audiences: [AUDIENCE], pod });
  await server.stopApiServer();
  await assert.rejects(authenticator(server).identify(token), AuthenticationUnavailable);
  await server.startApiServer();
  assert.equal(await refused(server, token), false);
});

async function refused(server: KubeApiServer, token: string | undefined): Promise<boolean> {
  try {
    await authenticator(server).identify(token ?? "");
    return false;
  } catch (error) {
    assert.ok(error instanceof AuthenticationError, String(error));
    return true;
  }
}
