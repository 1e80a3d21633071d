/**
 * `npm run bench [-- --quick] [--json FILE] [--case NAME] [--proxy NAME] [--rounds N] [--docs]`: Outrigger beside Envoy,
 * nginx, haproxy and http-proxy. Rounds are interleaved, so that a machine that changes its speed changes it for all;
 * medians are shown.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { stringify } from "yaml";
import {
  AGAINST_OWN_BASELINE,
  FIXED_RATE,
  LATENCY,
  STREAM,
  TCP_CONNECT,
  TCP_IDLE,
  TCP_STREAM,
  THROUGHPUT,
} from "./cases.ts";
import { makeCertificates } from "./certificates.ts";
import { writeDocs } from "./docs.ts";
import { ANSWER_BYTES } from "./h2load.ts";
import {
  hopsOf,
  measureLatency,
  measureStart,
  measureStream,
  measureTcpConnect,
  measureTcpIdle,
  measureTcpStream,
  measureThroughput,
  PORTS,
  type Sample,
  type Setting,
} from "./measure.ts";
import { hopBootstrap } from "./peers/envoy-config.ts";
import { bootstrapCommand, PEERS, PLAIN_HOP_PEER } from "./peers/peers.ts";
import { LOAD_CORE, type Running, start, untilListening, which } from "./processes.ts";
import { markdown, provenance } from "./report.ts";
import { type Figures, Samples } from "./samples.ts";

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const { values: flags } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    json: { type: "string" },
    case: { type: "string", multiple: true },
    proxy: { type: "string", multiple: true },
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

const dir = mkdtempSync(path.join(tmpdir(), "outrigger-bench-"));
const setting: Setting = {
  dir,
  certificates: makeCertificates(dir),
  seconds: 2,
  warmupSeconds: 1,
};
const rounds = Number(flags.rounds ?? (flags.quick ? 2 : 3));
const wanted = (name: string, slow: boolean): boolean =>
  flags.case ? flags.case.includes(name) : !(flags.quick && slow);
const measured = flags.proxy ?? (flags.quick ? ["outrigger", "envoy"] : null);
const peers = PEERS.filter(({ name }) => measured?.includes(name) ?? true);
const ownBaseline = peers.some(({ name }) => name === "outrigger") ? [PLAIN_HOP_PEER] : [];
if (ownBaseline.length > 0) {
  execFileSync(process.execPath, [path.join(root, "scripts", "build.ts")], { cwd: root, stdio: "inherit" });
}
const samples = new Samples();

function figuresOf(sample: Sample): Figures {
  return {
    cpu_us_per_request: sample.cpuUsPerRequest,
    rps: sample.rps,
    p50_ms: sample.p50Ms,
    p99_ms: sample.p99Ms,
    rss_mb: sample.rssMb,
    busy: sample.busy,
    errors: sample.errors,
  };
}

async function throughput(): Promise<void> {
  for (const test of THROUGHPUT.filter(({ name, slow }) => wanted(name, slow))) {
    for (const peer of AGAINST_OWN_BASELINE.has(test.name) ? [...peers, ...ownBaseline] : peers) {
      await samples.measure(test.name, peer.name, async () => {
        const sample = await measureThroughput(peer, test, setting);
        return sample && figuresOf(sample);
      });
    }
  }
}

async function latency(): Promise<void> {
  for (const test of LATENCY.filter(({ name }) => wanted(name, true))) {
    for (const peer of peers) {
      await samples.measure(test.name, peer.name, async () => {
        const sample = await measureLatency(peer, test, FIXED_RATE, setting);
        return sample && { p50_ms: sample.p50Ms, p99_ms: sample.p99Ms, p999_ms: sample.p999Ms, errors: sample.errors };
      });
    }
  }
}

async function stream(): Promise<void> {
  if (!wanted(STREAM.name, true)) return;
  for (const peer of peers) {
    await samples.measure(STREAM.name, peer.name, async () => {
      const upload = await measureStream(peer, "upload", setting);
      const download = await measureStream(peer, "download", setting);
      if (upload === null || download === null) return null;
      const gigabytes = STREAM.bytes / 2 ** 30;
      samples.add(`${STREAM.name}-upload`, peer.name, { cpu_s_per_gb: upload / gigabytes });
      samples.add(`${STREAM.name}-download`, peer.name, { cpu_s_per_gb: download / gigabytes });
      return { cpu_s_per_gb: (upload + download) / (2 * gigabytes), errors: 0 };
    });
  }
}

async function tcp(): Promise<void> {
  for (const peer of peers) {
    if (wanted(TCP_STREAM.name, false)) {
      await samples.measure(TCP_STREAM.name, peer.name, async () => {
        const upload = await measureTcpStream(peer, "upload", setting);
        const download = await measureTcpStream(peer, "download", setting);
        if (upload === null || download === null) return null;
        const gigabytes = TCP_STREAM.bytes / 2 ** 30;
        samples.add(`${TCP_STREAM.name}-upload`, peer.name, { cpu_s_per_gb: upload / gigabytes });
        samples.add(`${TCP_STREAM.name}-download`, peer.name, { cpu_s_per_gb: download / gigabytes });
        return { cpu_s_per_gb: (upload + download) / (2 * gigabytes), errors: 0 };
      });
    }
    if (wanted(TCP_CONNECT.name, false)) {
      await samples.measure(TCP_CONNECT.name, peer.name, async () => {
        const sample = await measureTcpConnect(peer, setting);
        return sample && figuresOf(sample);
      });
    }
    if (wanted(TCP_IDLE.name, true)) {
      await samples.measure(TCP_IDLE.name, peer.name, async () => {
        const rss = await measureTcpIdle(peer, setting);
        return rss === null ? null : { rss_mb: rss, errors: 0 };
      });
    }
  }
}

async function starting(): Promise<void> {
  for (const [label, clusters] of [
    ["one-cluster", 0],
    ["1000-clusters", 1000],
  ] as const) {
    const rssName = clusters === 0 ? "rss-at-rest" : "rss-1000-clusters";
    if (!wanted(`start-${label}`, true) && !wanted(rssName, true)) continue;
    const [hop] = hopsOf({ hops: 1, protocol: "http/1.1", between: "http/1.1" }, setting.certificates);
    const file = path.join(dir, `start-${label}.yaml`);
    writeFileSync(file, stringify(hop && hopBootstrap(hop, clusters, setting.certificates)));
    for (const { name } of peers) {
      if (name !== "outrigger" && name !== "envoy") continue;
      const sample = await measureStart(bootstrapCommand(name, file));
      samples.add(`start-${label}`, name, { ready_ms: sample.readyMs, errors: 0 });
      samples.add(rssName, name, { rss_mb: sample.rssMb, errors: 0 });
    }
  }
}

const backend = (file: string, ...args: readonly (string | number)[]): Running =>
  start([process.execPath, path.join(root, "bench", file), ...args.map(String)], LOAD_CORE);
const backends = [
  [PORTS.h1, backend("backend.mjs", PORTS.h1)],
  [PORTS.h2, backend("h2-backend.ts", PORTS.h2, ANSWER_BYTES)],
  [PORTS.h2Download, backend("h2-backend.ts", PORTS.h2Download, STREAM.bytes)],
  [PORTS.tcp, backend("tcp-backend.ts", PORTS.tcp)],
] as const;
try {
  for (const [port, running] of backends) await untilListening(port, running);
  for (let round = 0; round < rounds; round++) {
    process.stderr.write(`round ${round + 1} of ${rounds}\n`);
    await throughput();
    await latency();
    await stream();
    await tcp();
    await starting();
  }
} finally {
  for (const [, running] of backends) await running.stop();
  rmSync(dir, { recursive: true, force: true });
}

const results = samples.results();
console.log(`${provenance()}; median of ${rounds} rounds\n`);
console.log(markdown(results));
if (flags.json)
  writeFileSync(flags.json, `${JSON.stringify({ provenance: provenance(), rounds, results }, null, 2)}\n`);
if (flags.docs) writeDocs(root, results, rounds);
if (samples.failures.length > 0) {
  console.error(`\nfailed:\n${samples.failures.join("\n")}`);
  process.exitCode = 1;
}
