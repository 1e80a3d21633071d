/**
 * Turns the HTTP filters of a connection manager, with what a route overrides, into the stages that its requests run
 * through. Stages are made once per route and kept, so that a request resolves nothing.
 */
import type { Random } from "../../core/random.ts";
import type { FilterOverride, HttpFilter } from "../../model/http.ts";
import type { CompiledRoute } from "../router/compile-routes.ts";
import { compileFault, type FaultDeps } from "./fault.ts";
import type { FilterStage } from "./filter.ts";
import { compileRbac, type RbacCounters } from "./rbac.ts";

export interface FilterDeps {
  readonly random: Random;
  /** Counters of an access filter; `statPrefix` as in its configuration. */
  readonly rbacCounters: (statPrefix: string) => RbacCounters;
  /** Counters and the count of active faults of the fault filter called `name`. */
  readonly faultCounters: (name: string) => Omit<FaultDeps, "random">;
}

/** The stages of a route's requests, the router excluded; of requests without a route for null. */
export type FilterChains = (route: CompiledRoute | null) => readonly FilterStage[];

/** Compiles a chain. Throws on regular expressions that are not RE2 syntax. */
export function compileFilters(filters: readonly HttpFilter[], deps: FilterDeps): FilterChains {
  const bound = filters.filter((filter) => filter.kind !== "router").map((filter) => bindFilter(filter, deps));
  const plain = stagesFor(bound, null);
  if (bound.length === 0) return () => plain;
  const byRoute = new WeakMap<CompiledRoute, readonly FilterStage[]>();
  return (route) => {
    if (route === null) return plain;
    let stages = byRoute.get(route);
    if (stages === undefined) {
      stages = stagesFor(bound, route);
      byRoute.set(route, stages);
    }
    return stages;
  };
}

/** A filter whose counters are bound: its stage for a route's override, null if the route does without it. */
interface BoundFilter {
  readonly name: string;
  stage(override: FilterOverride | null): FilterStage | null;
}

function stagesFor(filters: readonly BoundFilter[], route: CompiledRoute | null): readonly FilterStage[] {
  return filters
    .map((filter) => filter.stage(route?.filterOverride(filter.name) ?? null))
    .filter((stage) => stage !== null);
}

function bindFilter(filter: Exclude<HttpFilter, { kind: "router" }>, deps: FilterDeps): BoundFilter {
  const compile = filter.kind === "rbac" ? bindRbac(filter, deps) : bindFault(filter, deps);
  const usual = filter.disabled ? null : compile(null);
  return {
    name: filter.name,
    stage(override) {
      if (override === null || (override.kind !== "disabled" && override.kind !== filter.kind)) return usual;
      return override.kind === "disabled" ? null : compile(override);
    },
  };
}

type Compile = (override: FilterOverride | null) => FilterStage | null;

function bindRbac(filter: Extract<HttpFilter, { kind: "rbac" }>, deps: FilterDeps): Compile {
  const counters = deps.rbacCounters(filter.statPrefix);
  return (override) => {
    const policy = override?.kind === "rbac" ? override.policy : filter.policy;
    return policy === null ? null : compileRbac(policy, counters);
  };
}

function bindFault(filter: Extract<HttpFilter, { kind: "fault" }>, deps: FilterDeps): Compile {
  const bound: FaultDeps = { random: deps.random, ...deps.faultCounters(filter.name) };
  return (override) => compileFault(override?.kind === "fault" ? override.policy : filter.policy, bound);
}
