/**
 * `node bench/interception.ts [--rounds N] [--proxy outrigger|envoy]`: what interception adds to the CPU time of a
 * request. Two namespaces on one wire, a proxy in each with mutual TLS between: once with listeners that are called by
 * name, once with the rules of `outrigger init`, virtual listeners and ORIGINAL_DST clusters, all else being equal. The
 * two take turns, so that a machine that changes its speed changes it for both.
 */
import { execFileSync } from "node:child_process";
import { chmodSync, chownSync, mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { parseArgs } from "node:util";
import { type Host, Network } from "../test/interception/network.ts";
import { makeCertificates } from "./certificates.ts";
import { explicitHops, type Hops, interceptedHops } from "./interception-config.ts";
import { saturate } from "./load.ts";
import { bootstrapCommand } from "./peers/peers.ts";
import { cpuMicros, LOAD_CORE, PROXY_CORE, type Running, start } from "./processes.ts";
import { median } from "./report.ts";

const SIDECAR = 1337;
const CONNECTIONS = 64;
const SECONDS = 3;
const root = path.dirname(import.meta.dirname);

const { values: flags } = parseArgs({
  options: { rounds: { type: "string", default: "5" }, proxy: { type: "string", default: "outrigger" } },
});
if (flags.proxy !== "outrigger" && flags.proxy !== "envoy") throw new Error(`no such proxy: ${flags.proxy}`);
const proxy = flags.proxy;

const ends: (() => void | Promise<void>)[] = [];
try {
  await measureAll();
} finally {
  for (const end of ends) await end();
}

async function measureAll(): Promise<void> {
  if (proxy === "outrigger")
    execFileSync(process.execPath, [path.join(root, "scripts", "build.ts")], { cwd: root, stdio: "inherit" });
  const network = new Network({ after: (end) => void ends.push(end) });
  const [client, server] = [network.host("client"), network.host("server")];
  const certificates = makeCertificates(network.dir);
  chownSync(certificates.key, SIDECAR, SIDECAR);
  const backend = within(
    server,
    LOAD_CORE,
    [process.execPath, path.join(root, "bench", "backend.mjs"), "8080", "::"],
    0,
  );
  ends.push(() => backend.stop());
  const variants = {
    explicit: explicitHops(server.addresses.mesh[4], certificates),
    intercepted: interceptedHops(server.addresses.mesh[4], certificates),
  };
  const samples = { explicit: [] as number[], intercepted: [] as number[] };
  const rates = { explicit: [] as number[], intercepted: [] as number[] };
  for (let round = 0; round < Number(flags.rounds); round++) {
    for (const name of ["explicit", "intercepted"] as const) {
      const { cpu, rps } = await measure(network, client, server, variants[name], name);
      samples[name].push(cpu);
      rates[name].push(rps);
      process.stderr.write(`round ${round + 1}, ${name}: ${cpu.toFixed(1)} µs, ${Math.round(rps)} requests/s\n`);
    }
  }
  console.log(
    "\n| two hops, mutual TLS between | CPU µs per request | requests/s | ratio |\n| --- | --- | --- | --- |",
  );
  for (const name of ["explicit", "intercepted"] as const) {
    // Of neighbours in time, so that what changes slowly does not count.
    const ratio = median(samples[name].map((value, i) => value / (samples.explicit[i] ?? Number.NaN)));
    const cells = [median(samples[name]).toFixed(1), Math.round(median(rates[name])), ratio.toFixed(3)];
    console.log(`| ${name} | ${cells.join(" | ")} |`);
  }
}

/** Runs something in a host's namespace on one core. */
function within(host: Host, core: number, command: readonly string[], user: number): Running {
  const ids = user === 0 ? [] : ["setpriv", "--reuid", `${user}`, "--regid", `${user}`, "--clear-groups"];
  return start(["ip", "netns", "exec", host.space.name, ...ids, ...command], core);
}

async function measure(
  network: Network,
  client: Host,
  server: Host,
  hops: Hops,
  name: string,
): Promise<{ readonly cpu: number; readonly rps: number }> {
  const dir = path.join(network.dir, name);
  mkdirSync(dir, { recursive: true });
  chmodSync(dir, 0o755);
  const running = (
    [
      ["client", client],
      ["server", server],
    ] as const
  ).map(([side, host]) => {
    const file = path.join(dir, `${side}.json`);
    writeFileSync(file, JSON.stringify(hops[side]));
    if (hops.intercepted) init(host);
    return within(host, PROXY_CORE, bootstrapCommand(proxy, file), SIDECAR);
  });
  try {
    await untilAnswered(client, hops.url, running);
    const load = (seconds: number) =>
      saturate(hops.url, CONNECTIONS, seconds, null, ["ip", "netns", "exec", client.space.name]);
    await load(2);
    const cpu = (): number => running.reduce((sum, { pid }) => sum + cpuMicros(pid), 0);
    const before = cpu();
    const { requests, rps, errors } = await load(SECONDS);
    if (errors > 0) throw new Error(`${errors} of ${requests} requests failed`);
    return { cpu: (cpu() - before) / requests, rps };
  } finally {
    await Promise.all(running.map((process) => process.stop()));
    if (hops.intercepted) for (const host of [client, server]) init(host, "--cleanup", "--drain-time-s", "0.01");
  }
}

function init(host: Host, ...args: readonly string[]): void {
  const { code, stderr } = host.space.outrigger("init", "--proxy-uid", `${SIDECAR}`, ...args);
  if (code !== 0) throw new Error(stderr);
}

async function untilAnswered(client: Host, url: string, running: readonly Running[]): Promise<void> {
  const end = performance.now() + 20_000;
  for (;;) {
    const { code, stderr } = await client.call(["curl", "-sS", "--fail", "--max-time", "1", url]);
    if (code === 0) return;
    if (performance.now() > end || running.some((process) => process.ended()))
      throw new Error(`no answer: ${stderr}\n${running.map((process) => process.output()).join("\n")}`);
    await wait(50);
  }
}
