/** One measurement of one proxy: start it, warm it up, load it, read its CPU time, stop it. */
import net from "node:net";
import { setTimeout as wait } from "node:timers/promises";
import type { ThroughputCase } from "./cases.ts";
import type { HopCertificates } from "./certificates.ts";
import { atRate, type LatencyResult, saturate } from "./load.ts";
import type { Peer } from "./peers/peers.ts";
import { cpuMicros, PROXY_CORE, type Running, rssMb, start, untilListening } from "./processes.ts";

export const PORTS = { backend: 19_700, first: 19_701, second: 19_702 } as const;

export interface Setting {
  readonly dir: string;
  readonly certificates: HopCertificates;
  readonly seconds: number;
  readonly warmupSeconds: number;
}

export interface Sample {
  readonly cpuUsPerRequest: number;
  readonly rps: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly rssMb: number;
  readonly errors: number;
}

/** Starts the proxy's hops; null if it can't do this case. */
async function startHops(peer: Peer, hops: 1 | 2, { dir, certificates }: Setting): Promise<Running[] | null> {
  const plain = { tlsIn: null, tlsOut: null };
  const chain =
    hops === 1
      ? [{ listenPort: PORTS.first, targetPort: PORTS.backend, ...plain }]
      : [
          { listenPort: PORTS.first, targetPort: PORTS.second, tlsIn: null, tlsOut: certificates },
          { listenPort: PORTS.second, targetPort: PORTS.backend, tlsIn: certificates, tlsOut: null },
        ];
  const commands = chain.map((hop, i) => peer.command(dir, `${hops}-${i}`, hop));
  if (commands.some((command) => command === null)) return null;
  const running = commands.map((command) => start(command ?? [], PROXY_CORE));
  for (const [i, hop] of chain.entries()) await untilListening(hop.listenPort, running[i] as Running);
  await wait(300);
  return running;
}

async function withHops<T>(
  peer: Peer,
  hops: 1 | 2,
  setting: Setting,
  use: (running: readonly Running[]) => Promise<T>,
): Promise<T | null> {
  const running = await startHops(peer, hops, setting);
  if (running === null) return null;
  try {
    return await use(running);
  } finally {
    await Promise.all(running.map((process) => process.stop()));
  }
}

const URL = `http://127.0.0.1:${PORTS.first}`;

/** Saturates the proxy; null if it can't do this case. */
export function measureThroughput(peer: Peer, test: ThroughputCase, setting: Setting): Promise<Sample | null> {
  return withHops(peer, test.hops, setting, async (running) => {
    const idle = await openIdle(test.idle);
    try {
      await saturate(URL + test.path, test.connections, setting.warmupSeconds, test.script);
      const cpu = (): number => running.reduce((sum, { pid }) => sum + cpuMicros(pid), 0);
      const before = cpu();
      const load = await saturate(URL + test.path, test.connections, setting.seconds, test.script);
      const used = cpu() - before;
      return {
        cpuUsPerRequest: used / load.requests,
        rps: load.rps,
        p50Ms: load.p50Ms,
        p99Ms: load.p99Ms,
        rssMb: running.reduce((sum, { pid }) => sum + rssMb(pid), 0),
        errors: load.errors,
      };
    } finally {
      for (const socket of idle) socket.destroy();
    }
  });
}

/** Latency at a fixed rate through two hops. */
export function measureLatency(peer: Peer, rate: number, setting: Setting): Promise<LatencyResult | null> {
  return withHops(peer, 2, setting, async () => {
    await atRate(`${URL}/`, rate, 32, setting.warmupSeconds);
    return atRate(`${URL}/`, rate, 32, setting.seconds);
  });
}

async function openIdle(count: number): Promise<net.Socket[]> {
  const sockets: net.Socket[] = [];
  for (let i = 0; i < count; i++) {
    const socket = net.connect(PORTS.first, "127.0.0.1");
    socket.on("error", () => undefined);
    sockets.push(socket);
    if (i % 100 === 99) await wait(5);
  }
  await wait(100);
  return sockets;
}

export interface StartSample {
  /** From the start of the process to its first answer, ms. */
  readonly readyMs: number;
  /** Two seconds after that, without load. */
  readonly rssMb: number;
}

/** Starts a proxy from a bootstrap file and waits for its port. */
export async function measureStart(command: readonly string[]): Promise<StartSample> {
  const process = start(command, PROXY_CORE);
  try {
    const readyMs = await untilListening(PORTS.first, process);
    await wait(2000);
    return { readyMs, rssMb: rssMb(process.pid) };
  } finally {
    await process.stop();
  }
}
