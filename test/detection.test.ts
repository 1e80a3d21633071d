/** Detection over real sockets: whoever speaks first, in whatever pieces, every byte and every end arrives. */
import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { after, before, describe, test } from "node:test";
import { joinTelemetry } from "../cli/telemetry.ts";
import { systemClock } from "../core/clock.ts";
import { setLogLevel } from "../core/log.ts";
import { seededRandom } from "../core/random.ts";
import type { Cluster } from "../model/cluster.ts";
import type { FilterChain, Listener } from "../model/listener.ts";
import { EMPTY_SNAPSHOT } from "../model/snapshot.ts";
import { DataPlane } from "../proxy/data-plane.ts";
import { filterChain, listenerOf } from "../proxy/listener/testing/inbound-subject.ts";
import { MetricsRegistry } from "../telemetry/metrics.ts";
import { cluster, endpointSet } from "./support/clusters.ts";
import { tcpProxy } from "./support/tcp-subject.ts";

/** Answers what it was sent, after a greeting if it has one; says in `opened` how many have come. */
class Backend {
  readonly #server: net.Server;
  readonly #greeting: string;
  opened = 0;

  constructor(greeting: string) {
    this.#greeting = greeting;
    this.#server = net.createServer({ allowHalfOpen: true }, (socket) => {
      this.opened++;
      socket.on("error", () => undefined);
      if (this.#greeting !== "") socket.write(this.#greeting);
      socket.pipe(socket);
    });
  }

  async listen(): Promise<number> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return (this.#server.address() as net.AddressInfo).port;
  }

  close(): void {
    this.#server.close();
  }
}

function opaque(name: string, to: string, match: Partial<FilterChain["match"]> = {}): FilterChain {
  const config = tcpProxy({ cluster: { kind: "name", name: to }, accessLogs: [] });
  return { ...filterChain(name, match), filters: [{ kind: "tcp_proxy", config }] };
}

/** `opaque` serves what is neither HTTP nor TLS; those two have an echo of their own, which says who it is. */
function detecting(name: string, to: string): Listener {
  return listenerOf({
    name,
    address: { kind: "tcp", host: "127.0.0.1", port: 0 },
    listenerFilters: [{ kind: "tls_inspector" }, { kind: "http_inspector" }],
    listenerFiltersTimeoutMs: 1500,
    continueOnListenerFiltersTimeout: true,
    filterChains: [
      opaque("opaque", to),
      opaque("http", "http", { applicationProtocols: ["http/1.1", "h2c"] }),
      opaque("tls", "tls", { transportProtocol: "tls" }),
    ],
    outrigger: { service: null, httpProxy: false, multiplex: false, detection: { serverFirstAfterMs: 30 } },
  });
}

function to(name: string, port: number): [string, Cluster] {
  return [name, cluster({ name, discovery: { kind: "static", endpoints: endpointSet(`127.0.0.1:${port}`) } })];
}

/** Sends pieces apart from each other, ends, and gives back all that came. */
async function talk(port: number, pieces: readonly (string | Buffer)[], pauseMs = 1): Promise<string> {
  const socket = net.connect({ port, host: "127.0.0.1", allowHalfOpen: true, noDelay: true });
  let text = "";
  socket.on("data", (bytes: Buffer) => {
    text += bytes.toString("latin1");
  });
  await once(socket, "connect");
  for (const piece of pieces) {
    socket.write(piece);
    await new Promise<void>((resolve) => void systemClock.after(pauseMs, resolve));
  }
  socket.end();
  await once(socket, "close");
  return text;
}

/** What a server says to a client that waits for it. */
async function greeting(port: number): Promise<string> {
  const socket = net.connect({ port, host: "127.0.0.1" });
  const [bytes] = (await once(socket, "data")) as [Buffer];
  socket.destroy();
  return bytes.toString("latin1");
}

