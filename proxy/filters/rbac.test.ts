/** The expectations are what Envoy 1.40 answered to the same rules and requests. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { HeaderMatch, StringMatch } from "../../model/matcher.ts";
import type { Permission, Principal, RbacNamedPolicy, RbacPolicy, RbacRules } from "../../model/rbac.ts";
import type { ConnectionInfo, ConnectionTls } from "../../telemetry/stream-info.ts";
import { StreamInfo } from "../../telemetry/stream-info.ts";
import { FakeContext, FakeCounters } from "../../test/support/filters.ts";
import { connection, type Fields, peer, request, tls } from "../../test/support/routes.ts";
import { compileRbac, type RbacCounters } from "./rbac.ts";
import { compileNetworkRbac } from "./rbac-network.ts";
import { type Call, compilePermission, compilePrincipal } from "./rbac-rules.ts";

const exact = (value: string): StringMatch => ({ kind: "exact", value, ignoreCase: false });
const startsWith = (value: string): StringMatch => ({ kind: "prefix", value, ignoreCase: false });
const any = { kind: "any" } as const;
const path = (match: StringMatch): Permission & Principal => ({ kind: "url_path", path: match });

function policy(name: string, permissions: Permission[], principals: Principal[] = [any]): RbacNamedPolicy {
  return { name, permissions, principals };
}

function rules(action: RbacRules["action"], ...policies: RbacNamedPolicy[]): RbacRules {
  return { action, policies };
}

function countersOf(counts: FakeCounters): RbacCounters {
  return {
    allowed: counts.counter("rbac", "allowed"),
    denied: counts.counter("rbac", "denied"),
    shadowAllowed: counts.counter("rbac", "shadow_allowed"),
    shadowDenied: counts.counter("rbac", "shadow_denied"),
  };
}

interface Outcome {
  readonly allowed: boolean;
  readonly context: FakeContext;
  readonly counts: Readonly<Record<string, number>>;
}

function run(
  rbac: Partial<RbacPolicy>,
  asked = request("/"),
  from: Partial<ConnectionInfo> = {},
  downstreamAddress = "",
): Outcome {
  const counts = new FakeCounters();
  const info = new StreamInfo(connection(from));
  info.downstreamAddress = downstreamAddress;
  const context = new FakeContext(asked, info);
  const stage = compileRbac({ rules: null, shadowRules: null, ...rbac }, countersOf(counts));
  const allowed = stage === null || stage.onRequest(context);
  return { allowed, context, counts: counts.counts };
}

test("without rules there is nothing to run", () => {
  assert.equal(compileRbac({ rules: null, shadowRules: null }, countersOf(new FakeCounters())), null);
});

test("allow wants a policy that matches", () => {
  const allow = { rules: rules("allow", policy("aa", [path(exact("/a"))]), policy("zz", [path(startsWith("/ok"))])) };
  assert.equal(run(allow, request("/okay?x")).allowed, true);
  const denied = run(allow, request("/no"));
  assert.equal(denied.allowed, false);
  assert.deepEqual(denied.context.replies, [
    {
      status: 403,
      body: "RBAC: access denied",
      details: "rbac_access_denied_matched_policy[none]",
      flags: 0,
      grpcStatus: undefined,
    },
  ]);
  assert.deepEqual(denied.counts, { "rbac.denied": 1 });
  assert.equal(run({ rules: rules("allow") }).allowed, false);
});

test("deny wants none, and names the first that matched without white space", () => {
  const deny = { rules: rules("deny", policy('a b\t"c', [path(startsWith("/deny"))]), policy("b", [any])) };
  const denied = run(deny, request("/deny/x"));
  assert.equal(denied.context.replies[0]?.details, 'rbac_access_denied_matched_policy[a_b_"c]');
  assert.equal(run({ rules: rules("deny", policy("a", [path(exact("/deny"))])) }, request("/x")).allowed, true);
  assert.equal(run({ rules: rules("deny") }).allowed, true);
});

test("log allows everything and leaves a hint", () => {
  const outcome = run({ rules: rules("log", policy("l", [path(exact("/log"))])) }, request("/log"));
  assert.equal(outcome.allowed, true);
  assert.deepEqual(outcome.context.info.metadata?.["envoy.common"], { access_log_hint: true });
  assert.equal(run({ rules: rules("log", policy("l", [path(exact("/log"))])) }, request("/x")).allowed, true);
});

test("shadow rules are evaluated and counted, never enforced", () => {
  const outcome = run({
    rules: rules("allow", policy("ok", [any])),
    shadowRules: rules("deny", policy("sh ad", [any])),
  });
  assert.equal(outcome.allowed, true);
  assert.deepEqual(outcome.counts, { "rbac.allowed": 1, "rbac.shadow_denied": 1 });
  assert.deepEqual(outcome.context.info.metadata?.["envoy.filters.http.rbac"], {
    enforced_effective_policy_id: "ok",
    enforced_engine_result: "allowed",
    shadow_effective_policy_id: "sh ad",
    shadow_engine_result: "denied",
  });
  const alone = run({ shadowRules: rules("allow") });
  assert.equal(alone.allowed, true);
  assert.deepEqual(alone.counts, { "rbac.shadow_denied": 1 });
});

/** A call as tests of single clauses see it. */
function call(
  from: Partial<ConnectionInfo> = {},
  target = "/",
  fields: Fields = [],
  rest: { method?: string; downstreamAddress?: string } = {},
): Call {
  const info = new StreamInfo(connection(from));
  info.downstreamAddress = rest.downstreamAddress ?? "";
  return {
    connection: info.connection,
    request: request(target, fields, rest.method ? { method: rest.method } : {}),
    info,
  };
}

