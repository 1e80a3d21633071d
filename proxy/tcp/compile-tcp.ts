/** The TCP proxy as the end of a filter chain: opaque bytes, each connection to an endpoint of its own. */
import type { Socket } from "node:net";
import { logger } from "../../core/log.ts";
import { parseIdentity } from "../../model/identity.ts";
import type { TcpProxy } from "../../model/tcp.ts";
import type { FormatContext } from "../../telemetry/format/context.ts";
import type { ConnectionInfo, StreamInfo } from "../../telemetry/stream-info.ts";
import type { TcpRecorder } from "../../telemetry/tcp-metrics.ts";
import { SocketEnd } from "../codec/socket-end.ts";
import { NO_REQUEST } from "../listener/connection-log.ts";
import type {
  ConnectionClosed,
  OpaqueAttempt,
  OpaqueTerminal,
  ServedConnection,
  Terminal,
} from "../listener/terminal.ts";
import type { TcpDeps, TcpRuntime } from "./runtime.ts";
import { TcpSession } from "./session.ts";

export type { TcpDeps } from "./runtime.ts";

const log = logger("tcp");

/** Compiles the filter; connections keep what they were accepted with. */
export function compileTcpProxy(config: TcpProxy, deps: TcpDeps): Terminal {
  return new TcpTerminal(compileRuntime(config, deps));
}

class TcpTerminal implements Terminal {
  readonly opaque: OpaqueTerminal;
  readonly #runtime: TcpRuntime;

  constructor(runtime: TcpRuntime) {
    this.#runtime = runtime;
    this.opaque = {
      listen(socket: Socket, info: ConnectionInfo, onServerSpoke: () => void): OpaqueAttempt {
        const session = new TcpSession(runtime, new SocketEnd(socket), info);
        session.listen(onServerSpoke);
        return session;
      },
    };
  }

  serve(socket: Socket, head: Buffer | null, info: ConnectionInfo, onClosed: ConnectionClosed): ServedConnection {
    return new TcpSession(this.#runtime, new SocketEnd(socket), info).commit(head, onClosed);
  }

  denied(stream: StreamInfo): void {
    stream.logType = "TcpConnectionEnd";
    const context: FormatContext = { info: stream, request: NO_REQUEST, responseHeaders: null, responseTrailers: null };
    for (const log of this.#runtime.accessLogs) log(context);
  }
}

function compileRuntime(config: TcpProxy, deps: TcpDeps): TcpRuntime {
  const { clock, wheel, cluster, bufferLimit, telemetry } = deps;
  return {
    config,
    clock,
    wheel,
    cluster,
    bufferLimit,
    stats: telemetry.tcp.stats(config.statPrefix),
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
