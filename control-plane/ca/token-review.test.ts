import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { SimulatedClock } from "../../core/clock.ts";
import { AuthenticationError, AuthenticationUnavailable } from "./authenticate.ts";
import {
  type CreateTokenReview,
  ServiceAccountAuthenticator,
  type TokenReview,
  tokenReviewBy,
} from "./token-review.ts";

const AUDIENCE = "outrigger-ca";
const TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl";

/** What an API server says of a pod's own token. */
const GOOD = {
  authenticated: true,
  audiences: [AUDIENCE],
  user: {
    username: "system:serviceaccount:shop:orders",
    uid: "5d2c",
    groups: ["system:serviceaccounts", "system:serviceaccounts:shop", "system:authenticated"],
    extra: {
      "authentication.kubernetes.io/pod-name": ["orders-0"],
      "authentication.kubernetes.io/pod-uid": ["a1b2"],
    },
  },
};

function authenticator(create: CreateTokenReview, clock = new SimulatedClock()): ServiceAccountAuthenticator {
  return new ServiceAccountAuthenticator({ trustDomain: "mesh.test", audiences: [AUDIENCE], create, clock });
}

const answering = (status: unknown) => authenticator(async () => ({ kind: "TokenReview", status }));

test("a pod's token makes it its service account", async () => {
  const asked: TokenReview[] = [];
  const identity = await authenticator(async (review) => {
    asked.push(review);
    return { status: GOOD };
  }).identify(TOKEN);
  assert.deepEqual(identity, { trustDomain: "mesh.test", namespace: "shop", serviceAccount: "orders" });
  assert.deepEqual(asked, [
    { apiVersion: "authentication.k8s.io/v1", kind: "TokenReview", spec: { token: TOKEN, audiences: [AUDIENCE] } },
  ]);
});

test("the API server is asked at its own place", async () => {
  const asked: object[] = [];
  const create = tokenReviewBy(async (call) => {
    asked.push({ method: call.method, path: call.path, token: call.body.spec.token });
    return { status: GOOD };
  });
  assert.equal((await authenticator(create).identify(TOKEN)).serviceAccount, "orders");
  assert.deepEqual(asked, [{ method: "POST", path: "/apis/authentication.k8s.io/v1/tokenreviews", token: TOKEN }]);
});

test("only what looks like a JWT is taken, so that join tokens stay join tokens", () => {
  const one = answering(GOOD);
  assert.equal(one.accepts(TOKEN), true);
  const secret = "A".repeat(43);
  for (const token of ["", "x", "a.b", `${TOKEN}.x`, `orj1.${secret}.${secret}`, `eyJ${"a".repeat(20_000)}.b.c`]) {
    assert.equal(one.accepts(token), false, token.slice(0, 20));
  }
});

for (const [what, status, reason] of [
  [
    "an expired one, with the API server's words",
    { authenticated: false, error: "[invalid bearer token, token has expired]" },
    /token has expired.*audience outrigger-ca/,
  ],
  ["one that the API server does not accept", { ...GOOD, authenticated: "true" }, /does not accept/],
  ["one for another audience", { ...GOOD, audiences: ["https://kubernetes.default.svc"] }, /not for the mesh's CA/],
  ["an API server that does not look at audiences", { ...GOOD, audiences: undefined }, /not for the mesh's CA/],
  ["a person", { ...GOOD, user: { ...GOOD.user, username: "alice" } }, /"alice"'s, who is no service account/],
  ["a node", { ...GOOD, user: { ...GOOD.user, username: "system:node:n1" } }, /no service account/],
  [
    "a name that is no service account's",
    { ...GOOD, user: { ...GOOD.user, username: "system:serviceaccount:shop:a/b" } },
    /no service account/,
  ],
  ["one without a pod", { ...GOOD, user: { ...GOOD.user, extra: {} } }, /not bound to a pod/],
  [
    "one with half of a pod",
    { ...GOOD, user: { ...GOOD.user, extra: { "authentication.kubernetes.io/pod-name": ["orders-0"] } } },
    /not bound to a pod/,
  ],
  ["an empty answer", undefined, /does not accept/],
] as const) {
  test(`refused: ${what}`, async () => {
    await assert.rejects(answering(status).identify(TOKEN), (error) => {
      assert.ok(error instanceof AuthenticationError);
      assert.match(error.message, reason);
      assert.doesNotMatch(error.message, new RegExp(TOKEN));
      return true;
    });
  });
}

test("whatever is answered, nobody becomes somebody by mistake", async () => {
  await fc.assert(
    fc.asyncProperty(fc.jsonValue(), async (answer) => {
      await assert.rejects(authenticator(async () => answer).identify(TOKEN), AuthenticationError);
    }),
  );
});

test("an API server that cannot be asked is no refusal", async () => {
  const cause = new Error("connect ECONNREFUSED");
  await assert.rejects(authenticator(() => Promise.reject(cause)).identify(TOKEN), (error) => {
    assert.ok(error instanceof AuthenticationUnavailable);
    assert.equal(error.cause, cause);
    return true;
  });
});

test("nor is one that does not answer in time", async () => {
  const clock = new SimulatedClock();
  const asked = authenticator(() => new Promise(() => undefined), clock).identify(TOKEN);
  const refused = assert.rejects(asked, AuthenticationUnavailable);
  clock.advance(5000);
  await refused;
});
