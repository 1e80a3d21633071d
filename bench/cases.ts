/** What is measured: each case is a path through one or two hops and the load that is put on it. */

export interface ThroughputCase {
  readonly name: string;
  readonly title: string;
  readonly hops: 1 | 2;
  readonly path: string;
  readonly connections: number;
  /** Connections that are open and say nothing. */
  readonly idle: number;
  /** Lua for wrk, null for plain GETs. */
  readonly script: string | null;
  /** Left out of `--quick`. */
  readonly slow: boolean;
}

const UPLOAD = `wrk.method = "POST"\nwrk.body = string.rep("a", 1048576)\n`;

function one(name: string, title: string, more: Partial<ThroughputCase> = {}): ThroughputCase {
  return { name, title, hops: 1, path: "/", connections: 32, idle: 0, script: null, slow: true, ...more };
}

export const THROUGHPUT: readonly ThroughputCase[] = [
  one("h1-one-hop", "one hop, 32 callers", { slow: false }),
  one("h1-two-hop-mtls", "two hops with mTLS, 32 callers", { hops: 2, slow: false }),
  one("h1-one-hop-hot", "one hop, one hot connection", { connections: 1 }),
  one("h1-one-hop-cold", "one hop, 32 callers beside 2,000 idle connections", { idle: 2000 }),
  one("h1-download-1mb", "one hop, answers of 1 MB", { path: "/1m", connections: 8 }),
  one("h1-upload-1mb", "one hop, requests of 1 MB", { connections: 8, script: UPLOAD }),
  one("h1-chunked", "one hop, chunked answers of 64 KB", { path: "/chunked", connections: 8 }),
  one("h1-two-hop-download-1mb", "two hops with mTLS, answers of 1 MB", { hops: 2, path: "/1m", connections: 8 }),
];

/** Requests a second at which latency is measured, through two hops. */
export const FIXED_RATE = 2000;
