/**
 * Traces of requests: per hop a server span for the caller's side and a client span for the upstream's, attempts as
 * events. A request that is not sampled costs a look at three headers and, where no caller decided, the writing of the
 * decision for the next hop.
 */
import type { Clock } from "../../core/clock.ts";
import type { HeaderMap } from "../../core/header-map.ts";
import type { Random } from "../../core/random.ts";
import type { Tracing } from "../../model/http.ts";
import type { Route } from "../../model/route.ts";
import type { RequestView, StreamInfo } from "../stream-info.ts";
import { clientAttributes, clientError, serverAttributes, serverError, spanName } from "./attributes.ts";
import { compileCustomTags, type TagReader } from "./custom-tags.ts";
import { type Extracted, extract, inject, NOTHING } from "./propagation.ts";
import { decide, type SamplingPolicy, samplingPolicy } from "./sampling.ts";
import type { Attributes, AttributeValue, SpanEvent, SpanSink } from "./span.ts";
import { randomSpanId, randomTraceId } from "./trace-context.ts";

/** What the data plane holds of one request's trace. */
export interface RequestTrace {
  /** Opens the client span and writes its context for the upstream. */
  inject(headers: HeaderMap): void;
  /** Notes something that happened (`retry`) in the client span, or in the server span before there is one. */
  event(name: string, attributes: Readonly<Record<string, AttributeValue>>): void;
  /** Ends both spans; `info.endedAt` must be set. */
  finish(info: StreamInfo, request: RequestView): void;
}

/** The part of a route that tracing reads. */
export type RouteTracing = Pick<Route, "tracing" | "operation">;

export interface RequestTracer {
  /**
   * Begins the trace of a request, right after its head has arrived (and its route was found, where the route's own
   * percentages shall count). null: there is nothing to do for this request; the caller's headers pass untouched.
   */
  start(request: RequestView, info: StreamInfo, route?: RouteTracing | null): RequestTrace | null;
}

export interface TracerDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly sink: SpanSink;
}

/** Compiles the tracing of one connection manager. */
export function createTracer(config: Tracing, deps: TracerDeps): RequestTracer {
  return new Tracer(config, deps);
}

class Tracer implements RequestTracer {
  readonly #config: Tracing;
  readonly #deps: TracerDeps;
  readonly #policy: SamplingPolicy;
  readonly #tags: readonly TagReader[];
  readonly #unsampled: RequestTrace;

  constructor(config: Tracing, deps: TracerDeps) {
    this.#config = config;
    this.#deps = deps;
    this.#policy = samplingPolicy(config);
    this.#tags = compileCustomTags(config.customTags);
    this.#unsampled = new UnsampledTrace(deps.random, NOTHING);
  }

  start(request: RequestView, info: StreamInfo, route: RouteTracing | null = null): RequestTrace | null {
    const came = extract(request.headers);
    if (came.parent !== null) info.traceId = came.parent.traceId;
    const { random } = this.#deps;
    const policy =
      route === null || route.tracing === null ? this.#policy : samplingPolicy(this.#config, route.tracing);
    const sampled = came.sampled ?? decide(policy, request, random);
    if (!sampled) {
      if (came === NOTHING) return this.#unsampled;
      return came.sampled === null ? new UnsampledTrace(random, came) : null;
    }
    const trace = new SampledTrace(this.#deps, this.#config, this.#tags, came, request, route?.operation ?? "");
    info.traceId = trace.traceId;
    info.spanId = trace.serverSpanId;
    info.sampled = true;
    return trace;
  }
}

/** Tells the next hop that this request is not sampled, so that no hop decides anew and traces stay whole. */
class UnsampledTrace implements RequestTrace {
  readonly #random: Random;
  readonly #came: Extracted;

  constructor(random: Random, came: Extracted) {
    this.#random = random;
    this.#came = came;
  }

  inject(headers: HeaderMap): void {
    const traceId = this.#came.parent?.traceId ?? randomTraceId(this.#random);
    const spanId = this.#came.parent?.spanId ?? randomSpanId(this.#random);
    inject(headers, { traceId, spanId, sampled: false }, this.#came, "");
  }

  event(): void {}

  finish(): void {}
}

class SampledTrace implements RequestTrace {
  readonly traceId: string;
  readonly serverSpanId: string;
  readonly #deps: TracerDeps;
  readonly #config: Tracing;
  readonly #tags: readonly TagReader[];
  readonly #came: Extracted;
  readonly #traceState: string;
  readonly #operation: string;
  /** Custom tags read the request as it came, before anything rewrites it. */
  readonly #customTags: Attributes = {};
  readonly #serverEvents: SpanEvent[] = [];
  #clientEvents: SpanEvent[] = [];
  #clientSpanId = "";
  #clientStartedAt = 0;

  constructor(
    deps: TracerDeps,
    config: Tracing,
    tags: readonly TagReader[],
    came: Extracted,
    request: RequestView,
    operation: string,
  ) {
    this.#deps = deps;
    this.#config = config;
    this.#tags = tags;
    this.#came = came;
    this.#operation = operation;
    this.traceId = came.parent?.traceId ?? randomTraceId(deps.random);
    this.serverSpanId = randomSpanId(deps.random);
    this.#traceState = came.parent === null ? "" : (request.headers.get("tracestate") ?? "");
    for (const tag of this.#tags) tag(request, this.#customTags);
  }

  inject(headers: HeaderMap): void {
    if (this.#clientSpanId === "") {
      this.#clientSpanId = randomSpanId(this.#deps.random);
      this.#clientStartedAt = this.#deps.clock.now();
    }
    const context = { traceId: this.traceId, spanId: this.#clientSpanId, sampled: true };
    inject(headers, context, this.#came, this.serverSpanId);
  }

  event(name: string, attributes: Readonly<Record<string, AttributeValue>>): void {
    const events = this.#clientSpanId === "" ? this.#serverEvents : this.#clientEvents;
    events.push({ name, time: this.#deps.clock.wallTime(), attributes: { ...attributes } });
  }

  finish(info: StreamInfo, request: RequestView): void {
    const { sink } = this.#deps;
    // Wall-clock time of a monotonic time point, by the two that were taken together at the start.
    const wall = (at: number): number => info.startTime + (at - info.startedAt);
    const common = { traceId: this.traceId, traceState: this.#traceState };
    if (this.#clientSpanId !== "") {
      sink.add({
        ...common,
        spanId: this.#clientSpanId,
        parentSpanId: this.serverSpanId,
        parentIsRemote: false,
        name: spanName(info, request, info.cluster),
        kind: "client",
        startTime: wall(this.#clientStartedAt),
        endTime: wall(info.upstreamLastByteReceivedAt === 0 ? info.endedAt : info.upstreamLastByteReceivedAt),
        attributes: clientAttributes(info, request, this.#config.maxPathTagLength),
        events: this.#clientEvents,
        error: clientError(info),
      });
    }
    sink.add({
      ...common,
      spanId: this.serverSpanId,
      parentSpanId: this.#came.parent?.spanId ?? "",
      parentIsRemote: this.#came.parent !== null,
      name: this.#operation || spanName(info, request, info.routeName),
      kind: "server",
      startTime: info.startTime,
      endTime: wall(info.endedAt),
      attributes: { ...serverAttributes(info, request, this.#config.maxPathTagLength), ...this.#customTags },
      events: this.#serverEvents,
      error: serverError(info),
    });
  }
}
