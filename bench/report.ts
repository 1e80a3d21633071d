/** Results as a table, as JSON, and as a picture. */
import { cpus } from "node:os";
import { AGAINST_OWN_BASELINE, OWN_BASELINE, STREAM, TCP_CONNECT, TCP_IDLE, TCP_STREAM, THROUGHPUT } from "./cases.ts";

export interface Result {
  readonly case: string;
  readonly proxy: string;
  readonly cpu_us_per_request: number | null;
  /** Of 2^30 bytes. */
  readonly cpu_s_per_gb: number | null;
  readonly rps: number | null;
  readonly p50_ms: number | null;
  readonly p99_ms: number | null;
  readonly p999_ms: number | null;
  readonly rss_mb: number | null;
  readonly ready_ms: number | null;
  /** Share of its core that the proxy used under full load. */
  readonly busy: number | null;
  readonly errors: number;
  /** Of the case's main figure: CPU per request or per GB, p99, memory, or time to readiness. */
  readonly ratio_to_envoy: number | null;
  /** To Outrigger itself with its HTTP/1.1 hop, in the cases whose target says so. */
  readonly ratio_to_own: number | null;
}

/** Which figure a case is about. */
export function mainFigure(name: string): "cpu_us_per_request" | "cpu_s_per_gb" | "p99_ms" | "rss_mb" | "ready_ms" {
  if (name.startsWith(STREAM.name) || name.startsWith(TCP_STREAM.name)) return "cpu_s_per_gb";
  if (name.startsWith("latency")) return "p99_ms";
  if (name.startsWith("rss")) return "rss_mb";
  if (name.startsWith("start")) return "ready_ms";
  return "cpu_us_per_request";
}

/** What each case has to reach, as a ratio to Envoy's figure in the same run, or in ms. */
export const TARGETS: Readonly<Record<string, string>> = {
  "h1-one-hop": "≤ 0.65",
  "h1-two-hop-mtls": "≤ 0.60",
  "h2-one-hop": "≤ 0.80",
  "h2-two-hop-mtls": "≤ 0.80",
  "h2-one-stream": "≤ 0.80",
  "h1-two-hop-multiplexed": "≤ 0.65",
  "h1-two-hop-multiplexed-1": "≤ 1.05 × its HTTP/1.1 hop",
  "latency-two-hop-mtls": "≤ 1.0",
  "latency-h2-two-hop-mtls": "≤ 1.0",
  "latency-h1-two-hop-multiplexed": "≤ 1.0",
  [STREAM.name]: "≤ 1.0",
  [TCP_STREAM.name]: "≤ 0.9",
  [TCP_CONNECT.name]: "≤ 1.2",
  [TCP_IDLE.name]: "≤ 1.5",
  "rss-at-rest": "≤ 1.3",
  "rss-1000-clusters": "≤ 0.8",
  "start-one-cluster": "≤ 400 ms",
  "start-1000-clusters": "≤ 1 s",
};

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2;
}

/** Fills in the ratios. */
export function withRatios(results: readonly Omit<Result, "ratio_to_envoy" | "ratio_to_own">[]): Result[] {
  return results.map((result) => {
    const figure = mainFigure(result.case);
    const own = result[figure];
    const ratioTo = (proxy: string): number | null => {
      const other = results.find((candidate) => candidate.case === result.case && candidate.proxy === proxy)?.[figure];
      return other && own ? Number((own / other).toFixed(3)) : null;
    };
    const ratioToOwn = isAgainstOwn(result) ? ratioTo(OWN_BASELINE) : null;
    return { ...result, ratio_to_envoy: ratioTo("envoy"), ratio_to_own: ratioToOwn };
  });
}

/** As tables show it: the ratio that the case's target is about. */
export function ratioText(result: Result): string {
  const { ratio_to_envoy, ratio_to_own } = result;
  if (!isAgainstOwn(result)) return ratio_to_envoy?.toFixed(2) ?? "";
  return ratio_to_own === null ? "" : `${ratio_to_own.toFixed(2)} × its HTTP/1.1 hop`;
}

