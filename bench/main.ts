/**
 * `npm run bench [-- --quick] [--json FILE] [--case NAME] [--rounds N] [--docs]`: Outrigger beside Envoy, nginx, haproxy
 * and http-proxy. Rounds are interleaved, so that a machine that changes its speed changes it for all; medians are shown.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { stringify } from "yaml";
import { FIXED_RATE, THROUGHPUT } from "./cases.ts";
import { makeCertificates } from "./certificates.ts";
import { writeDocs } from "./docs.ts";
import { measureLatency, measureStart, measureThroughput, PORTS, type Setting } from "./measure.ts";
import { hopBootstrap } from "./peers/envoy-config.ts";
import { bootstrapCommand, PEERS } from "./peers/peers.ts";
import { LOAD_CORE, start, untilListening, which } from "./processes.ts";
import { markdown, median, provenance, type Result, withRatios } from "./report.ts";

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const { values: flags } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    json: { type: "string" },
    case: { type: "string", multiple: true },
    rounds: { type: "string" },
    docs: { type: "boolean", default: false },
  },
});

const missing = ["taskset", "wrk", "h2load"].filter((tool) => which(tool) === null);
if (missing.length > 0) {
  console.error(
    `bench: ${missing.join(" and ")} ${missing.length === 1 ? "is" : "are"} needed (Debian: util-linux, wrk, nghttp2-client)`,
  );
  process.exit(1);
}

type Figures = Partial<
  Record<"cpu_us_per_request" | "rps" | "p50_ms" | "p99_ms" | "p999_ms" | "rss_mb" | "ready_ms" | "errors", number>
>;
const samples = new Map<string, Figures[]>();
const record = (name: string, proxy: string, figures: Figures): void => {
  const key = `${name}\t${proxy}`;
  samples.set(key, [...(samples.get(key) ?? []), figures]);
  process.stderr.write(
    `  ${name} ${proxy} ${JSON.stringify(Object.fromEntries(Object.entries(figures).map(([k, v]) => [k, Number(v.toFixed(2))])))}\n`,
  );
};

execFileSync(process.execPath, [path.join(root, "scripts", "build.ts")], { cwd: root, stdio: "inherit" });
const dir = mkdtempSync(path.join(tmpdir(), "outrigger-bench-"));
const setting: Setting = {
  dir,
  certificates: makeCertificates(dir),
  seconds: 2,
  warmupSeconds: 1,
};
const rounds = Number(flags.rounds ?? 3);
const wanted = (name: string, slow: boolean): boolean =>
  flags.case ? flags.case.includes(name) : !(flags.quick && slow);
const peers = flags.quick ? PEERS.filter(({ name }) => name === "outrigger" || name === "envoy") : PEERS;

const backend = start([process.execPath, path.join(root, "bench", "backend.mjs"), String(PORTS.backend)], LOAD_CORE);
try {
  await untilListening(PORTS.backend, backend);
  for (let round = 0; round < rounds; round++) {
    process.stderr.write(`round ${round + 1} of ${rounds}\n`);
    for (const test of THROUGHPUT.filter(({ name, slow }) => wanted(name, slow))) {
      for (const peer of peers) {
        const sample = await measureThroughput(peer, test, setting);
        if (sample === null) continue;
        record(test.name, peer.name, {
          cpu_us_per_request: sample.cpuUsPerRequest,
          rps: sample.rps,
          p50_ms: sample.p50Ms,
          p99_ms: sample.p99Ms,
          rss_mb: sample.rssMb,
          errors: sample.errors,
        });
      }
    }
    if (wanted("latency-two-hop-mtls", true)) {
      for (const peer of peers) {
        const sample = await measureLatency(peer, FIXED_RATE, setting);
        if (sample === null) continue;
        record("latency-two-hop-mtls", peer.name, {
          p50_ms: sample.p50Ms,
          p99_ms: sample.p99Ms,
          p999_ms: sample.p999Ms,
          errors: sample.errors,
        });
      }
    }
    for (const [label, clusters] of [
      ["one-cluster", 0],
      ["1000-clusters", 1000],
    ] as const) {
      const rssName = clusters === 0 ? "rss-at-rest" : "rss-1000-clusters";
      if (!wanted(`start-${label}`, true) && !wanted(rssName, true)) continue;
      const hop = { listenPort: PORTS.first, targetPort: PORTS.backend, tlsIn: null, tlsOut: null };
      const file = path.join(dir, `start-${label}.yaml`);
      writeFileSync(file, stringify(hopBootstrap(hop, clusters, setting.certificates)));
      for (const name of ["outrigger", "envoy"] as const) {
        const sample = await measureStart(bootstrapCommand(name, file));
        record(`start-${label}`, name, { ready_ms: sample.readyMs, errors: 0 });
        record(rssName, name, { rss_mb: sample.rssMb, errors: 0 });
      }
    }
  }
} finally {
  await backend.stop();
  rmSync(dir, { recursive: true, force: true });
}

const results: Result[] = withRatios(
  [...samples].map(([key, list]) => {
    const [name = "", proxy = ""] = key.split("\t");
    const figure = (of: keyof Figures): number | null => {
      const values = list.flatMap((sample) => sample[of] ?? []);
      return values.length === 0 ? null : Number(median(values).toFixed(3));
    };
    return {
      case: name,
      proxy,
      cpu_us_per_request: figure("cpu_us_per_request"),
      rps: figure("rps"),
      p50_ms: figure("p50_ms"),
      p99_ms: figure("p99_ms"),
      p999_ms: figure("p999_ms"),
      rss_mb: figure("rss_mb"),
      ready_ms: figure("ready_ms"),
      errors: list.reduce((sum, sample) => sum + (sample.errors ?? 0), 0),
    };
  }),
);
console.log(`${provenance()}; median of ${rounds} rounds\n`);
console.log(markdown(results));
if (flags.json)
  writeFileSync(flags.json, `${JSON.stringify({ provenance: provenance(), rounds, results }, null, 2)}\n`);
if (flags.docs) writeDocs(root, results, rounds);
