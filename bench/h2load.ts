/** `h2load`: gRPC-shaped calls, streams of any length, and a fixed rate of either protocol with every latency on record. */
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import type { Protocol } from "./cases.ts";
import type { ThroughputResult } from "./load.ts";
import { LOAD_CORE } from "./processes.ts";

const run = promisify(execFile);

/** A proxy that lets a load hang must not hang the benchmark. */
const LIMIT_MS = 60_000;

export interface LatencyResult {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  readonly errors: number;
}

/** gRPC's framing of one message: not compressed, its length, its bytes. */
export const GRPC_REQUEST = Buffer.concat([Buffer.of(0, 0, 0, 0, 45), Buffer.alloc(45, "b")]);
/** What the backend answers to each call, with gRPC's framing. */
export const ANSWER_BYTES = 250;

const GRPC_HEADERS = ["-H", "content-type: application/grpc", "-H", "te: trailers"];

/** Latencies in order, in ms, and the number of requests that got no answer or not a 200. */
interface Run {
  readonly latencies: readonly number[];
  readonly errors: number;
  readonly seconds: number;
  readonly dataBytes: number;
}

async function h2load(options: readonly string[], request: Buffer | number | null, url: string): Promise<Run> {
  const dir = mkdtempSync(path.join(tmpdir(), "outrigger-bench-"));
  try {
    const log = path.join(dir, "latency.log");
    const body = path.join(dir, "request");
    if (request !== null) writeFileSync(body, typeof request === "number" ? "" : request);
    // Zeros that take no room.
    if (typeof request === "number") truncateSync(body, request);
    // Zeros are no messages of gRPC: to whoever counts them each five would be one.
    const headers = typeof request === "number" ? [] : GRPC_HEADERS;
    const data = request === null ? [] : ["-d", body, ...headers];
    const args = ["-c", String(LOAD_CORE), "h2load", "-t1", `--log-file=${log}`, ...options, ...data, url];
    const { stdout } = await run("taskset", args, { maxBuffer: 1 << 24, timeout: LIMIT_MS });
    const seconds = /finished in ([\d.]+)(us|ms|s|m),/.exec(stdout);
    const dataBytes = /\((\d+)\) data/.exec(stdout)?.[1];
    if (!seconds || dataBytes === undefined) throw new Error(`h2load printed no report:\n${stdout}`);
    const unit = { us: 1e-6, ms: 1e-3, s: 1, m: 60 }[seconds[2] ?? ""] ?? Number.NaN;
    return {
      ...latencies(readFileSync(log, "utf8")),
      seconds: Number(seconds[1]) * unit,
      dataBytes: Number(dataBytes),
    };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** Each line of the log: start time (µs since the epoch), status, duration (µs). */
export function latencies(log: string): { readonly latencies: readonly number[]; readonly errors: number } {
  const found: number[] = [];
  let errors = 0;
  for (const line of log.split("\n")) {
    const [, status, micros] = line.split("\t");
    if (micros === undefined) continue;
    if (status === "200") found.push(Number(micros) / 1000);
    else errors++;
  }
  return { latencies: found.sort((a, b) => a - b), errors };
}

function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

/** Calls as fast as the proxy answers them. One whose answer came short is an error, whatever its status. */
export async function saturateCalls(
  url: string,
  connections: number,
  streams: number,
  seconds: number,
): Promise<ThroughputResult> {
  const load = await h2load([`-c${connections}`, `-m${streams}`, `-D${seconds}`], GRPC_REQUEST, url);
  const requests = load.latencies.length;
  const short = Math.max(0, Math.ceil(requests - load.dataBytes / ANSWER_BYTES));
  return {
    requests,
    rps: requests / load.seconds,
    p50Ms: percentile(load.latencies, 0.5),
    p99Ms: percentile(load.latencies, 0.99),
    errors: load.errors + short,
  };
}

/** `rate` requests a second over `connections`, evenly: what a caller waits when nothing is saturated. */
export async function atRate(
  url: string,
  protocol: Protocol,
  rate: number,
  connections: number,
  seconds: number,
): Promise<LatencyResult> {
  const even = [`-c${connections}`, `--rps=${(rate / connections).toFixed(3)}`, `-D${seconds}`];
  const load =
    protocol === "h2" ? await h2load(["-m32", ...even], GRPC_REQUEST, url) : await h2load(["--h1", ...even], null, url);
  // A proxy that leaves calls unanswered must not look fast; a load that is late on a busy machine is no error.
  const missing = Math.max(0, Math.floor(rate * seconds * 0.8) - load.latencies.length - load.errors);
  return {
    p50Ms: percentile(load.latencies, 0.5),
    p99Ms: percentile(load.latencies, 0.99),
    p999Ms: percentile(load.latencies, 0.999),
    errors: load.errors + missing,
  };
}

/** One call with a request of `bytes`. Throws if it fails or its answer is not `answerBytes` long. */
export async function oneStream(url: string, bytes: number, answerBytes: number): Promise<void> {
  const load = await h2load(["-n1", "-c1", "-m1"], bytes, url);
  if (load.latencies.length !== 1 || load.dataBytes !== answerBytes) {
    throw new Error(`a stream of ${bytes} bytes got ${load.dataBytes} of ${answerBytes} bytes, ${load.errors} errors`);
  }
}
