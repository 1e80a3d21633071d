/** Model resources as golden files show them: without what is empty or Envoy's own default. */
import { isDeepStrictEqual } from "node:util";
import * as defaults from "../../control-plane/translate/envoy-defaults.ts";
import { DEFAULT_HTTP2 } from "../../model/http.ts";

type Json = Record<string, unknown>;

/** By a key that only this shape has. */
const SHAPES: readonly (readonly [string, Json])[] = [
  ["filterChains", { ...defaults.LISTENER }],
  ["codecType", { ...defaults.HTTP_CONNECTION_MANAGER }],
  ["discovery", { ...defaults.CLUSTER }],
  ["consecutive5xx", { ...defaults.OUTLIER_DETECTION }],
  ["virtualHosts", { maxDirectResponseBodySizeBytes: 4096 }],
  ["domains", { requireTls: "none" }],
  ["numRetries", { ...defaults.RETRY, numRetries: undefined }],
  ["caseSensitive", { caseSensitive: true }],
  ["clusterNotFoundStatus", { clusterNotFoundStatus: 503, hostRewrite: { kind: "keep" }, priority: "default" }],
  ["destinationPort", { ...defaults.ANY_CONNECTION }],
  ["maxResponseHeadersKb", { ...defaults.CLUSTER.http }],
  ["hpackTableSize", { ...DEFAULT_HTTP2 }],
  ["initialFetchTimeoutMs", { initialFetchTimeoutMs: 0 }],
  ["transportSocketConnectTimeoutMs", { transportSocketConnectTimeoutMs: 0 }],
  ["overprovisioningFactor", { overprovisioningFactor: 140 }],
  ["localityWeighted", { ...defaults.CLUSTER.commonLb }],
];

/** A copy without empties (null, "", [], {}, false) and defaults. */
export function compact(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(compact);
  if (value === null || typeof value !== "object") return value;
  const fallback = SHAPES.find(([key]) => key in value)?.[1] ?? {};
  const entries: [string, unknown][] = [];
  for (const [key, item] of Object.entries(value)) {
    if (key in fallback ? isDeepStrictEqual(fallback[key], item) : isEmpty(item)) continue;
    const short = compact(item);
    if (!(key in fallback) && isEmpty(short)) continue;
    entries.push([key, short]);
  }
  return Object.fromEntries(entries);
}

function isEmpty(value: unknown): boolean {
  if (value === null || value === "" || value === false) return true;
  return typeof value === "object" && Object.keys(value).length === 0;
}