const method = (name: string): HeaderMatch => ({
  name: ":method",
  match: { kind: "string", match: exact(name) },
  invert: false,
  treatMissingAsEmpty: false,
});

const PERMISSIONS: readonly (readonly [string, Permission, Call, boolean])[] = [
  ["any", any, call(), true],
  ["and, both", { kind: "and", rules: [any, path(exact("/a"))] }, call({}, "/a"), true],
  ["and, one", { kind: "and", rules: [any, path(exact("/a"))] }, call({}, "/b"), false],
  ["or, one", { kind: "or", rules: [path(exact("/b")), path(exact("/a"))] }, call({}, "/a"), true],
  ["or, none", { kind: "or", rules: [path(exact("/b"))] }, call({}, "/a"), false],
  ["not", { kind: "not", rule: path(exact("/a")) }, call({}, "/a"), false],
  ["header", { kind: "header", header: method("PUT") }, call({}, "/", [], { method: "PUT" }), true],
  ["other header", { kind: "header", header: method("PUT") }, call(), false],
  ["path without its query", path(exact("/p")), call({}, "/p?x=1"), true],
  ["path and query", path(exact("/p?x=1")), call({}, "/p?x=1"), false],
  ["destination ip", { kind: "destination_ip", cidr: { address: "10.9.0.0", prefixLength: 16 } }, call(), true],
  ["other destination", { kind: "destination_ip", cidr: { address: "10.8.0.0", prefixLength: 16 } }, call(), false],
  ["port", { kind: "destination_port", port: 8080 }, call(), true],
  ["other port", { kind: "destination_port", port: 8081 }, call(), false],
  ["port range, start", { kind: "destination_port_range", start: 8080, end: 8081 }, call(), true],
  ["port range, end", { kind: "destination_port_range", start: 8079, end: 8080 }, call(), false],
  ["server name", { kind: "requested_server_name", match: exact("a.b") }, call({ tls: tls({ sni: "a.b" }) }), true],
  ["no server name", { kind: "requested_server_name", match: exact("") }, call(), true],
];

for (const [title, permission, asked, expected] of PERMISSIONS) {
  test(`permission: ${title}`, () => assert.equal(compilePermission(permission)(asked), expected));
}

const CLIENT = tls({
  peer: peer({ uriSans: ["spiffe://td/one", "spiffe://td/two"], dnsSans: ["c1.local"], subject: "CN=client" }),
});
const NOBODY = tls({ peer: null });
const named = (name: string): Principal => ({ kind: "authenticated", name: exact(name) });
const secure = (how: ConnectionTls): Call => call({ tls: how });
const near = { address: "10.1.0.0", prefixLength: 16 };
const far = { address: "9.9.0.0", prefixLength: 16 };
const viaProxy = call({}, "/", [], { downstreamAddress: "9.9.1.1:0" });

