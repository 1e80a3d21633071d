/**
 * Turns the HTTP filters of a connection manager, with what a route overrides, into the stages that its requests run
 * through. Stages are made once per route and kept, so that a request resolves nothing.
 */
import type { Random } from "../../core/random.ts";
import type { FilterOverride, HttpFilter } from "../../model/http.ts";
import type { Count } from "../cluster/count.ts";
import type { CompiledRoute } from "../router/compile-routes.ts";
import { compileCors } from "./cors.ts";
import type { Counter } from "./counter.ts";
import { compileFault, type FaultDeps } from "./fault.ts";
import type { FilterStage } from "./filter.ts";
import { compileRbac, type RbacCounters } from "./rbac.ts";

export interface FilterDeps {
  readonly random: Random;
  /** A counter of what a filter (`rbac`, `fault`) did; outcomes have the names of Envoy's statistics (`denied`). */
  readonly counters: (filter: string, outcome: string) => Counter;
  /** The faults in effect of all connection managers with the same `stat_prefix`, as Envoy counts them. */
  readonly activeFaults: () => Count;
}

/** The stages of a route's requests, the router excluded; for null those of requests that no route takes. */
export type CompiledFilters = (route: CompiledRoute | null) => readonly FilterStage[];

/** Compiles a chain. Throws on regular expressions that are not RE2 syntax. */
export function compileFilters(filters: readonly HttpFilter[], deps: FilterDeps): CompiledFilters {
  const bound = filters.filter(isStage).map((filter) => bindFilter(filter, deps));
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

type StageFilter = Exclude<HttpFilter, { kind: "router" | "grpc_stats" }>;

/** The router forwards, and statistics are counted beside the stages. */
const isStage = (filter: HttpFilter): filter is StageFilter => filter.kind !== "router" && filter.kind !== "grpc_stats";

/** A filter with its counters: the stage that it is under a route's override, null where it does nothing. */
interface BoundFilter {
  readonly name: string;
  stage(override: FilterOverride | null, route: CompiledRoute | null): FilterStage | null;
}

function stagesFor(filters: readonly BoundFilter[], route: CompiledRoute | null): readonly FilterStage[] {
  return filters
    .map((filter) => filter.stage(route?.filterOverride(filter.name) ?? null, route))
    .filter((stage) => stage !== null);
}

function bindFilter(filter: StageFilter, deps: FilterDeps): BoundFilter {
  if (filter.kind === "cors") return bindCors(filter, deps);
  const compile = filter.kind === "rbac" ? bindRbac(filter, deps) : bindFault(filter, deps);
  const usual = filter.disabled ? null : compile(null);
  return {
    name: filter.name,
    stage(override) {
      if (override?.kind === "disabled") return null;
      // A route's own configuration also enables a filter that is disabled by default.
      return override?.kind === filter.kind ? compile(override) : usual;
    },
  };
}

type Compile = (override: FilterOverride | null) => FilterStage | null;

function bindRbac(filter: Extract<HttpFilter, { kind: "rbac" }>, deps: FilterDeps): Compile {
  const counter = (outcome: string): Counter => deps.counters(`${filter.statPrefix}rbac`, outcome);
  const counters: RbacCounters = {
    allowed: counter("allowed"),
    denied: counter("denied"),
    shadowAllowed: counter("shadow_allowed"),
    shadowDenied: counter("shadow_denied"),
  };
  return (override) => {
    const policy = override?.kind === "rbac" ? override.policy : filter.policy;
    return policy === null ? null : compileRbac(policy, counters, policy === filter.policy ? filter.statPrefix : "");
  };
}

function bindFault(filter: Extract<HttpFilter, { kind: "fault" }>, deps: FilterDeps): Compile {
  const bound: FaultDeps = {
    random: deps.random,
    active: deps.activeFaults(),
    delaysInjected: deps.counters("fault", "delays_injected"),
    abortsInjected: deps.counters("fault", "aborts_injected"),
    overflow: deps.counters("fault", "faults_overflow"),
  };
  return (override) => compileFault(override?.kind === "fault" ? override.policy : filter.policy, bound);
}

/** Policies are of routes only, and each level adds what the more specific ones leave open. */
function bindCors(filter: Extract<HttpFilter, { kind: "cors" }>, deps: FilterDeps): BoundFilter {
  return {
    name: filter.name,
    stage(override, route) {
      // As in Envoy, only what is forwarded has a policy.
      if (override?.kind === "disabled" || route?.route.action.kind !== "forward") return null;
      const levels = route.filterOverridesOf(filter.name);
      return compileCors(
        levels.flatMap((level) => (level.kind === "cors" ? [level.policy] : [])),
        deps.random,
      );
    },
  };
}
