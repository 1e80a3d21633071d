/** A TCP proxy between sockets of this process: a listener that hands its connections to the terminal, and its clusters. */
import { once } from "node:events";
import net from "node:net";
import { type Clock, EventClock, systemClock } from "../../core/clock.ts";
import { type Random, seededRandom } from "../../core/random.ts";
import { TimerWheel } from "../../core/timer-wheel.ts";
import type { AccessLog } from "../../model/access-log.ts";
import type { Cluster } from "../../model/cluster.ts";
import { formatConnectionFlags } from "../../model/flags.ts";
import type { Listener } from "../../model/listener.ts";
import type { TcpProxy } from "../../model/tcp.ts";
import { createClusterState } from "../../proxy/cluster/cluster-state.ts";
import type { UpstreamTlsConnector } from "../../proxy/endpoint/connector.ts";
import { EndpointPool } from "../../proxy/endpoint/pool.ts";
import type { ServedConnection, Terminal } from "../../proxy/listener/terminal.ts";
import type { UpstreamCluster } from "../../proxy/outbound.ts";
import { compileTcp, TcpTerminal } from "../../proxy/tcp/compile-tcp.ts";
import type { TcpRuntime } from "../../proxy/tcp/runtime.ts";
import { MetricsRegistry } from "../../telemetry/metrics.ts";
import type { ConnectionInfo, StreamInfo } from "../../telemetry/stream-info.ts";
import { TcpMetrics } from "../../telemetry/tcp-metrics.ts";
import { cluster as clusterOf, endpointSet } from "./clusters.ts";

/** `tcp_proxy` with Envoy's defaults. */
export function tcpProxy(fields: Partial<TcpProxy> = {}): TcpProxy {
  return {
    statPrefix: "tcp",
    cluster: { kind: "name", name: "orders" },
    idleTimeoutMs: 3_600_000,
    maxConnectAttempts: 1,
    maxDownstreamConnectionDurationMs: 0,
    accessLogs: [{ sink: { kind: "stdout" }, filter: null, format: { kind: "text", template: "" } }],
    logOnConnected: false,
    logIntervalMs: 0,
    hashSourceIp: false,
    ...fields,
  };
}

/** One line of the access log, as far as tests look at it. */
export interface Line {
  readonly type: string;
  readonly flags: string;
  readonly received: number;
  readonly sent: number;
  readonly explanation: string;
  readonly info: StreamInfo;
}

export interface SubjectOptions {
  readonly config?: Partial<TcpProxy>;
  /** One cluster each; the default is `orders` with the endpoints given. */
  readonly clusters?: readonly Cluster[];
  /** `host:port` of the endpoints of `orders`. */
  readonly endpoints?: readonly string[];
  readonly cluster?: Partial<Cluster>;
  readonly clock?: Clock;
  readonly random?: Random;
  readonly bufferLimit?: number;
  readonly tls?: UpstreamTlsConnector;
  /** Takes accepted sockets over; default: `terminal.serve`. */
  readonly accept?: (subject: Subject, socket: net.Socket) => void;
}

const quiet = { debug() {}, info() {}, warn() {}, error() {} };

export class Subject {
  readonly lines: Line[] = [];
  readonly clusters = new Map<string, UpstreamCluster>();
  readonly registry: MetricsRegistry;
  readonly metrics: TcpMetrics;
  readonly clock: EventClock;
  readonly wheel: TimerWheel;
  terminal: Terminal;
  /** What the terminal serves with. */
  source: { readonly runtime: TcpRuntime; inForce: boolean };
  readonly served = new Set<ServedConnection>();
  readonly #server: net.Server;
  #connectionId = 0;

