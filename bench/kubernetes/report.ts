/** The figures of the control plane's benchmark beside what they have to reach, as a table and as JSON. */
import { cpus } from "node:os";

export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** What it may be at most; null: it is for information. */
  readonly limit: number | null;
}

/**
 * What Istio publishes of istiod ("Performance and Scalability" in its documentation), for 1,000 services and 2,000
 * sidecars. How long its pushes take is not published.
 */
export const ISTIOD = "istiod, as published: 1 vCPU and 1.5 GB for 1,000 services and 2,000 sidecars";

export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN;
}

export function table(figures: readonly Figure[]): string {
  const rows = figures.map(({ name, value, unit, limit }) => {
    const verdict = limit === null ? "" : value <= limit ? "reached" : "missed";
    return `| ${name} | ${text(value)} ${unit} | ${limit === null ? "" : `≤ ${limit} ${unit}`} | ${verdict} |`;
  });
  return ["| figure | measured | target | |", "| --- | ---: | ---: | --- |", ...rows].join("\n");
}

export function missed(figures: readonly Figure[]): boolean {
  return figures.some(({ value, limit }) => limit !== null && !(value <= limit));
}

export function provenance(): string {
  const model = cpus()[0]?.model.trim() ?? "unknown CPU";
  const date = new Date().toISOString().slice(0, 10);
  return `${date}, ${cpus().length} × ${model}, Linux, Node ${process.version}; control plane on one core, API server and sidecars on another`;
}

function text(value: number): string {
  return value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0);
}
