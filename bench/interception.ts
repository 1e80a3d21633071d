/**
 * `node bench/interception.ts [--rounds N] [--proxy outrigger|envoy]`: what interception adds to the CPU time of a
 * request. Two namespaces on one wire, a proxy in each with mutual TLS between: once with listeners that are called by
 * name, once with the rules of `outrigger init`, virtual listeners and ORIGINAL_DST clusters, all else being equal. The
 * variants take turns, so that a machine that changes its speed changes it for all. Rules of translation cost something by
 * themselves, for every packet of the namespace, which the kernel charges to whoever sends it: therefore also the listeners
 * that are called by name with the rules in force.
 */
import { execFileSync } from "node:child_process";
import { chownSync, writeFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { parseArgs } from "node:util";
import { type Host, Network } from "../test/interception/network.ts";
import { makeCertificates } from "./certificates.ts";
import { explicitHops, type Hops, interceptedHops } from "./interception-config.ts";
import { saturate } from "./load.ts";
import { bootstrapCommand } from "./peers/peers.ts";
import { cpuMicros, LOAD_CORE, PROXY_CORE, type Running, start, userMicros } from "./processes.ts";
import { median } from "./report.ts";

const SIDECAR = 1337;
const CONNECTIONS = 64;
const SECONDS = 3;
const WARMUP_SECONDS = 2;
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
  const explicit = explicitHops(server.addresses.mesh[4], certificates);
  const variants: readonly Variant[] = [
    { name: "explicit", hops: explicit, rules: false, samples: [] },
    { name: "explicit, with the rules in force", hops: explicit, rules: true, samples: [] },
    {
      name: "intercepted",
      hops: interceptedHops(server.addresses.mesh[4], certificates),
      rules: true,
      samples: [],
    },
  ];
  for (let round = 0; round < Number(flags.rounds); round++) {
    for (const variant of variants) {
      const sample = await measure(network, client, server, variant);
      variant.samples.push(sample);
      const { user, system, rps } = sample;
      const text = `${user.toFixed(1)} + ${system.toFixed(1)} µs, ${Math.round(rps)} requests/s`;
      process.stderr.write(`round ${round + 1}, ${variant.name}: ${text}\n`);
    }
  }
  console.log("\n| two hops, mutual TLS between | CPU µs per request | user | system | requests/s | ratio |");
  console.log("| --- | --- | --- | --- | --- | --- |");
  const base = variants[0]?.samples ?? [];
  for (const { name, samples } of variants) {
    const cpu = samples.map(({ user, system }) => user + system);
    // Of neighbours in time, so that what changes slowly does not count.
    const ratio = median(cpu.map((value, i) => value / ((base[i]?.user ?? 0) + (base[i]?.system ?? 0))));
    const figures = [cpu, samples.map(({ user }) => user), samples.map(({ system }) => system)];
    const cells = figures.map((values) => median(values).toFixed(1));
    console.log(
      `| ${[name, ...cells, Math.round(median(samples.map(({ rps }) => rps))), ratio.toFixed(3)].join(" | ")} |`,
    );
  }
}

interface Variant {
  readonly name: string;
  readonly hops: Hops;
  readonly rules: boolean;
  readonly samples: Sample[];
}

/** CPU of both proxies, microseconds per request. */
interface Sample {
  readonly user: number;
  readonly system: number;
  readonly rps: number;
}

/** Runs something in a host's namespace on one core. */
function within(host: Host, core: number, command: readonly string[], user: number): Running {
  const ids = user === 0 ? [] : ["setpriv", "--reuid", `${user}`, "--regid", `${user}`, "--clear-groups"];
  return start(["ip", "netns", "exec", host.space.name, ...ids, ...command], core);
}

async function measure(network: Network, client: Host, server: Host, { hops, rules }: Variant): Promise<Sample> {
  const hosts = [client, server];
  if (rules) for (const host of hosts) init(host);
  const running = (["client", "server"] as const).map((side) => {
    const file = path.join(network.dir, `${side}.json`);
    writeFileSync(file, JSON.stringify(hops[side]));
    return within(side === "client" ? client : server, PROXY_CORE, bootstrapCommand(proxy, file), SIDECAR);
  });
  try {
    await untilAnswered(client, hops.url, running);
    const load = (seconds: number) =>
      saturate(hops.url, CONNECTIONS, seconds, null, ["ip", "netns", "exec", client.space.name]);
    await load(WARMUP_SECONDS);
    const before = cpuOf(running);
    const { requests, rps, errors } = await load(SECONDS);
    if (errors > 0) throw new Error(`${errors} of ${requests} requests failed`);
    const after = cpuOf(running);
    return { user: (after.user - before.user) / requests, system: (after.system - before.system) / requests, rps };
  } finally {
    await Promise.all(running.map((process) => process.stop()));
    if (rules) for (const host of hosts) init(host, "--cleanup", "--drain-time-s", "0.01");
  }
}

/** CPU time of processes so far, microseconds. */
function cpuOf(running: readonly Running[]): { readonly user: number; readonly system: number } {
  let user = 0;
  let all = 0;
  for (const { pid } of running) {
    all += cpuMicros(pid);
    user += userMicros(pid);
  }
  return { user, system: all - user };
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
