/**
 * Reads the caller's trace context from a request and writes the one for the next hop. W3C is always written; B3 in the
 * styles in which the request came, so that an application which passes B3 on keeps its traces whole.
 */
import type { HeaderMap } from "../../core/header-map.ts";
import { formatB3Single, injectB3Multi, parseB3Multi, parseB3Single } from "./b3.ts";
import { formatTraceparent, parseTraceparent, type TraceContext } from "./trace-context.ts";

/** What a request said about tracing. */
export interface Extracted {
  /** null: no trace yet. */
  readonly parent: TraceContext | null;
  /** The caller's decision; null: it made none, ours counts. */
  readonly sampled: boolean | null;
  readonly b3Single: boolean;
  readonly b3Multi: boolean;
}

/** A request that says nothing about tracing. */
export const NOTHING: Extracted = { parent: null, sampled: null, b3Single: false, b3Multi: false };

/** The first of `traceparent`, `b3`, `x-b3-*` that is valid counts. */
export function extract(headers: HeaderMap): Extracted {
  const traceparent = headers.get("traceparent");
  const single = headers.get("b3");
  const b3Single = single !== null;
  const b3Multi = headers.has("x-b3-traceid") || headers.has("x-b3-sampled") || headers.has("x-b3-flags");
  if (traceparent === null && !b3Single && !b3Multi) return NOTHING;
  const w3c = traceparent === null ? null : parseTraceparent(traceparent);
  if (w3c !== null) return { parent: w3c, sampled: w3c.sampled, b3Single, b3Multi };
  const b3 = (single === null ? null : parseB3Single(single)) ?? (b3Multi ? parseB3Multi(headers) : null);
  return { parent: b3?.context ?? null, sampled: b3?.sampled ?? null, b3Single, b3Multi };
}

/**
 * Writes `context` as the next hop's parent. `tracestate` goes with a parent that came by W3C and is dropped otherwise
 * (W3C section 3.3: it means nothing without its `traceparent`).
 */
export function inject(headers: HeaderMap, context: TraceContext, came: Extracted, parentSpanId: string): void {
  if (came.parent === null) headers.remove("tracestate");
  headers.set("traceparent", formatTraceparent(context));
  if (came.b3Single) headers.set("b3", formatB3Single(context, parentSpanId));
  if (came.b3Multi) injectB3Multi(headers, context, parentSpanId);
}
