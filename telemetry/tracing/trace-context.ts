/** W3C Trace Context (https://www.w3.org/TR/trace-context/): who is the parent of what this hop does. */
import type { Random } from "../../core/random.ts";

export interface TraceContext {
  /** 32 hex digits, lower case. */
  readonly traceId: string;
  /** Span that is the parent: 16 hex digits, lower case. */
  readonly spanId: string;
  readonly sampled: boolean;
}

const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const SAMPLED = 1;

const isZero = (id: string): boolean => /^0+$/.test(id);

/** Section 3.2: null for what is malformed, of version ff, or has an id of zeros; later versions may hold more fields. */
export function parseTraceparent(value: string): TraceContext | null {
  const match = TRACEPARENT.exec(value);
  const [, version, traceId, spanId, flags, more] = match ?? [];
  if (version === undefined || traceId === undefined || spanId === undefined || flags === undefined) return null;
  if (version === "ff" || (version === "00" && more !== undefined)) return null;
  if (isZero(traceId) || isZero(spanId)) return null;
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & SAMPLED) !== 0 };
}

export function formatTraceparent(context: TraceContext): string {
  return `00-${context.traceId}-${context.spanId}-${context.sampled ? "01" : "00"}`;
}

const BYTE = Array.from({ length: 65_536 }, (_, n) => n.toString(16).padStart(4, "0"));

/** A random id of `groups` × 4 hex digits, never all zeros. */
function randomHex(random: Random, groups: number): string {
  let id = "";
  for (let i = 0; i < groups; i++) id += BYTE[Math.floor(random() * 65_536)];
  return isZero(id) ? `${id.slice(1)}1` : id;
}

export const randomTraceId = (random: Random): string => randomHex(random, 8);
export const randomSpanId = (random: Random): string => randomHex(random, 4);