const PRINCIPALS: readonly (readonly [string, Principal, Call, boolean])[] = [
  ["any", any, call(), true],
  ["and", { kind: "and", ids: [any, named("CN=client")] }, secure(CLIENT), true],
  ["and, one", { kind: "and", ids: [any, named("x")] }, secure(CLIENT), false],
  ["or", { kind: "or", ids: [named("x"), named("CN=client")] }, secure(CLIENT), true],
  ["not", { kind: "not", id: named("x") }, call(), true],
  ["any authenticated, mutual TLS", { kind: "authenticated", name: null }, secure(CLIENT), true],
  ["any authenticated, TLS alone", { kind: "authenticated", name: null }, secure(NOBODY), true],
  ["any authenticated, plaintext", { kind: "authenticated", name: null }, call(), false],
  ["first URI", named("spiffe://td/one"), secure(CLIENT), true],
  ["second URI", named("spiffe://td/two"), secure(CLIENT), true],
  ["DNS name", named("c1.local"), secure(CLIENT), true],
  ["subject", named("CN=client"), secure(CLIENT), true],
  ["other name", named("spiffe://td/three"), secure(CLIENT), false],
  ["empty name, no certificate", named(""), secure(NOBODY), true],
  ["empty name, plaintext", named(""), call(), false],
  ["direct remote", { kind: "direct_remote_ip", cidr: near }, viaProxy, true],
  ["direct remote is not the forwarded one", { kind: "direct_remote_ip", cidr: far }, viaProxy, false],
  ["remote is the forwarded one", { kind: "remote_ip", cidr: far }, viaProxy, true],
  ["remote without forwarding", { kind: "remote_ip", cidr: near }, call(), true],
  ["header", { kind: "header", header: method("GET") }, call(), true],
  ["path", path(exact("/a")), call({}, "/a"), true],
];

for (const [title, principal, asked, expected] of PRINCIPALS) {
  test(`principal: ${title}`, () => assert.equal(compilePrincipal(principal)(asked), expected));
}

test("operators are told the policy and the clause that failed, callers are not", () => {
  const allow = rules(
    "allow",
    policy("read", [{ kind: "and", rules: [{ kind: "header", header: method("GET") }, path(startsWith("/public"))] }]),
    policy("write", [any], [named("spiffe://td/writer")]),
  );
  const denied = run({ rules: allow }, request("/private"), { tls: CLIENT });
  assert.equal(
    denied.context.info.explanation,
    'no policy allows this call: policy "read" wants path prefix "/public"; ' +
      'policy "write" wants identity exact "spiffe://td/writer"; the caller is spiffe://td/one at 10.1.2.3:4711',
  );
  assert.equal(denied.context.replies[0]?.body, "RBAC: access denied");
  const refused = run(
    { rules: rules("deny", policy("no", [path(startsWith("/a"))], [{ kind: "not", id: named("x") }])) },
    request("/a"),
  );
  assert.equal(
    refused.context.info.explanation,
    'policy "no" denies path prefix "/a" to not identity exact "x"; the caller is 10.1.2.3:4711, in plaintext',
  );
});

test("an explanation names a few policies and counts the rest", () => {
  const many = Array.from({ length: 9 }, (_, i) => policy(`p${i}`, [path(exact(`/${i}`))]));
  const { explanation } = run({ rules: rules("allow", ...many) }).context.info;
  assert.match(explanation, /policy "p4" wants/);
  assert.doesNotMatch(explanation, /policy "p5"/);
  assert.match(explanation, /4 more do not match/);
});

test("a connection is judged by itself", () => {
  const counts = new FakeCounters();
  const check = compileNetworkRbac(
    {
      rules: rules("allow", policy("mesh", [{ kind: "destination_port", port: 8080 }], [named("CN=client")])),
      shadowRules: rules("deny", policy("all", [any])),
    },
    countersOf(counts),
  );
  assert.ok(check);
  assert.deepEqual(check(connection({ tls: CLIENT })), { allowed: true, details: "", explanation: "" });
  const denied = check(connection());
  assert.equal(denied.allowed, false);
  assert.equal(denied.details, "rbac_access_denied_matched_policy[none]");
  assert.match(denied.explanation, /policy "mesh" wants identity exact "CN=client"/);
  assert.deepEqual(counts.counts, { "rbac.allowed": 1, "rbac.denied": 1, "rbac.shadow_denied": 2 });
  assert.equal(compileNetworkRbac({ rules: null, shadowRules: null }, countersOf(counts)), null);
});

test("a connection has no request: rules see an empty one", () => {
  const check = compileNetworkRbac(
    { rules: rules("deny", policy("n", [{ kind: "not", rule: path(exact("x")) }])), shadowRules: null },
    countersOf(new FakeCounters()),
  );
  assert.equal(check?.(connection()).details, "rbac_access_denied_matched_policy[n]");
});

test("deny and allow of the same policies are opposites, whatever a peer sends", () => {
  const policies = [
    policy("a", [path({ kind: "regex", value: "/(a|é)*" })], [{ kind: "remote_ip", cidr: near }]),
    policy("b", [{ kind: "header", header: method("PUT") }]),
  ];
  const latin1 = fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes).toString("latin1"));
  fc.assert(
    fc.property(latin1, fc.constantFrom("GET", "PUT"), latin1, (target, verb, downstream) => {
      const asked = request(target, [], { method: verb });
      const allowed = run({ rules: rules("allow", ...policies) }, asked, {}, downstream).allowed;
      assert.equal(run({ rules: rules("deny", ...policies) }, asked, {}, downstream).allowed, !allowed);
    }),
  );
});
