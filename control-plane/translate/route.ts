/** Routes of a mesh: Envoy's, with nothing but what is given. */
import type { ForwardAction, Route } from "../../model/route.ts";
import type { Treatment } from "./call-variants.ts";
import { NO_MUTATIONS } from "./envoy-defaults.ts";

export function route(
  parts: Pick<Route, "name" | "match" | "action" | "source"> & Partial<typeof NO_MUTATIONS>,
): Route {
  return { ...NO_MUTATIONS, filterOverrides: {}, tracing: null, operation: "", ...parts };
}

/** A forwarding action. */
export function forward(cluster: ForwardAction["cluster"], treatment: Treatment): ForwardAction {
  return {
    kind: "forward",
    cluster,
    clusterNotFoundStatus: 503,
    prefixRewrite: null,
    regexRewrite: null,
    hostRewrite: { kind: "keep" },
    appendXForwardedHost: false,
    maxGrpcTimeoutMs: null,
    requestMirrors: [],
    hashPolicies: [],
    priority: "default",
    upgrades: [],
    ...treatment,
  };
}