function isAgainstOwn(result: Pick<Result, "case" | "proxy">): boolean {
  return AGAINST_OWN_BASELINE.has(result.case) && result.proxy === "outrigger";
}

const COLUMNS = [
  "case",
  "proxy",
  "CPU µs/req",
  "CPU s/GB",
  "req/s",
  "p50 ms",
  "p99 ms",
  "p99.9 ms",
  "RSS MB",
  "ready ms",
  "× Envoy",
  "target",
];

/** GitHub's table syntax. */
export function markdown(results: readonly Result[]): string {
  const number = (value: number | null, digits: number): string => (value === null ? "" : value.toFixed(digits));
  const rows = results.map((r) => [
    r.case,
    r.proxy,
    number(r.cpu_us_per_request, 1),
    number(r.cpu_s_per_gb, 2),
    number(r.rps, 0),
    number(r.p50_ms, 2),
    number(r.p99_ms, 2),
    number(r.p999_ms, 2),
    number(r.rss_mb, 0),
    number(r.ready_ms, 0),
    ratioText(r),
    r.proxy === "outrigger" ? (TARGETS[r.case] ?? "") : "",
  ]);
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [line(COLUMNS), line(COLUMNS.map((_, i) => (i < 2 ? "---" : "---:"))), ...rows.map(line)].join("\n");
}

/** Date and machine, for whoever reads the figures later. */
export function provenance(): string {
  const model = cpus()[0]?.model.trim() ?? "unknown CPU";
  return `${new Date().toISOString().slice(0, 10)}, ${cpus().length} × ${model}, Linux, Node ${process.version}; proxy on one core, load and backend on another`;
}

const COLOURS: Readonly<Record<string, string>> = {
  outrigger: "#0b7285",
  envoy: "#ae3ec9",
  nginx: "#2b8a3e",
  haproxy: "#e67700",
  "http-proxy": "#868e96",
};

const PICTURED: ReadonlySet<string> = new Set(THROUGHPUT.filter(({ slow }) => !slow).map(({ name }) => name));

/** CPU per request as bars, one group per case. */
export function svg(results: readonly Result[]): string {
  const shown = results.filter((r) => r.cpu_us_per_request !== null && PICTURED.has(r.case));
  const most = Math.max(...shown.map((r) => r.cpu_us_per_request ?? 0), 1);
  const width = 720;
  const rowHeight = 24;
  let y = 56;
  let last = "";
  const parts: string[] = [];
  for (const r of shown) {
    if (r.case !== last) {
      y += 20;
      parts.push(`<text x="16" y="${y}" font-weight="600">${r.case}</text>`);
      y += 10;
      last = r.case;
    }
    const length = ((r.cpu_us_per_request ?? 0) / most) * (width - 330);
    parts.push(
      `<text x="120" y="${y + 15}" text-anchor="end">${r.proxy}</text>`,
      `<rect x="130" y="${y + 2}" width="${length.toFixed(1)}" height="${rowHeight - 6}" rx="2" fill="${COLOURS[r.proxy] ?? "#495057"}"/>`,
      `<text x="${(138 + length).toFixed(1)}" y="${y + 15}">${r.cpu_us_per_request?.toFixed(1)} µs${r.ratio_to_envoy === null ? "" : ` (${r.ratio_to_envoy.toFixed(2)} × Envoy)`}</text>`,
    );
    y += rowHeight;
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${y + 24}" font-family="system-ui, sans-serif" font-size="13" fill="#212529">
<title>CPU time per request, by case and proxy</title>
<rect width="100%" height="100%" fill="#ffffff"/>
<text x="16" y="28" font-size="16" font-weight="700">CPU time per request (less is better)</text>
<text x="16" y="46" fill="#495057">${provenance().replaceAll("&", "&amp;")}</text>
${parts.join("\n")}
</svg>
`;
}
