/** Zipkin's B3 headers, single (`b3`) and multi (`x-b3-traceid` …): what many applications already pass on. */
import type { HeaderMap } from "../../core/header-map.ts";
import type { TraceContext } from "./trace-context.ts";

const ID = /^[0-9a-f]{16}$/i;
const TRACE_ID = /^(?:[0-9a-f]{16}|[0-9a-f]{32})$/i;

/** What a caller said: the parent, or only whether to sample (`b3: 0`). */
export interface B3 {
  /** null: a decision without a trace. */
  readonly context: TraceContext | null;
  /** null: the caller leaves the decision to others. */
  readonly sampled: boolean | null;
}

/** `1`, `0`, `d` (debug), and the `true` and `false` of old libraries. */
function decision(value: string | null | undefined): boolean | null {
  switch (value?.toLowerCase()) {
    case "1":
    case "d":
    case "true":
      return true;
    case "0":
    case "false":
      return false;
    default:
      return null;
  }
}

/** A trace id of 64 bits is the low half of one of 128. */
function makeContext(traceId: string, spanId: string, sampled: boolean | null): TraceContext | null {
  if (!TRACE_ID.test(traceId) || !ID.test(spanId) || /^0+$/.test(traceId) || /^0+$/.test(spanId)) return null;
  // A parent that left the decision open has, by B3, not forbidden sampling; deferring is kept in `B3.sampled`.
  return {
    traceId: traceId.toLowerCase().padStart(32, "0"),
    spanId: spanId.toLowerCase(),
    sampled: sampled ?? false,
  };
}

/** `{trace}-{span}[-{decision}[-{parent}]]`, or a decision alone. */
export function parseB3Single(value: string): B3 | null {
  const [traceId = "", spanId, sampling] = value.split("-");
  if (spanId === undefined) {
    const sampled = decision(value);
    return sampled === null ? null : { context: null, sampled };
  }
  const sampled = decision(sampling);
  const context = makeContext(traceId, spanId, sampled);
  return context === null ? null : { context, sampled };
}

export function parseB3Multi(headers: HeaderMap): B3 | null {
  const sampled = headers.get("x-b3-flags") === "1" ? true : decision(headers.get("x-b3-sampled"));
  const traceId = headers.get("x-b3-traceid");
  const spanId = headers.get("x-b3-spanid");
  const context = traceId === null || spanId === null ? null : makeContext(traceId, spanId, sampled);
  return context === null && sampled === null ? null : { context, sampled };
}

export function formatB3Single(context: TraceContext, parentSpanId: string): string {
  const base = `${context.traceId}-${context.spanId}-${context.sampled ? "1" : "0"}`;
  return parentSpanId === "" ? base : `${base}-${parentSpanId}`;
}

export function injectB3Multi(headers: HeaderMap, context: TraceContext, parentSpanId: string): void {
  headers.set("x-b3-traceid", context.traceId);
  headers.set("x-b3-spanid", context.spanId);
  headers.set("x-b3-sampled", context.sampled ? "1" : "0");
  if (parentSpanId === "") headers.remove("x-b3-parentspanid");
  else headers.set("x-b3-parentspanid", parentSpanId);
}
