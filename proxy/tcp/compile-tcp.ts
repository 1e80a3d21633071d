/** The TCP proxy as the end of a filter chain: opaque bytes, each connection to an endpoint of its own. */
import type { Socket } from "node:net";
import { logger } from "../../core/log.ts";
import { parseIdentity } from "../../model/identity.ts";
import type { TcpProxy } from "../../model/tcp.ts";
import { OPAQUE_STREAMS_ALPN } from "../../model/tls.ts";
import type { FormatContext } from "../../telemetry/format/context.ts";
import type { ConnectionInfo, StreamInfo } from "../../telemetry/stream-info.ts";
import type { TcpRecorder } from "../../telemetry/tcp-metrics.ts";
import { Http2Stats } from "../codec/http2/stats.ts";
import { SocketEnd } from "../codec/socket-end.ts";
import { NO_REQUEST } from "../listener/connection-log.ts";
import type {
  ConnectionClosed,
  OpaqueAttempt,
  OpaqueTerminal,
  ServedConnection,
  Terminal,
} from "../listener/terminal.ts";
import type { TcpDeps, TcpRuntime, TcpSource } from "./runtime.ts";
import { TcpSession } from "./session.ts";
import { SharedCallers } from "./shared-callers.ts";

const log = logger("tcp");

/** The end of a filter chain; connections keep what was in force when they came. */
export class TcpTerminal implements Terminal {
  readonly opaque: OpaqueTerminal;
  readonly #source: TcpSource;

  constructor(source: TcpSource) {
    this.#source = source;
    this.opaque = {
      listen(socket: Socket, info: ConnectionInfo, onServerSpoke: () => void): OpaqueAttempt {
        const session = new TcpSession(source.runtime, new SocketEnd(socket), info);
        session.listen(onServerSpoke);
        return session;
      },
    };
  }

  serve(socket: Socket, head: Buffer | null, info: ConnectionInfo, onClosed: ConnectionClosed): ServedConnection {
    if (info.tls?.alpn === OPAQUE_STREAMS_ALPN) return new SharedCallers(this.#source, socket, head, info, onClosed);
    return new TcpSession(this.#source.runtime, new SocketEnd(socket), info).commit(head, onClosed);
  }

  denied(stream: StreamInfo): void {
    stream.logType = "TcpConnectionEnd";
    const context: FormatContext = { info: stream, request: NO_REQUEST, responseHeaders: null, responseTrailers: null };
    for (const log of this.#source.runtime.accessLogs) log(context);
  }
}

/** Compiles the filter. */
export function compileTcp(config: TcpProxy, deps: TcpDeps): TcpRuntime {
  const { clock, wheel, random, cluster, bufferLimit, telemetry } = deps;
  return {
    config,
    clock,
    wheel,
    random,
    cluster,
    bufferLimit,
    stats: telemetry.tcp.stats(config.statPrefix),
    sharedStats: new Http2Stats(),
    accessLogs: telemetry.accessLogs(config.accessLogs),
    isLogged: config.accessLogs.length + deps.listener.accessLogs.length > 0,
    chooseCluster: compileChoice(config.cluster, deps),
    recorder: compileRecorders(deps),
    onHttp2: warnOnce(deps),
  };
}

function compileChoice(cluster: TcpProxy["cluster"], { random }: TcpDeps): () => string {
  if (cluster.kind === "name") return () => cluster.name;
  const { clusters } = cluster;
  const total = clusters.reduce((sum, { weight }) => sum + weight, 0);
  return () => {
    let draw = random() * total;
    for (const { name, weight } of clusters) {
      draw -= weight;
      if (draw < 0) return name;
    }
    return clusters.at(-1)?.name ?? "";
  };
}

/** Recorders by caller and cluster. */
function compileRecorders(deps: TcpDeps): TcpRuntime["recorder"] {
  const { direction, workload, telemetry, cluster } = deps;
  const outbound = direction === "outbound";
  const recorders = new Map<string, TcpRecorder>();
  return (info: StreamInfo, name: string) => {
    const uri = outbound ? "" : (info.connection.tls?.peer?.uriSans[0] ?? "");
    const key = `${uri}\n${name}`;
    let recorder = recorders.get(key);
    if (recorder === undefined) {
      const service = cluster(name)?.config.outrigger?.service;
      const destination = service ? `${service.name}.${service.namespace}` : name;
      recorder = telemetry.tcp.forEdge(
        outbound ? "outbound" : "inbound",
        outbound ? workload : callerName(uri),
        direction === "inbound" ? workload : destination,
        name,
      );
      recorders.set(key, recorder);
    }
    return recorder;
  };
}

/** A caller as a label: `orders.shop` for a mesh peer, the SPIFFE id where it has another form, else "unknown". */
function callerName(uri: string): string {
  if (uri === "") return "unknown";
  const identity = parseIdentity(uri);
  return identity === null ? uri : `${identity.serviceAccount}.${identity.namespace}`;
}

/** One warning for each cluster. */
function warnOnce({ listener }: TcpDeps): (cluster: string) => void {
  const warned = new Set<string>();
  return (cluster) => {
    if (warned.has(cluster)) return;
    warned.add(cluster);
    log.warn(
      { listener: listener.name, cluster },
      "HTTP/2 is carried as opaque bytes: its calls are not balanced, retried or measured one by one; declare the port's protocol",
    );
  };
}
