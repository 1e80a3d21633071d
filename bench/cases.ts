/** What is measured: each case is a path through one or two hops and the load that is put on it. */

export type Protocol = "http/1.1" | "h2" | "tcp";

/** The way from the callers to the backend. */
export interface Path {
  readonly hops: 1 | 2;
  /** What callers and backend speak. */
  readonly protocol: Protocol;
  /**
   * What two hops speak between them. "multiplexed": calls of HTTP/1.1 as streams of HTTP/2, for Envoy by a cluster that
   * is told to speak HTTP/2, for Outrigger by its multiplexed hop.
   */
  readonly between: Protocol | "multiplexed";
}

export interface ThroughputCase extends Path {
  readonly name: string;
  readonly title: string;
  readonly path: string;
  readonly connections: number;
  /** Calls in flight on each connection. */
  readonly streams: number;
  /** Connections that are open and say nothing. */
  readonly idle: number;
  /** Lua for wrk, null for plain GETs. */
  readonly script: string | null;
  /** Left out of `--quick`. */
  readonly slow: boolean;
}

const UPLOAD = `wrk.method = "POST"\nwrk.body = string.rep("a", 1048576)\n`;

function one(name: string, title: string, more: Partial<ThroughputCase> = {}): ThroughputCase {
  const path: Path = { hops: 1, protocol: "http/1.1", between: "http/1.1" };
  const load = { path: "/", connections: 32, streams: 1, idle: 0, script: null, slow: true };
  return { name, title, ...path, ...load, ...more };
}

/** gRPC-shaped calls: 4 connections with 32 streams each. */
const GRPC: Partial<ThroughputCase> = { protocol: "h2", between: "h2", connections: 4, streams: 32 };
const MULTIPLEXED: Partial<ThroughputCase> = { hops: 2, between: "multiplexed" };

export const THROUGHPUT: readonly ThroughputCase[] = [
  one("h1-one-hop", "one hop, 32 callers", { slow: false }),
  one("h1-two-hop-mtls", "two hops with mTLS, 32 callers", { hops: 2, slow: false }),
  one("h2-one-hop", "gRPC, one hop, 4 connections of 32 streams", { ...GRPC, slow: false }),
  one("h2-two-hop-mtls", "gRPC, two hops with mTLS, 4 connections of 32 streams", { ...GRPC, hops: 2, slow: false }),
  one("h1-two-hop-multiplexed", "two hops, multiplexed between, 32 callers", { ...MULTIPLEXED, slow: false }),
  one("h1-one-hop-hot", "one hop, one hot connection", { connections: 1 }),
  one("h1-one-hop-cold", "one hop, 32 callers beside 2,000 idle connections", { idle: 2000 }),
  one("h1-download-1mb", "one hop, answers of 1 MB", { path: "/1m", connections: 8 }),
  one("h1-upload-1mb", "one hop, requests of 1 MB", { connections: 8, script: UPLOAD }),
  one("h1-chunked", "one hop, chunked answers of 64 KB", { path: "/chunked", connections: 8 }),
  one("h1-two-hop-download-1mb", "two hops with mTLS, answers of 1 MB", { hops: 2, path: "/1m", connections: 8 }),
  one("h2-one-stream", "gRPC, one hop, 32 connections of one stream", { ...GRPC, connections: 32, streams: 1 }),
  one("h1-two-hop-multiplexed-1", "two hops, multiplexed between, one caller", { ...MULTIPLEXED, connections: 1 }),
];

/** Requests a second at which latency is measured. */
export const FIXED_RATE = 2000;

export interface LatencyCase extends Path {
  readonly name: string;
  readonly title: string;
  readonly connections: number;
}

const AT_RATE = "at 2,000 requests/s";

export const LATENCY: readonly LatencyCase[] = [
  {
    name: "latency-two-hop-mtls",
    title: `two hops with mTLS ${AT_RATE}`,
    hops: 2,
    protocol: "http/1.1",
    between: "http/1.1",
    connections: 32,
  },
  {
    name: "latency-h2-two-hop-mtls",
    title: `gRPC, two hops with mTLS ${AT_RATE}`,
    hops: 2,
    protocol: "h2",
    between: "h2",
    connections: 4,
  },
  {
    name: "latency-h1-two-hop-multiplexed",
    title: `two hops, multiplexed between, ${AT_RATE}`,
    hops: 2,
    protocol: "http/1.1",
    between: "multiplexed",
    connections: 32,
  },
];

/** One stream of 1 GB (2^30 bytes) up and one down, through two hops; each way is a row of its own, too. */
export const STREAM = {
  name: "h2-stream-1gb-two-hop",
  title: "gRPC, two hops with mTLS, a stream of 1 GB each way",
  bytes: 2 ** 30,
  path: { hops: 2, protocol: "h2", between: "h2" } satisfies Path,
} as const;

const OPAQUE: Path = { hops: 2, protocol: "tcp", between: "tcp" };

/** Opaque bytes: 1 GB up and 1 GB down over a few connections. */
export const TCP_STREAM = {
  name: "tcp-two-hop-mtls",
  title: "opaque TCP, two hops with mTLS, 1 GB each way over 4 connections",
  bytes: 2 ** 30,
  connections: 4,
  path: OPAQUE,
} as const;

/** Connections that carry one byte each way and end; between the hops each has a TLS session to resume. */
export const TCP_CONNECT = {
  name: "connect-two-hop-mtls",
  title: "opaque TCP, two hops with mTLS, connections of one exchange, 32 callers",
  callers: 32,
  warmup: 5000,
  path: OPAQUE,
} as const;

/** As many as the limit of open files allows: a hop needs two for each. */
export const TCP_IDLE = {
  name: "rss-10000-idle-tcp",
  title: "opaque TCP, two hops with mTLS, 10,000 idle connections",
  connections: 10_000,
  path: OPAQUE,
} as const;

/** Cases whose target compares Outrigger with itself: with its HTTP/1.1 hop in place of the multiplexed one. */
export const OWN_BASELINE = "outrigger-h1-hop";
export const AGAINST_OWN_BASELINE: ReadonlySet<string> = new Set(["h1-two-hop-multiplexed-1"]);
