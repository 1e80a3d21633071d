/** One measurement of one proxy: start it, warm it up, load it, read its CPU time, stop it. */

import { once } from "node:events";
import { readFileSync } from "node:fs";
import net from "node:net";
import { setTimeout as wait } from "node:timers/promises";
import {
  type LatencyCase,
  type Path,
  type Protocol,
  STREAM,
  TCP_CONNECT,
  TCP_IDLE,
  TCP_STREAM,
  type ThroughputCase,
} from "./cases.ts";
import type { HopCertificates } from "./certificates.ts";
import { ANSWER_BYTES, atRate, GRPC_REQUEST, type LatencyResult, oneStream, saturateCalls } from "./h2load.ts";
import { saturate, type ThroughputResult } from "./load.ts";
import type { HopOptions } from "./peers/envoy-config.ts";
import type { Peer } from "./peers/peers.ts";
import { cpuMicros, PROXY_CORE, type Running, rssMb, start, untilListening } from "./processes.ts";
import { moveBytes, openAndClose } from "./tcp-load.ts";
import { HEAD_BYTES, head } from "./tcp-protocol.ts";
import { verifyAnswer, verifyMultiplexed } from "./verify.ts";

/** `h2Download` answers any call with `STREAM.bytes`. */
export const PORTS = {
  h1: 19_700,
  first: 19_701,
  second: 19_702,
  h2: 19_703,
  h2Download: 19_704,
  tcp: 19_705,
} as const;

const BACKENDS: Readonly<Record<Protocol, number>> = { "http/1.1": PORTS.h1, h2: PORTS.h2, tcp: PORTS.tcp };

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
  /** How much of its core the proxy used: below 0.95 something else was the bottleneck. */
  readonly busy: number;
  readonly errors: number;
}

/** The hops from the callers on. */
export function hopsOf(
  { hops, protocol, between }: Path,
  certificates: HopCertificates,
  backendPort: number = BACKENDS[protocol],
): readonly HopOptions[] {
  const ends = { listenPort: PORTS.first, targetPort: backendPort, protocolIn: protocol, protocolOut: protocol };
  if (hops === 1) return [{ ...ends, tlsIn: null, tlsOut: null }];
  return [
    { ...ends, targetPort: PORTS.second, protocolOut: between, tlsIn: null, tlsOut: certificates },
    { ...ends, listenPort: PORTS.second, protocolIn: between, tlsIn: certificates, tlsOut: null },
  ];
}

/** Starts the hops, checks that they answer, and ends them after `use`; null if the proxy can't do this. */
async function withHops<T>(
  peer: Peer,
  path: Path,
  { dir, certificates }: Setting,
  use: (cpu: () => number, running: readonly Running[]) => Promise<T>,
  backendPort?: number,
): Promise<T | null> {
  const hops = hopsOf(path, certificates, backendPort);
  const commands = hops.map((hop, i) => peer.command(dir, `${hops.length}-${i}`, hop));
  if (commands.some((command) => command === null)) return null;
  const running = commands.map((command) => start(command ?? [], PROXY_CORE));
  try {
    for (const [i, hop] of hops.entries()) await untilListening(hop.listenPort, running[i] as Running);
    await wait(300);
    if (path.protocol === "tcp") await moveBytes(PORTS.first, "download", 1 << 20, 1);
    else if (backendPort === undefined) await verifyAnswer(`${URL}/`, path.protocol);
    return await use(() => running.reduce((sum, { pid }) => sum + cpuMicros(pid), 0), running);
  } catch (error) {
    const output = running.map((process) => process.output()).join("");
    throw output === "" ? error : new Error(`${(error as Error).message}\n${output}`, { cause: error });
  } finally {
    await Promise.all(running.map((process) => process.stop()));
  }
}

const URL = `http://127.0.0.1:${PORTS.first}`;

function load(test: ThroughputCase, seconds: number): Promise<ThroughputResult> {
  return test.protocol === "h2"
    ? saturateCalls(URL + test.path, test.connections, test.streams, seconds)
    : saturate(URL + test.path, test.connections, seconds, test.script);
}

/** Saturates the proxy; null if it can't do this case. */
export function measureThroughput(peer: Peer, test: ThroughputCase, setting: Setting): Promise<Sample | null> {
  return withHops(peer, test, setting, async (cpu, running) => {
    const idle = await openIdle(test.idle);
    try {
      await load(test, setting.warmupSeconds);
      if (test.between === "multiplexed") verifyMultiplexed(PORTS.second, test.connections);
      const before = cpu();
      const result = await load(test, setting.seconds);
      return sampleOf(result, cpu() - before, running);
    } finally {
      for (const socket of idle) socket.destroy();
    }
  });
}