describe("detection over real sockets", () => {
  const servers = {
    http: new Backend("<http>"),
    tls: new Backend("<tls>"),
    quiet: new Backend(""),
    first: new Backend("220 ready\n"),
  };
  let plane: DataPlane;
  let registry: MetricsRegistry;
  const ports: Record<string, number> = {};

  before(async () => {
    const clusters = new Map<string, Cluster>();
    for (const [name, server] of Object.entries(servers)) {
      const [key, value] = to(name, await server.listen());
      clusters.set(key, value);
    }
    setLogLevel("off");
    const random = seededRandom(1);
    registry = new MetricsRegistry(systemClock);
    const telemetry = joinTelemetry({
      registry,
      clock: systemClock,
      random,
      fileFlushIntervalMs: 1000,
      tracing: null,
      clusterAddress: () => null,
      resource: {},
    });
    plane = new DataPlane({
      clock: systemClock,
      random,
      telemetry,
      clusterObserver: telemetry.outbound,
      identity: null,
      workload: "test",
      drainMs: 1000,
    });
    const listeners = new Map(["quiet", "first"].map((name) => [name, detecting(name, name)]));
    const problems = await plane.apply({ ...EMPTY_SNAPSHOT, revision: "1", clusters, listeners });
    assert.deepEqual(problems, []);
    for (const { config, boundAddress } of plane.listeners) ports[config.name] = boundAddress?.port ?? 0;
  });

  after(() => {
    plane.close();
    for (const server of Object.values(servers)) server.close();
  });

  const port = (name: string): number => ports[name] ?? 0;

  test("a server that speaks first is heard, the first time and the next", async () => {
    for (let i = 0; i < 3; i++) assert.equal(await greeting(port("first")), "220 ready\n");
    assert.equal(await talk(port("first"), ["EHLO me\r\n", "QUIT\r\n"], 60), "220 ready\nEHLO me\r\nQUIT\r\n");
  });

  test("a first line may be split at every byte", async () => {
    const line = "GET / HTTP/1.1\r\n";
    const answers = await Promise.all(
      Array.from(line, (_, i) =>
        talk(
          port("quiet"),
          [line.slice(0, i), line.slice(i)].filter((part) => part !== ""),
        ),
      ),
    );
    for (const answer of answers) assert.equal(answer, `<http>${line}`);
  });

  test("so may the preface of HTTP/2, and what is neither", async () => {
    const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    const other = "GETTING nowhere\r\n";
    for (const [text, answer] of [
      [preface, `<http>${preface}`],
      [other, other],
    ] as const) {
      const answers = await Promise.all(
        Array.from(text.slice(1), (_, i) => talk(port("quiet"), [text.slice(0, i + 1), text.slice(i + 1)])),
      );
      for (const got of answers) assert.equal(got, answer);
    }
  });

  test("a client's few bytes and its end arrive, however early", async () => {
    for (const said of ["", "G", "\x16", "GET /", "\0"]) {
      assert.equal(await talk(port("quiet"), said === "" ? [] : [said], 0), said, JSON.stringify(said));
    }
  });

  test("slow clients are served as what they turn out to be, also after their server was called", async () => {
    const line = "GET / HTTP/1.1\r\n";
    const [fast, slow] = await Promise.all([
      talk(port("quiet"), [line], 0),
      talk(
        port("quiet"),
        ["", line.slice(0, 3), line.slice(3)].filter((part) => part !== ""),
        120,
      ),
    ]);
    assert.deepEqual([fast, slow], [`<http>${line}`, `<http>${line}`]);
  });

  test("what was found is counted", () => {
    const lines = registry.text().split("\n");
    const count = (listener: string, outcome: string): number => {
      const series = `outrigger_detection_total{listener="${listener}",outcome="${outcome}"} `;
      return Number(lines.find((line) => line.startsWith(series))?.slice(series.length) ?? 0);
    };
    assert.ok(count("first", "server_first") >= 3);
    assert.equal(count("first", "server_first") + count("first", "opaque"), 4);
    assert.equal(count("quiet", "http2"), 23);
    assert.ok(count("quiet", "http1") >= 16);
  });
});
