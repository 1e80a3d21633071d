/** Puts a run's figures where people look: the README's table, `docs/benchmark.md` with all of them, and the picture. */
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { LATENCY, OWN_BASELINE, STREAM, TCP_CONNECT, TCP_IDLE, TCP_STREAM, THROUGHPUT } from "./cases.ts";
import { mainFigure, markdown, provenance, type Result, ratioText, svg, TARGETS } from "./report.ts";

const BEGIN = "<!-- bench:begin -->";
const END = "<!-- bench:end -->";

const UNITS = {
  cpu_us_per_request: "CPU µs per request",
  cpu_s_per_gb: "CPU s per GB",
  p99_ms: "p99, ms",
  rss_mb: "RSS, MB",
  ready_ms: "ready after ms",
} as const;

const DIGITS = { cpu_us_per_request: 1, cpu_s_per_gb: 2, p99_ms: 1, rss_mb: 0, ready_ms: 1 } as const;

const TITLES: Readonly<Record<string, string>> = {
  ...Object.fromEntries([...THROUGHPUT, ...LATENCY].map(({ name, title }) => [name, title])),
  [STREAM.name]: `${STREAM.title}, mean`,
  [`${STREAM.name}-upload`]: "the same, only up",
  [`${STREAM.name}-download`]: "the same, only down",
  [TCP_STREAM.name]: `${TCP_STREAM.title}, mean`,
  [`${TCP_STREAM.name}-upload`]: "the same, only up",
  [`${TCP_STREAM.name}-download`]: "the same, only down",
  [TCP_CONNECT.name]: TCP_CONNECT.title,
  [TCP_IDLE.name]: TCP_IDLE.title,
  "rss-at-rest": "at rest, one cluster",
  "rss-1000-clusters": "at rest, 1,000 clusters with TLS contexts",
  "start-one-cluster": "start, one cluster",
  "start-1000-clusters": "start, 1,000 clusters with TLS contexts",
};

/** One row per case: the figure that the case is about, for each proxy, and Outrigger's ratio to Envoy's. */
export function summary(results: readonly Result[]): string {
  // Outrigger's own baseline is in one case only, and its ratio says what there is to say.
  const proxies = [...new Set(results.map(({ proxy }) => proxy))].filter((proxy) => proxy !== OWN_BASELINE);
  const cases = [...new Set(results.map((result) => result.case))];
  const of = (name: string, proxy: string): Result | undefined =>
    results.find((result) => result.case === name && result.proxy === proxy);
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  const rows = cases.map((name) => {
    const figure = mainFigure(name);
    const figures = proxies.map((proxy) => of(name, proxy)?.[figure]?.toFixed(DIGITS[figure]) ?? "");
    const own = of(name, "outrigger");
    const ratio = own ? ratioText(own) : "";
    return [TITLES[name] ?? name, UNITS[figure], ...figures, ratio, TARGETS[name] ?? ""];
  });
  const columns = ["case", "figure", ...proxies, "Outrigger ÷ Envoy", "target"];
  return [line(columns), line(columns.map((_, i) => (i < 2 ? "---" : "---:"))), ...rows.map(line)].join("\n");
}

/** `text` with what stands between the markers replaced. Throws if it has no markers. */
export function replaceMarked(text: string, content: string): string {
  const begin = text.indexOf(BEGIN);
  const end = text.indexOf(END);
  if (begin < 0 || end < begin) throw new Error(`no ${BEGIN} … ${END}`);
  return `${text.slice(0, begin + BEGIN.length)}\n\n${content}\n\n${text.slice(end)}`;
}

/** Writes all three; `root` is the project's directory. */
export function writeDocs(root: string, results: readonly Result[], rounds: number): void {
  const when = `${provenance()}; median of ${rounds} interleaved rounds.`;
  const readme = path.join(root, "README.md");
  writeFileSync(readme, replaceMarked(readFileSync(readme, "utf8"), `${when}\n\n${summary(results)}`));
  const guide = path.join(root, "docs", "benchmark.md");
  writeFileSync(
    guide,
    replaceMarked(
      readFileSync(guide, "utf8"),
      `![CPU time per request](benchmark.svg)\n\n${when}\n\n${markdown(results)}`,
    ),
  );
  writeFileSync(path.join(root, "docs", "benchmark.svg"), svg(results));
}