/** Latency at a fixed rate. */
export function measureLatency(
  peer: Peer,
  test: LatencyCase,
  rate: number,
  setting: Setting,
): Promise<LatencyResult | null> {
  return withHops(peer, test, setting, async () => {
    // Latency is what callers see day by day: whatever compiles itself as it runs has done so by then.
    if (test.protocol === "h2") await saturateCalls(`${URL}/`, test.connections, 32, setting.warmupSeconds);
    else await saturate(`${URL}/`, test.connections, setting.warmupSeconds, null);
    await atRate(`${URL}/`, test.protocol, rate, test.connections, setting.warmupSeconds);
    return atRate(`${URL}/`, test.protocol, rate, test.connections, setting.seconds);
  });
}

/** CPU seconds for one long stream; null if the proxy can't do this. Its code is warm from a stream before. */
export function measureStream(peer: Peer, way: "upload" | "download", setting: Setting): Promise<number | null> {
  const upload = way === "upload";
  return withHops(
    peer,
    STREAM.path,
    setting,
    async (cpu) => {
      const stream = (): Promise<void> =>
        upload
          ? oneStream(`${URL}/`, STREAM.bytes, ANSWER_BYTES)
          : oneStream(`${URL}/`, GRPC_REQUEST.length, STREAM.bytes);
      await stream();
      const before = cpu();
      await stream();
      return (cpu() - before) / 1e6;
    },
    upload ? undefined : PORTS.h2Download,
  );
}

/** CPU seconds for `TCP_STREAM.bytes` one way; null if the proxy can't do this. */
export function measureTcpStream(peer: Peer, way: "upload" | "download", setting: Setting): Promise<number | null> {
  const { bytes, connections } = TCP_STREAM;
  return withHops(peer, TCP_STREAM.path, setting, async (cpu) => {
    // Its code is warm from a transfer before.
    await moveBytes(PORTS.first, way, bytes, connections);
    const before = cpu();
    await moveBytes(PORTS.first, way, bytes, connections);
    return (cpu() - before) / 1e6;
  });
}

/** Connections a second, and what each costs; null if the proxy can't do this. */
export function measureTcpConnect(peer: Peer, setting: Setting): Promise<Sample | null> {
  return withHops(peer, TCP_CONNECT.path, setting, async (cpu, running) => {
    // Whatever compiles itself as it runs needs some thousand connections for that.
    let warm = 0;
    for (let i = 0; i < 6 && warm < TCP_CONNECT.warmup; i++) {
      warm += (await openAndClose(PORTS.first, setting.seconds, TCP_CONNECT.callers)).requests;
    }
    const before = cpu();
    const result = await openAndClose(PORTS.first, setting.seconds, TCP_CONNECT.callers);
    return sampleOf(result, cpu() - before, running);
  });
}

/** Memory of both hops with connections that say nothing, MB; null if the proxy can't do this. */
export function measureTcpIdle(peer: Peer, setting: Setting): Promise<number | null> {
  return withHops(peer, TCP_IDLE.path, setting, async (_cpu, running) => {
    const idle = await openAnswered(Math.min(TCP_IDLE.connections, Math.floor((openFiles() - 200) / 2)));
    try {
      await wait(3000);
      return rssOf(running);
    } finally {
      for (const socket of idle) socket.destroy();
    }
  });
}

/** The limit of open files that this process and those it starts have. */
function openFiles(): number {
  return Number(/Max open files\s+(\d+)/.exec(readFileSync("/proc/self/limits", "utf8"))?.[1] ?? 1024);
}

/** Connections that the backend has answered once, and that then say nothing. */
async function openAnswered(count: number): Promise<net.Socket[]> {
  const sockets: net.Socket[] = [];
  let left = count;
  const open = async (): Promise<void> => {
    while (left-- > 0) {
      const socket = net.connect(PORTS.first, "127.0.0.1");
      sockets.push(socket);
      socket.write(head("P", HEAD_BYTES));
      await once(socket, "data");
      socket.on("error", () => undefined);
    }
  };
  await Promise.all(Array.from({ length: 32 }, open));
  return sockets;
}

function rssOf(running: readonly Running[]): number {
  return running.reduce((sum, { pid }) => sum + rssMb(pid), 0);
}

function sampleOf(result: ThroughputResult, used: number, running: readonly Running[]): Sample {
  return {
    cpuUsPerRequest: used / result.requests,
    rps: result.rps,
    p50Ms: result.p50Ms,
    p99Ms: result.p99Ms,
    rssMb: rssOf(running),
    busy: ((used / result.requests) * result.rps) / 1e6,
    errors: result.errors,
  };
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
