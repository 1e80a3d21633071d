/**
 * `node bench/kubernetes.ts [--json FILE] [--sidecars N] [--services N] [--changes N] [--reach N] [--source]`: what a control
 * plane of a cluster needs, and how soon its sidecars know. An API server in miniature and simulated sidecars (real
 * streams over mutual TLS) share one core, the control plane has the other.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { parseArgs } from "node:util";
import { reservePorts } from "../test/envoy/harness/ports.ts";
import { clusterOf, SIZE, type Size, WEBHOOK } from "./kubernetes/content.ts";
import { Helper } from "./kubernetes/helpers.ts";
import { inject } from "./kubernetes/injections.ts";
import {
  type FromApiServer,
  type FromSidecars,
  now,
  type ToApiServer,
  type ToSidecars,
} from "./kubernetes/messages.ts";
import { type Figure, ISTIOD, missed, provenance, quantile, table } from "./kubernetes/report.ts";
import { cpuMicros, PROXY_CORE, type Running, rssMb, start, untilListening } from "./processes.ts";

const root = path.dirname(import.meta.dirname);
const { values: flags } = parseArgs({
  options: {
    json: { type: "string" },
    sidecars: { type: "string", default: String(SIZE.sidecars) },
    services: { type: "string", default: String(SIZE.services) },
    changes: { type: "string", default: "200" },
    // Sidecars are told of so many namespaces besides their own; without, of all.
    reach: { type: "string" },
    source: { type: "boolean", default: false },
  },
});
const size: Size = { ...SIZE, sidecars: Number(flags.sidecars), services: Number(flags.services) };
const PROCESSES = 2;
const SERVED_WITHIN_MS = 180_000;

const dir = mkdtempSync(path.join(tmpdir(), "outrigger-bench-kubernetes-"));
if (!flags.source) {
  execFileSync(process.execPath, [path.join(root, "scripts", "build.ts")], { cwd: root, stdio: "inherit" });
}
const api = new Helper<ToApiServer, FromApiServer>("api-server.ts", [dir, JSON.stringify(size), flags.reach ?? ""]);
const { environment } = await api.next("listening");
const [xds = 0, statusPort = 0, webhook = 0] = await reservePorts(3);

/** The control plane, from nothing. */
function startControlPlane(): Running {
  const program = flags.source ? ["cli", "main.ts"] : ["dist", "launcher.js"];
  return start(
    [
      ...[process.execPath, path.join(root, ...program), "control-plane", "--kubernetes", "-l", "warning"],
      ...["--state", path.join(dir, "state"), "--xds-tls-port", `${xds}`, "--status-port", `${statusPort}`],
      ...["--webhook-port", `${webhook}`, "--webhook-configuration", WEBHOOK],
    ],
    PROXY_CORE,
    environment,
  );
}

const sidecars = Array.from({ length: PROCESSES }, () => new Helper<ToSidecars, FromSidecars>("sidecars.ts"));

async function publishedRoots(): Promise<string> {
  for (const end = now() + 30_000; now() < end; await wait(50)) {
    const { roots } = await api.ask({ kind: "roots" }, "roots");
    if (roots !== null) return roots;
  }
  throw new Error(`the control plane has not published its roots:\n${controlPlane.output()}`);
}

interface Served {
  readonly at: number;
  readonly bytes: number;
  readonly resources: number;
}

/** When the last of all sidecars had what it is told of. */
async function allServed(): Promise<Served> {
  let errors: readonly string[] = [];
  for (const end = now() + SERVED_WITHIN_MS; now() < end; await wait(100)) {
    const counts = await Promise.all(sidecars.map((one) => one.ask({ kind: "count" }, "count")));
    errors = counts.flatMap((count) => count.errors);
    if (counts.reduce((sum, { served }) => sum + served, 0) < size.sidecars) continue;
    return {
      at: Math.max(...counts.map(({ lastAt }) => lastAt)),
      bytes: counts.reduce((sum, { bytes }) => sum + bytes, 0),
      resources: counts.reduce((sum, { resources }) => sum + resources, 0),
    };
  }
  throw new Error(`not all sidecars are served: ${errors.join("; ")}\n${controlPlane.output()}`);
}

