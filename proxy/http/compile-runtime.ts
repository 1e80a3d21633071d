/** Compiles a connection manager's configuration to what its exchanges run on. */
import type { HttpConnectionManager } from "../../model/http.ts";
import type { ForwardAction } from "../../model/route.ts";
import type { RequestTracer } from "../../telemetry/tracing/tracer.ts";
import type { ServerOptions } from "../codec/http1/server-connection.ts";
import type { Http2ServerOptions } from "../codec/http2/server-connection.ts";
import { type CompiledFilters, compileFilters, type FilterDeps } from "../filters/compile-filters.ts";
import type { FilterStage } from "../filters/filter.ts";
import type { CompiledRoute, CompiledRouteTable } from "../router/compile-routes.ts";
import { type ConnectionManagerDeps, compileConnectionManager } from "../router/connection-manager.ts";
import { compileForwardRule, type ForwardRule } from "./forward-rule.ts";
import type { HttpStats } from "./http-stats.ts";
import { compileLocalReplies } from "./local-reply.ts";
import type { HttpContext, HttpRuntime, Observe } from "./runtime.ts";

export interface RuntimeParts {
  readonly config: HttpConnectionManager;
  readonly context: HttpContext;
  readonly manager: ConnectionManagerDeps;
  readonly filters: FilterDeps;
  readonly tracer: RequestTracer | null;
  readonly callerIsLocal: boolean;
  readonly bufferLimit: number;
  readonly routes: () => CompiledRouteTable | null;
  readonly observe: Observe;
  readonly stats: HttpStats;
  /** What is done first for requests that only this virtual host takes; null: nothing. */
  readonly unknown: { readonly virtualHost: string; readonly stage: FilterStage } | null;
}

export function compileRuntime(parts: RuntimeParts): HttpRuntime {
  const { config, context } = parts;
  const router = config.filters.find((filter) => filter.kind === "router");
  const filters = withUnknown(compileFilters(config.filters, parts.filters), parts.unknown);
  const rules = new WeakMap<CompiledRoute, ForwardRule>();
  return {
    config,
    context,
    stages: compileConnectionManager(config, parts.manager),
    localReplies: compileLocalReplies(config.localReply),
    tracer: parts.tracer,
    callerIsLocal: parts.callerIsLocal,
    bufferLimit: parts.bufferLimit,
    timeoutOptions: {
      tellUpstream: router?.kind === "router" ? !router.suppressEnvoyHeaders : true,
      respectExpected: router?.kind === "router" ? router.respectExpectedRqTimeout : false,
    },
    keepOriginals: router?.kind === "router" ? !router.suppressEnvoyHeaders : true,
    routes: parts.routes,
    filters,
    forwardRule(route, action: ForwardAction) {
      let rule = rules.get(route);
      if (rule === undefined) {
        rule = compileForwardRule(route, action);
        rules.set(route, rule);
      }
      return rule;
    },
    observe: parts.observe,
    stats: parts.stats,
  };
}

function withUnknown(filters: CompiledFilters, unknown: RuntimeParts["unknown"]): CompiledFilters {
  if (unknown === null) return filters;
  const { virtualHost, stage } = unknown;
  return (route) => (route?.virtualHostName === virtualHost ? [stage, ...filters(route)] : filters(route));
}

/** What connections need of their connection manager's configuration. */
export interface HttpServerOptions {
  readonly http1: ServerOptions;
  readonly http2: Http2ServerOptions;
  /** Between two sidecars: HTTP/1 in streams. */
  readonly multiplexed: Http2ServerOptions;
}

export function serverOptions(config: HttpConnectionManager): HttpServerOptions {
  const common = {
    maxFields: config.maxHeadersCount,
    maxHeadBytes: config.maxRequestHeadersKb * 1024,
    underscores: config.headersWithUnderscores,
    idleTimeoutMs: config.idleTimeoutMs,
    headTimeoutMs: config.requestHeadersTimeoutMs,
    requestTimeoutMs: config.requestTimeoutMs,
    closeDelayMs: config.delayedCloseTimeoutMs,
    drainMs: config.drainTimeoutMs,
    maxRequests: config.maxRequestsPerConnection,
    maxDurationMs: config.maxConnectionDurationMs,
  };
  const http1 = {
    ...common,
    acceptHttp10: config.http1.acceptHttp10,
    defaultHostForHttp10: config.http1.defaultHostForHttp10,
    allowAbsoluteUrl: config.http1.allowAbsoluteUrl,
    allowChunkedLength: config.http1.allowChunkedLength,
    allowCustomMethods: config.http1.allowCustomMethods,
  };
  const http2 = { ...common, http2: config.http2, text: null };
  // There is no table of headers that one bad message could put out of step: it ends alone.
  const alone = { ...config.http2, streamErrorOnInvalidMessage: true };
  return { http1, http2, multiplexed: { ...http2, http2: alone, text: http1 } };
}
