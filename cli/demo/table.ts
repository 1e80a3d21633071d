/** The demo's tables as text: edges, and the certificates of the sidecars. */
import { type Edge, quantileMs } from "./edges.ts";
import { duration, percent } from "./report.ts";

export interface CertificateRow {
  readonly workload: string;
  /** Ms since the certificate in force was first seen; null: none has been seen yet. */
  readonly ageMs: number | null;
  readonly rotations: number;
}

/** A line per edge; `overMs`: the time in which its requests were counted. */
export function edgeTable(edges: readonly Edge[], overMs: number): readonly string[] {
  const rows = [...edges]
    .sort((a, b) => compare(a.source, b.source) || compare(a.destination, b.destination))
    .map((edge) => [
      `${plainName(edge.source)} → ${plainName(edge.destination)}`,
      ((edge.requests * 1000) / overMs).toFixed(1),
      percent(edge.requests - edge.failed, edge.requests),
      latency(quantileMs(edge, 0.5)),
      latency(quantileMs(edge, 0.99)),
      edge.breaker ?? "–",
      edge.ejected === 0 ? `${edge.endpoints}` : `${edge.endpoints}, ${edge.ejected} ejected`,
    ]);
  return layOut([["edge", "calls/s", "success", "p50", "p99", "breaker", "endpoints"], ...rows]);
}

/** A line per sidecar. */
export function certificateTable(rows: readonly CertificateRow[]): readonly string[] {
  const body = rows.map(({ workload, ageMs, rotations }) => [
    workload,
    ageMs === null ? "–" : duration(ageMs),
    `${rotations} ×`,
  ]);
  return layOut([["sidecar", "certificate age", "renewed"], ...body]);
}

/** The demo has one namespace: `stock.default` is `stock`. */
function plainName(name: string): string {
  return name.replace(/\.default$/, "");
}

function latency(ms: number | null): string {
  return ms === null ? "–" : `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Columns as wide as their widest cell, two spaces apart. */
function layOut(rows: readonly (readonly string[])[]): readonly string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => [...(row[column] ?? "")].length)));
  return rows.map((row) =>
    row
      .map((cell, column) => cell + " ".repeat((widths[column] ?? 0) - [...cell].length))
      .join("  ")
      .trimEnd(),
  );
}
