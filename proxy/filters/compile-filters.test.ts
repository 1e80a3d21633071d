import assert from "node:assert/strict";
import { test } from "node:test";
import type { FilterOverride, GrpcStats, HttpFilter } from "../../model/http.ts";
import type { RbacPolicy } from "../../model/rbac.ts";
import { FakeContext, FakeCounters } from "../../test/support/filters.ts";
import { route, routeTable, virtualHost } from "../../test/support/routes.ts";
import { LocalCount } from "../cluster/count.ts";
import { CompiledRoute } from "../router/compile-routes.ts";
import { compileFilters } from "./compile-filters.ts";
import type { FilterStage } from "./filter.ts";

const DENY_ALL: RbacPolicy = { rules: { action: "allow", policies: [] }, shadowRules: null };
const ALLOW_ALL: RbacPolicy = { rules: { action: "deny", policies: [] }, shadowRules: null };
const FRACTION = { numerator: 100, denominator: 100 };

const rbac = (policy: RbacPolicy, disabled = false): HttpFilter => ({
  name: "access",
  disabled,
  kind: "rbac",
  statPrefix: "p.",
  policy,
});
const fault = (status: number): HttpFilter => ({
  name: "fault",
  disabled: false,
  kind: "fault",
  policy: faultPolicy(status),
});
const router: HttpFilter = {
  name: "router",
  disabled: false,
  kind: "router",
  suppressEnvoyHeaders: false,
  respectExpectedRqTimeout: false,
};

function faultPolicy(status: number) {
  const abort = { kind: "http" as const, status, fraction: FRACTION };
  return { delay: null, abort, headers: [], upstreamCluster: "", maxActiveFaults: null };
}

function routeWith(filterOverrides: Record<string, FilterOverride>): CompiledRoute {
  return new CompiledRoute({
    table: routeTable(),
    virtualHost: virtualHost(),
    route: route({ filterOverrides }),
    weighted: null,
  });
}

const counters = new FakeCounters();

function compile(...filters: HttpFilter[]) {
  return compileFilters([...filters, router], {
    random: () => 0,
    counters: counters.counter,
    activeFaults: () => new LocalCount(),
  });
}

/** What a request is answered by the stages; 0 if they let it through. */
function status(stages: readonly FilterStage[]): number {
  const context = new FakeContext();
  for (const stage of stages) if (!stage.onRequest(context)) break;
  return context.replies[0]?.status ?? 0;
}

test("stages run in the order of the filters", () => {
  assert.equal(status(compile(rbac(DENY_ALL), fault(418))(null)), 403);
  assert.equal(status(compile(fault(418), rbac(DENY_ALL))(null)), 418);
  assert.equal(status(compile(rbac(ALLOW_ALL), fault(418))(null)), 418);
});

test("filters that do nothing have no stage", () => {
  assert.deepEqual(compile()(null), []);
  assert.deepEqual(compile(rbac(DENY_ALL, true))(null), []);
  assert.deepEqual(compile(rbac({ rules: null, shadowRules: null }))(null), []);
  const stats: GrpcStats = { methods: "all", emitFilterState: false, upstreamStats: false, replaceDots: false };
  assert.deepEqual(compile({ name: "stats", disabled: false, kind: "grpc_stats", stats })(null), []);
});

test("a route overrides a filter, or does without it", () => {
  const chain = compile(rbac(DENY_ALL), fault(418));
  assert.equal(status(chain(routeWith({}))), 403);
  assert.equal(status(chain(routeWith({ access: { kind: "rbac", policy: ALLOW_ALL } }))), 418);
  assert.equal(status(chain(routeWith({ access: { kind: "rbac", policy: null } }))), 418);
  assert.equal(status(chain(routeWith({ access: { kind: "disabled" } }))), 418);
  const both = routeWith({ access: { kind: "disabled" }, fault: { kind: "fault", policy: faultPolicy(503) } });
  assert.equal(status(chain(both)), 503);
});

test("a filter that is off by default can be switched on by a route", () => {
  const chain = compile(rbac(ALLOW_ALL, true));
  assert.equal(status(chain(routeWith({ access: { kind: "rbac", policy: DENY_ALL } }))), 403);
  assert.deepEqual(chain(routeWith({})), []);
});

test("an override of another kind of filter changes nothing", () => {
  const chain = compile(rbac(DENY_ALL));
  assert.equal(status(chain(routeWith({ access: { kind: "fault", policy: faultPolicy(418) } }))), 403);
});

test("a route's stages are made once", () => {
  const chain = compile(rbac(DENY_ALL));
  const one = routeWith({ access: { kind: "rbac", policy: ALLOW_ALL } });
  assert.equal(chain(one), chain(one));
});

test("outcomes are counted under the filter's prefix", () => {
  status(compile(rbac(DENY_ALL))(null));
  status(compile(fault(418))(null));
  assert.ok((counters.counts["p.rbac.denied"] ?? 0) > 0);
  assert.ok((counters.counts["fault.aborts_injected"] ?? 0) > 0);
});