/** Changes the endpoints of a service; how long it took until each sidecar that knows it had heard, ms. */
async function change(service: number, ready: number, before = async (): Promise<void> => {}): Promise<number[]> {
  const cluster = clusterOf(service, size);
  const heard = Promise.all(sidecars.map((one) => one.ask({ kind: "expect", cluster }, "heard")));
  const { at } = await api.ask({ kind: "change", service, ready }, "changed");
  await before();
  return (await heard).flatMap((answer) => answer.at.map((time) => time - at));
}

let begun = now();
let controlPlane = startControlPlane();
const readyMs = await untilListening(xds, controlPlane, 60_000);
const roots = await publishedRoots();
const share = Math.ceil(size.sidecars / PROCESSES);
const certified = sidecars.map((one, i) => {
  const range = { from: i * share, to: Math.min(size.sidecars, (i + 1) * share) };
  return one.ask({ kind: "start", start: { size, ...range, port: xds, roots } }, "certified");
});
await Promise.all(certified);
const connecting = now();
const cpuBefore = cpuMicros(controlPlane.pid);
const first = await allServed();
const figures: Figure[] = [];
const note = (name: string, value: number, unit: string, limit: number | null = null): void => {
  figures.push({ name, value, unit, limit });
  console.error(`${name}: ${value.toFixed(2)} ${unit}`);
};
note("start: listening", readyMs / 1000, "s");
note("new sidecars: all of them served", (first.at - connecting) / 1000, "s");
note("new sidecars: configuration sent", first.bytes / 2 ** 20, "MB");
note("new sidecars: CPU of the control plane", (cpuMicros(controlPlane.pid) - cpuBefore) / 1e6, "s");
note("memory with all sidecars served (RSS)", rssMb(controlPlane.pid), "MB", 1500);

const slowest: number[] = [];
const each: number[] = [];
const cpuAtChanges = cpuMicros(controlPlane.pid);
const changesBegun = now();
for (let i = 0; i < Number(flags.changes); i++) {
  const times = await change((i * 37) % size.services, 1 + (i % (size.podsPerService - 1)));
  if (times.length > 0) slowest.push(Math.max(...times));
  each.push(...times);
  await wait(50);
}
const changeCpu = cpuMicros(controlPlane.pid) - cpuAtChanges;
note("endpoint change until the last sidecar knows, p50", quantile(slowest, 0.5), "ms");
note("endpoint change until the last sidecar knows, p99", quantile(slowest, 0.99), "ms", 1000);
note("endpoint change until a sidecar knows, p50", quantile(each, 0.5), "ms");
note("sidecars that a change concerns", each.length / slowest.length, "");
note("CPU of the control plane per change", changeCpu / 1000 / slowest.length, "ms");
note("CPU of the control plane at this rate of changes", changeCpu / 1000 / (now() - changesBegun), "cores", 1);

const injections = await inject(webhook, roots, 200, 20);
note("injection at 20 pods a second, p50", quantile(injections.ms, 0.5), "ms");
note("injection at 20 pods a second, p99", quantile(injections.ms, 0.99), "ms", 50);
note("pods that got no sidecar", injections.failures, "", 0);
note("memory after all that (RSS)", rssMb(controlPlane.pid), "MB", 1500);

// It comes back while its sidecars hold what they were told: served is who knows what has changed meanwhile.
await controlPlane.stop();
const restarted = change(1, 5, async () => {
  begun = now();
  controlPlane = startControlPlane();
});
await restarted;
note("cold start until all sidecars are served", (now() - begun) / 1000, "s", 15);
note("cold start: CPU of the control plane", cpuMicros(controlPlane.pid) / 1e6, "s");
note("memory after the cold start (RSS)", rssMb(controlPlane.pid), "MB", 1500);

console.log(
  `${size.services} services, ${size.services * size.podsPerService} endpoints, ${size.sidecars} sidecars, ` +
    `each told of ${flags.reach === undefined ? "all" : `${Number(flags.reach) + 1} of ${size.namespaces}`} namespaces\n`,
);
console.log(table(figures));
console.log(`\n${ISTIOD}\n${provenance()}`);
if (flags.json !== undefined) {
  writeFileSync(
    flags.json,
    `${JSON.stringify({ provenance: provenance(), size, reach: flags.reach ?? null, figures }, null, 2)}\n`,
  );
}
await Promise.all([controlPlane.stop(), api.stop(), ...sidecars.map((one) => one.stop())]);
rmSync(dir, { recursive: true, force: true });
process.exit(missed(figures) ? 1 : 0);
