/** What rules and backends change in the headers of calls and answers, and in which order. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { caller, type Routed, routeOf, serviceOf } from "./routed-call.ts";

const SERVICES = ["stock", "v1", "v2"].map((name) => serviceOf(name)).join("");

const CHANGES = "{ set: [{ name: X-Set, value: rule }], add: [{ name: X-Add, value: rule }], remove: [X-Remove] }";

function modifier(kind: "Request" | "Response", changes: string): string {
  return `{ type: ${kind}HeaderModifier, ${kind.toLowerCase()}HeaderModifier: ${changes} }`;
}

/** A call under a rule with these filters, and others at its backend. */
function through(rule: readonly string[], backend: readonly string[] = []): Routed {
  const refs = `[{ name: v1, port: 80, filters: [${backend.join(", ")}] }]`;
  const call = caller(SERVICES + routeOf([`{ filters: [${rule.join(", ")}], backendRefs: ${refs} }`]));
  const fields = [
    ["x-set", "caller"],
    ["x-add", "caller"],
    ["x-remove", "caller"],
    ["x-other", "caller"],
  ] as const;
  return call({ path: "/", headers: fields, answer: fields });
}

function sorted(lines: readonly string[]): readonly string[] {
  return lines.map((line) => line.toLowerCase()).sort();
}

const CHANGED = ["x-add: caller", "x-add: rule", "x-other: caller", "x-set: rule"];
const AS_IT_WAS = ["x-add: caller", "x-other: caller", "x-remove: caller", "x-set: caller"];

describe("set, add and remove, names in any case", () => {
  test("of a rule: requests and answers each have their own", () => {
    const request = through([modifier("Request", CHANGES)]);
    assert.deepEqual([sorted(request.headers), sorted(request.answer)], [CHANGED, AS_IT_WAS]);
    const answer = through([modifier("Response", CHANGES)]);
    assert.deepEqual([sorted(answer.headers), sorted(answer.answer)], [AS_IT_WAS, CHANGED]);
  });

  test("of a backend", () => {
    const { headers, answer } = through([], [modifier("Request", CHANGES), modifier("Response", CHANGES)]);
    assert.deepEqual([sorted(headers), sorted(answer)], [CHANGED, CHANGED]);
  });
});

test("what is added comes after what was there, and a percent sign is one", () => {
  const { headers } = through([modifier("Request", "{ add: [{ name: X-Add, value: '100%REQ(a)%' }] }")]);
  assert.deepEqual(
    headers.filter((line) => line.toLowerCase().startsWith("x-add")).map((line) => line.slice("x-add: ".length)),
    ["caller", "100%REQ(a)%"],
  );
});

test("a request passes the rule first and its backend last, an answer the other way round", () => {
  const backend = `{ set: [{ name: x-set, value: backend }], add: [{ name: x-add, value: backend }] }`;
  const { headers, answer } = through(
    [modifier("Request", CHANGES), modifier("Response", CHANGES)],
    [modifier("Request", backend), modifier("Response", backend)],
  );
  assert.deepEqual(sorted(headers), [
    "x-add: backend",
    "x-add: caller",
    "x-add: rule",
    "x-other: caller",
    "x-set: backend",
  ]);
  assert.deepEqual(sorted(answer), [
    "x-add: backend",
    "x-add: caller",
    "x-add: rule",
    "x-other: caller",
    "x-set: rule",
  ]);
  const added = (lines: readonly string[]) =>
    lines.filter((line) => line.toLowerCase().startsWith("x-add")).map((line) => line.slice("x-add: ".length));
  assert.deepEqual(added(headers), ["caller", "rule", "backend"]);
  assert.deepEqual(added(answer), ["caller", "backend", "rule"]);
});

test("what a backend removes is gone, the rule's addition too; what a rule removes a backend may add", () => {
  const removing = modifier("Request", "{ remove: [X-SET, x-add] }");
  assert.deepEqual(sorted(through([modifier("Request", CHANGES)], [removing]).headers), ["x-other: caller"]);
  const adding = modifier("Request", "{ add: [{ name: x-remove, value: backend }] }");
  const { headers } = through([modifier("Request", CHANGES)], [adding]);
  assert.ok(headers.includes("x-remove: backend") && !headers.includes("x-remove: caller"), String(headers));
});

test("each of several backends has its own changes, and the rule's", () => {
  const own = (name: string) =>
    `{ name: ${name}, port: 80, filters: [${modifier("Request", `{ set: [{ name: x-to, value: ${name} }] }`)}] }`;
  const rule = `{ filters: [${modifier("Request", CHANGES)}], backendRefs: [${own("v1")}, ${own("v2")}] }`;
  const call = caller(SERVICES + routeOf([rule]));
  const seen = new Set<string>();
  for (let draw = 0; draw < 1; draw += 0.013) {
    const { backend, headers } = call({ path: "/" }, () => draw);
    assert.deepEqual(sorted(headers), ["x-add: rule", "x-set: rule", `x-to: ${backend}`]);
    seen.add(backend);
  }
  assert.deepEqual([...seen].sort(), ["v1", "v2"]);
});

test("a redirect carries the rule's changes of answers", () => {
  const filters = `${modifier("Response", CHANGES)}, { type: RequestRedirect, requestRedirect: { statusCode: 303 } }`;
  const { status, answer } = caller(SERVICES + routeOf([`{ filters: [${filters}] }`]))({ path: "/" });
  assert.deepEqual([status, sorted(answer)], [303, ["x-add: rule", "x-set: rule"]]);
});