  constructor(options: SubjectOptions) {
    const base = options.clock ?? systemClock;
    const clock = new EventClock(base);
    const wheel = new TimerWheel(clock);
    const random = options.random ?? seededRandom(1);
    this.clock = clock;
    this.wheel = wheel;
    this.registry = new MetricsRegistry(base);
    this.metrics = new TcpMetrics(this.registry);
    const endpoints = endpointSet(...(options.endpoints ?? []));
    const configs = options.clusters ?? [clusterOf({ discovery: { kind: "static", endpoints }, ...options.cluster })];
    for (const config of configs) {
      const state = createClusterState<EndpointPool>(config, {
        clock,
        wheel,
        random,
        log: quiet,
        observer: { onClusterEvent: () => undefined },
        createPool: (endpoint, cluster) =>
          new EndpointPool(
            endpoint,
            {
              get config() {
                return cluster.config;
              },
              stats: cluster.stats,
              limits: cluster.limits,
              tls: () => options.tls ?? null,
            },
            { clock, wheel, random },
          ),
      });
      this.clusters.set(config.name, state);
    }
    const runtime = compileTcp(tcpProxy(options.config), {
      clock,
      wheel,
      random,
      cluster: (name) => this.clusters.get(name) ?? null,
      telemetry: {
        tcp: this.metrics,
        accessLogs: (logs) =>
          logs.map(() => ({ info }) => {
            const { logType: type, flags, bytesReceived: received, bytesSent: sent, explanation } = info;
            this.lines.push({ type, flags: formatConnectionFlags(flags), received, sent, explanation, info });
          }),
      },
      bufferLimit: options.bufferLimit ?? 1_048_576,
      direction: "outbound",
      workload: "shop.default",
      listener: { name: "main", accessLogs: [] as readonly AccessLog[] } as Listener,
    });
    this.source = { runtime, inForce: true };
    this.terminal = new TcpTerminal(this.source);
    this.#server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      clock.refresh();
      if (options.accept) options.accept(this, socket);
      else this.serve(socket);
    });
  }

  get port(): number {
    return (this.#server.address() as net.AddressInfo).port;
  }

  get orders(): UpstreamCluster {
    return this.clusters.get("orders") as UpstreamCluster;
  }

  /** The end of each connection in the access log. */
  get ends(): readonly Line[] {
    return this.lines.filter(({ type }) => type === "TcpConnectionEnd");
  }

  /** The configuration has changed: what was accepted before is of a chain that is not in force any more. */
  replaceSource(): void {
    this.source.inForce = false;
    this.source = { ...this.source, inForce: true };
    this.terminal = new TcpTerminal(this.source);
  }

  infoOf(socket: net.Socket): ConnectionInfo {
    return {
      id: ++this.#connectionId,
      remoteAddress: socket.remoteAddress ?? "",
      remotePort: socket.remotePort ?? 0,
      localAddress: socket.localAddress ?? "",
      localPort: socket.localPort ?? 0,
      tls: null,
      listener: "main",
      filterChain: "",
    };
  }

  serve(socket: net.Socket, head: Buffer | null = null): void {
    const served = this.terminal.serve(socket, head, this.infoOf(socket), () => this.served.delete(served));
    this.served.add(served);
  }

  async listen(): Promise<this> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return this;
  }

  close(): void {
    this.#server.close();
    for (const { socket } of this.served) socket.destroy();
    for (const cluster of this.clusters.values()) cluster.close();
  }
}

/** A proxy that listens. */
export function startSubject(options: SubjectOptions): Promise<Subject> {
  return new Subject(options).listen();
}

/** A server on loopback. */
export async function startServer(onSocket: (socket: net.Socket) => void): Promise<net.Server> {
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => undefined);
    onSocket(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return server;
}

/** A server that says what it hears, and ends when its client does. */
export function startEcho(): Promise<net.Server> {
  return startServer((socket) => {
    socket.on("data", (data) => socket.write(data));
    socket.on("end", () => socket.end());
  });
}

/** `127.0.0.1:port` of a server. */
export function addressOf(server: net.Server): string {
  return `127.0.0.1:${(server.address() as net.AddressInfo).port}`;
}

/** What a peer sends until its end; the socket stays open for writing. Rejects when the connection breaks. */
export function readAll(socket: net.Socket): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    socket.setEncoding("latin1");
    socket.on("data", (chunk: string) => {
      text += chunk;
    });
    socket.once("end", () => resolve(text));
    socket.once("error", reject);
  });
}
