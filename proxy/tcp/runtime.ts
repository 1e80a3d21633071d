/** What the connections of one `tcp_proxy` need, compiled when configuration arrives. */
import type { EventClock } from "../../core/clock.ts";
import type { Random } from "../../core/random.ts";
import type { TimerWheel } from "../../core/timer-wheel.ts";
import type { Listener, TrafficDirection } from "../../model/listener.ts";
import type { TcpProxy } from "../../model/tcp.ts";
import type { AccessLogger } from "../../telemetry/access-log.ts";
import type { StreamInfo } from "../../telemetry/stream-info.ts";
import type { TcpRecorder } from "../../telemetry/tcp-metrics.ts";
import type { TcpStats } from "../../telemetry/tcp-stats.ts";
import type { Http2Stats } from "../codec/http2/stats.ts";
import type { UpstreamCluster } from "../outbound.ts";
import type { ProxyTelemetry } from "../proxy-telemetry.ts";

/** What a `tcp_proxy` is compiled with. */
export interface TcpDeps {
  readonly clock: EventClock;
  readonly wheel: TimerWheel;
  readonly random: Random;
  /** The cluster of that name in the configuration in force. */
  readonly cluster: (name: string) => UpstreamCluster | null;
  readonly telemetry: Pick<ProxyTelemetry, "accessLogs" | "tcp">;
  /** Bytes that may wait in each direction (`per_connection_buffer_limit_bytes`). */
  readonly bufferLimit: number;
  readonly direction: TrafficDirection;
  /** Name of the workload that this proxy stands beside. */
  readonly workload: string;
  readonly listener: Listener;
}

/** Where connections find what is configured when they come. */
export interface TcpSource {
  readonly runtime: TcpRuntime;
  /** Whether the filter chain is still part of the configuration, with the same rules. */
  readonly inForce: boolean;
}

export interface TcpRuntime extends Pick<TcpDeps, "clock" | "wheel" | "random" | "cluster" | "bufferLimit"> {
  readonly config: TcpProxy;
  readonly stats: TcpStats;
  /** What the codec counts of connections that carry several. */
  readonly sharedStats: Http2Stats;
  readonly accessLogs: readonly AccessLogger[];
  /** Somebody writes down what connections were like, here or in the listener: what only logs want is found out. */
  readonly isLogged: boolean;
  /** The cluster for one connection: drawn where there are several. */
  chooseCluster(): string;
  /** Counts the connections of a caller to a cluster. */
  recorder(info: StreamInfo, cluster: string): TcpRecorder;
  /** The connection's bytes are HTTP/2, which is better not carried blindly. */
  onHttp2(cluster: string): void;
}
