/**
 * Short streams, cancelled streams and short connections through two sidecars, whose memory has to end where it began:
 * `OUTRIGGER_SOAK=1 node test/h2/soak.ts [STREAMS [CANCELLED [CONNECTIONS]]]`. By default a million, a million and
 * 20,000, which takes minutes; `soak.test.ts` does the same with less.
 */
import http2 from "node:http2";
import type { AddressInfo } from "node:net";
import { setTimeout as wait } from "node:timers/promises";
import { INSPECTABLE, LiveMemoryProbe } from "../support/live-memory.ts";
import { startTwoSidecars, type TwoSidecars } from "../support/two-sidecars.ts";

const MB = 1024 * 1024;
const AT_ONCE = 64;
const CONNECTIONS_AT_ONCE = 16;
/** Of each kind, at most: until pools are full and code is compiled. */
const WARM_UP = 5000;
/** For what is remembered of the last streams and connections for a while, `delayed_close_timeout` above all. */
const SETTLE_MS = 1100;

export interface SoakLoad {
  /** Streams that are answered. */
  readonly streams: number;
  /** Streams that their caller leaves at once; as many are answered, else they would be a flood. */
  readonly cancelled: number;
  /** Connections of callers, each for one stream. */
  readonly connections: number;
}

/** Bytes; of the two sidecars the one that has more of it. */
export interface Held {
  readonly rss: number;
  /** Live objects. */
  readonly heap: number;
  /** Buffers of live objects. */
  readonly buffers: number;
}

export interface SoakPart {
  readonly name: keyof SoakLoad;
  readonly count: number;
  readonly seconds: number;
  readonly before: Held;
  readonly after: Held;
}

function ask(session: http2.ClientHttp2Session): Promise<void> {
  return new Promise((resolve, reject) => {
    const stream = session.request({ ":path": "/short" });
    stream.on("error", reject);
    stream.on("end", resolve);
    stream.resume();
  });
}

/** Asks and leaves: some before the request has left this process, some while it is under way. */
function leave(session: http2.ClientHttp2Session, later: boolean): Promise<void> {
  return new Promise((resolve) => {
    const stream = session.request({ ":path": "/short" });
    stream.on("error", () => undefined);
    stream.on("close", resolve);
    stream.resume();
    const cancel = (): void => stream.close(http2.constants.NGHTTP2_CANCEL);
    if (later) setImmediate(cancel);
    else cancel();
  });
}

async function connectAndAsk(port: number): Promise<void> {
  const session = http2.connect(`http://127.0.0.1:${port}`);
  try {
    await ask(session);
  } finally {
    session.destroy();
  }
}

async function repeat(count: number, atOnce: number, work: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}

async function measure(sidecars: TwoSidecars, probes: readonly LiveMemoryProbe[]): Promise<Held> {
  await wait(SETTLE_MS);
  const live = await Promise.all(probes.map((probe) => probe.measure()));
  const most = (of: "heap" | "buffers"): number => Math.max(...live.map((each) => each[of]));
  return { rss: sidecars.rss(), heap: most("heap"), buffers: most("buffers") };
}

/** Runs each kind of load between two measurements, after a share of it that warms things up. */
export async function soak(load: SoakLoad): Promise<readonly SoakPart[]> {
  // More than a thousand cancelled streams on a connection are an attack to Node, and to Envoy's defaults.
  const server = http2.createServer({ streamResetBurst: 1e9, streamResetRate: 1e9 }, (_, answer) =>
    answer.end("short"),
  );
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port: backend } = server.address() as AddressInfo;
  const sidecars = await startTwoSidecars({
    backend,
    manager: { http2_protocol_options: { stream_reset_burst: 1e9, stream_reset_rate: 1e9 } },
    nodeFlags: INSPECTABLE,
  });
  const probes = await Promise.all(
    [sidecars.first, sidecars.second].map((proxy) => LiveMemoryProbe.connect(proxy.output())),
  );
  const session = http2.connect(`http://127.0.0.1:${sidecars.port}`);
  const kinds: Readonly<Record<keyof SoakLoad, (count: number) => Promise<void>>> = {
    streams: (count) => repeat(count, AT_ONCE, () => ask(session)),
    cancelled: (count) =>
      repeat(count, AT_ONCE, async (index) => {
        await ask(session);
        await leave(session, index % 2 === 0);
      }),
    connections: (count) => repeat(count, CONNECTIONS_AT_ONCE, () => connectAndAsk(sidecars.port)),
  };
  try {
    const names = ["streams", "cancelled", "connections"] as const;
    for (const name of names) await kinds[name](Math.min(load[name], WARM_UP));
    const parts: SoakPart[] = [];
    let before = await measure(sidecars, probes);
    for (const name of names) {
      const started = performance.now();
      await kinds[name](load[name]);
      const seconds = (performance.now() - started) / 1000;
      const after = await measure(sidecars, probes);
      parts.push({ name, count: load[name], seconds, before, after });
      before = after;
    }
    return parts;
  } finally {
    for (const probe of probes) probe.close();
    session.destroy();
    await sidecars.stop();
    server.close();
  }
}

/** Bytes that live objects and their buffers have grown by, both kinds together. */
export function grown({ before, after }: SoakPart): number {
  return after.heap + after.buffers - before.heap - before.buffers;
}

/** For people: what was there before, and what came to it. */
export function describePart(part: SoakPart): string {
  const { name, count, seconds, before, after } = part;
  const figures = (["rss", "heap", "buffers"] as const).map((what) => {
    const more = (after[what] - before[what]) / MB;
    return `${what} ${(before[what] / MB).toFixed(1)} MB ${more < 0 ? "-" : "+"} ${Math.abs(more).toFixed(1)}`;
  });
  return `${count} ${name} in ${seconds.toFixed(0)} s: ${figures.join(", ")}`;
}

if (import.meta.main) {
  if (process.env["OUTRIGGER_SOAK"] === "1") {
    const [streams = 1_000_000, cancelled = 1_000_000, connections = 20_000] = process.argv.slice(2).map(Number);
    const parts = await soak({ streams, cancelled, connections });
    for (const part of parts) console.log(describePart(part));
    // Heaps breathe: this is a byte or two per stream.
    process.exitCode = parts.every((part) => grown(part) < 2 * MB) ? 0 : 1;
  } else console.log("nothing was run: set OUTRIGGER_SOAK=1");
}
