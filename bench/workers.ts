/**
 * `node bench/workers.ts [--rounds N] [--workers N] [--connections N]`: what a request costs with several data-plane
 * threads, beside one. Both proxies run all the time and are loaded in turn, a second each, on all cores: so a machine
 * that does other things besides does so to both.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { parseArgs } from "node:util";
import { saturate } from "./load.ts";
import { hopBootstrap } from "./peers/envoy-config.ts";
import { bootstrapCommand } from "./peers/peers.ts";
import { cpuMicros, LOAD_CORE, PROXY_CORE, type Running, rssMb, start, untilListening } from "./processes.ts";
import { median } from "./report.ts";

const { values: flags } = parseArgs({
  options: {
    rounds: { type: "string", default: "15" },
    workers: { type: "string", default: "2" },
    connections: { type: "string", default: "64" },
  },
});
const connections = Number(flags.connections);
const root = path.dirname(import.meta.dirname);
const BACKEND_PORT = 19_720;

interface Measured {
  readonly threads: number;
  readonly port: number;
  readonly adminPort: number;
  readonly process: Running;
  readonly cpuUs: number[];
  readonly rps: number[];
  readonly p99: number[];
  errors: number;
}

/** On any core: a pinned parent's own children may go elsewhere. */
const anywhere = ["taskset", "-c", `0-${availableParallelism() - 1}`];

execFileSync(process.execPath, [path.join(root, "scripts", "build.ts")], { cwd: root, stdio: "inherit" });
const dir = mkdtempSync(path.join(tmpdir(), "outrigger-bench-"));
const backend = start(
  [...anywhere, process.execPath, path.join(root, "bench", "backend.mjs"), String(BACKEND_PORT)],
  LOAD_CORE,
);
const proxies: Measured[] = [];
try {
  await untilListening(BACKEND_PORT, backend);
  for (const [index, threads] of [1, Number(flags.workers)].entries()) proxies.push(await startProxy(threads, index));
  for (const proxy of proxies) await saturate(urlOf(proxy), connections, 2, null, anywhere);
  for (let round = 0; round < Number(flags.rounds); round++) {
    for (const proxy of round % 2 === 0 ? proxies : proxies.toReversed()) await measure(proxy);
  }
  await report(proxies[0] as Measured, proxies[1] as Measured);
} finally {
  for (const { process } of proxies) await process.stop();
  await backend.stop();
  rmSync(dir, { recursive: true, force: true });
}

async function startProxy(threads: number, index: number): Promise<Measured> {
  const [port, adminPort] = [BACKEND_PORT + 1 + 2 * index, BACKEND_PORT + 2 + 2 * index];
  const hop = { listenPort: port, targetPort: BACKEND_PORT, tlsIn: null, tlsOut: null } as const;
  const admin = { address: { socket_address: { address: "127.0.0.1", port_value: adminPort } } };
  const file = path.join(dir, `${index}.json`);
  const bootstrap = hopBootstrap({ ...hop, protocolIn: "http/1.1", protocolOut: "http/1.1" });
  writeFileSync(file, JSON.stringify({ ...bootstrap, admin }));
  const command = [...anywhere, ...bootstrapCommand("outrigger", file), "--concurrency", String(threads)];
  const process = start(command, PROXY_CORE);
  await untilListening(adminPort, process);
  const proxy: Measured = { threads, port, adminPort, process, cpuUs: [], rps: [], p99: [], errors: 0 };
  while ((await get(proxy, "/ready")).status !== 200) await wait(50);
  // What the start leaves is collected half a second later.
  await wait(1000);
  return proxy;
}

async function measure(proxy: Measured): Promise<void> {
  const before = cpuMicros(proxy.process.pid);
  const result = await saturate(urlOf(proxy), connections, 1, null, anywhere);
  proxy.cpuUs.push((cpuMicros(proxy.process.pid) - before) / result.requests);
  proxy.rps.push(result.rps);
  proxy.p99.push(result.p99Ms);
  proxy.errors += result.errors;
}

async function report(one: Measured, several: Measured): Promise<void> {
  console.log("| threads | CPU µs/req | req/s | p99 ms | errors | RSS MB | connections of each |");
  console.log("| ---: | ---: | ---: | ---: | ---: | ---: | --- |");
  for (const proxy of [one, several]) {
    const cells = [
      proxy.threads,
      median(proxy.cpuUs).toFixed(1),
      median(proxy.rps).toFixed(0),
      median(proxy.p99).toFixed(1),
      proxy.errors,
      rssMb(proxy.process.pid).toFixed(0),
      (await connectionsOf(proxy)).join(" and ") || "all",
    ];
    console.log(`| ${cells.join(" | ")} |`);
  }
  const ratios = several.cpuUs.map((us, i) => us / (one.cpuUs[i] as number));
  console.log(
    `\nCPU per request, ${several.threads} threads beside one: ${median(ratios).toFixed(2)} (target at most 1.10)`,
  );
}

async function connectionsOf(proxy: Measured): Promise<string[]> {
  const text = await (await get(proxy, "/stats/prometheus")).text();
  return [...text.matchAll(/^outrigger_worker_connections_accepted_total\{.*\} (\d+)$/gm)].map(([, n = ""]) => n);
}

function get(proxy: Measured, page: string): Promise<Response> {
  return fetch(`http://127.0.0.1:${proxy.adminPort}${page}`);
}

function urlOf({ port }: Measured): string {
  return `http://127.0.0.1:${port}/`;
}
