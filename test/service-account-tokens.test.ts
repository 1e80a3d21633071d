/** Certificates for pods: a service-account token out of a file, reviewed anew for each of them, over the wire. */
import assert from "node:assert/strict";
import * as fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { CertificateAuthority } from "../certs/ca.ts";
import { inspectCertificates } from "../certs/inspect.ts";
import { JoinTokens, readRootPins } from "../certs/join-token.ts";
import { WorkloadIdentity } from "../certs/rotation.ts";
import { caIssuer } from "../control-client/ca/ca-client.ts";
import { rootsFile, tokenFile } from "../control-client/ca/token-file.ts";
import { CaService, caServiceDefinition } from "../control-plane/ca/ca-service.ts";
import { ServiceAccountAuthenticator, type TokenReview } from "../control-plane/ca/token-review.ts";
import { bindGrpc } from "../control-plane/grpc-ports.ts";
import { serverIdentity } from "../control-plane/server-credentials.ts";
import { until } from "../control-plane/testing/until.ts";
import { systemClock } from "../core/clock.ts";
import { systemRandom } from "../core/random.ts";
import { nextValue } from "../core/watch.ts";
import { controlPlaneIdentity, formatIdentity } from "../model/identity.ts";

const ORDERS = { trustDomain: "mesh.test", namespace: "shop", serviceAccount: "orders" };
const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const jwt = (name: string): string => `eyJhbGciOiJSUzI1NiJ9.${Buffer.from(name).toString("base64url")}.c2ln`;

let dir: string;
let reviews: TokenReview[];
/** What the API server answers. */
let answer: (review: TokenReview) => Promise<unknown>;
let plane: { readonly port: number; readonly tokens: JoinTokens; close(): void };
let workload: WorkloadIdentity | null;
let problems: string[];

beforeEach(async () => {
  dir = fs.mkdtempSync(path.join(os.tmpdir(), "outrigger-tokens-"));
  reviews = [];
  problems = [];
  workload = null;
  answer = async () => ({ status: statusOf("system:serviceaccount:shop:orders") });
  const ca = new CertificateAuthority({ stateDir: dir, trustDomain: "mesh.test", clock: systemClock });
  const tokens = new JoinTokens(dir, systemClock);
  const accounts = new ServiceAccountAuthenticator({
    trustDomain: "mesh.test",
    audiences: ["outrigger-ca"],
    clock: systemClock,
    create: (review) => {
      reviews.push(review);
      return answer(review);
    },
  });
  const service = new CaService({ ca, joinTokens: tokens, tokens: [accounts], clock: systemClock, log: quiet });
  const identity = await serverIdentity(ca, systemClock, systemRandom, quiet);
  const services = [{ definition: caServiceDefinition, implementation: service.implementation }];
  const port = await bindGrpc("127.0.0.1", 0, identity.credentials, services);
  plane = {
    port: port.port,
    tokens,
    close: () => {
      port.close();
      identity.stop();
    },
  };
  fs.writeFileSync(path.join(dir, "roots.pem"), ca.bundle.get() ?? "");
  fs.writeFileSync(path.join(dir, "token"), jwt("first"));
});

afterEach(() => {
  workload?.stop();
  plane.close();
  fs.rmSync(dir, { recursive: true, force: true });
});

function statusOf(username: string) {
  const extra = {
    "authentication.kubernetes.io/pod-name": ["orders-0"],
    "authentication.kubernetes.io/pod-uid": ["a1b2"],
  };
  return { authenticated: true, audiences: ["outrigger-ca"], user: { username, extra } };
}

function start(token: () => string = tokenFile(path.join(dir, "token")), tokenAlways = true): WorkloadIdentity {
  const identity: WorkloadIdentity = new WorkloadIdentity({
    identity: ORDERS,
    clock: systemClock,
    random: systemRandom,
    backoff: { baseMs: 20, maxMs: 50 },
    onError: (error) => problems.push(error.message),
    issue: caIssuer({
      host: "127.0.0.1",
      port: plane.port,
      spiffeId: formatIdentity(controlPlaneIdentity("mesh.test")),
      token,
      tokenAlways,
      roots: rootsFile(path.join(dir, "roots.pem")),
      certificate: () => identity.certificate.get(),
      clock: systemClock,
    }),
  });
  workload = identity;
  identity.start();
  return identity;
}

test("a pod's token gets its service account's certificate, and each renewal shows the token of the moment", async () => {
  const identity = start();
  const first = await nextValue(identity.certificate);
  const names = inspectCertificates(first.chainPem)[0]?.uris;
  assert.deepEqual(names, [formatIdentity(ORDERS)]);

  fs.writeFileSync(path.join(dir, "token"), jwt("second"));
  identity.renew();
  await nextValue(identity.certificate, (certificate) => certificate !== first);
  assert.deepEqual(
    reviews.map(({ spec }) => spec.token),
    [jwt("first"), jwt("second")],
  );
});

test("whose token is not accepted any more gets no further certificate, though the old one is still valid", async () => {
  const identity = start();
  const first = await nextValue(identity.certificate);
  answer = async () => ({ status: { authenticated: false, error: "[invalid bearer token, Pod not found]" } });
  identity.renew();
  await until("the renewal is refused", () => problems.length > 0);
  assert.match(problems[0] ?? "", /Pod not found/);
  assert.equal(identity.certificate.get(), first);
});

test("an API server that is away is waited for", async () => {
  let down = true;
  answer = async () => {
    if (down) throw new Error("connect ECONNREFUSED 10.0.0.1:443");
    return { status: statusOf("system:serviceaccount:shop:orders") };
  };
  const identity = start();
  await until("the first attempt fails", () => problems.length > 0);
  assert.match(problems[0] ?? "", /cannot answer: the API server cannot be asked/);
  assert.doesNotMatch(problems[0] ?? "", /10\.0\.0\.1/);
  down = false;
  await nextValue(identity.certificate);
});

test("nobody gets the identity of another service account", async () => {
  answer = async () => ({ status: statusOf("system:serviceaccount:shop:thief") });
  start();
  await until("the request is refused", () => problems.length > 0);
  assert.match(problems[0] ?? "", /asks for spiffe:\/\/mesh\.test\/ns\/shop\/sa\/orders, the caller is .*thief/);
});

test("a missing token or missing roots are told by file, and tried again", async () => {
  fs.rmSync(path.join(dir, "roots.pem"));
  const identity = start();
  await until("the roots are missed", () => problems.some((text) => /roots\.pem: there is no such file/.test(text)));
  assert.equal(identity.certificate.get(), undefined);
});

test("join tokens go on working beside", async () => {
  const token = plane.tokens.mint(ORDERS, 60_000, readRootPins(dir));
  await nextValue(start(() => token, false).certificate);
  assert.deepEqual(reviews, []);
});
