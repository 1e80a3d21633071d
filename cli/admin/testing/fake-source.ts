/** An admin source with something of everything, for tests. */
import { type LogLevel, setLogLevel } from "../../../core/log.ts";
import type { ClusterView, EndpointView, LimitsView } from "../../../telemetry/cluster-view.ts";
import type { Http2Numbers } from "../../../telemetry/protocol-view.ts";
import type { AdminSource, ServerState } from "../admin-source.ts";

const LIMITS: LimitsView = {
  limits: { maxConnections: 1024, maxPendingRequests: 1024, maxRequests: 1024, maxRetries: 3, retryBudget: null },
  remaining: { connections: 1024, pending: 1024, requests: 1024, retries: 3 },
};

export const ENDPOINT: EndpointView = {
  address: "127.0.0.1:9",
  hostname: "",
  region: "",
  zone: "",
  subZone: "",
  priority: 0,
  weight: 1,
  health: "healthy",
  out: "",
  cx_active: 0,
  cx_connect_fail: 0,
  cx_total: 0,
  rq_active: 0,
  rq_error: 0,
  rq_success: 0,
  rq_timeout: 0,
  rq_total: 0,
};

/** Of connections that have never spoken HTTP/2. */
export const HTTP2: Http2Numbers = {
  goaway_sent: 0,
  header_overflow: 0,
  inbound_empty_frames_flood: 0,
  inbound_priority_frames_flood: 0,
  inbound_window_update_frames_flood: 0,
  keepalive_timeout: 0,
  outbound_control_flood: 0,
  outbound_flood: 0,
  rx_messaging_error: 0,
  rx_reset: 0,
  streams_active: 0,
  tx_reset: 0,
  premature_reset_flood: 0,
  protocol_errors: 0,
  streams_total: 0,
  connections_total: 0,
  connections_active: 0,
};

export const CLUSTER: ClusterView = {
  name: "up",
  ready: true,
  stats: { upstream_cx_total: 0, upstream_rq_total: 7 },
  limits: { default: LIMITS, high: LIMITS },
  breaker: null,
  endpoints: [ENDPOINT],
};

/** 2026-11-21T10:35:14Z, when the certificate below began to be valid. */
export const NOW = Date.UTC(2026, 10, 21, 10, 35, 14);
const DAY = 86_400_000;

export class FakeSource implements AdminSource {
  serverState: ServerState = "LIVE";
  waiting = "";
  clusterViews: readonly ClusterView[] = [CLUSTER];
  metricPieces: Iterable<string> = ["# HELP a b\n", "a 1\n"];
  /** What was asked for, in order. */
  readonly calls: string[] = [];

  async refresh(): Promise<void> {}

  setLogLevel(level: LogLevel, component?: string): void {
    setLogLevel(level, component);
  }

  state(): ServerState {
    return this.serverState;
  }

  waitingFor(): string {
    return this.waiting;
  }

  serverInfo(): ReturnType<AdminSource["serverInfo"]> {
    return {
      version: "0.1.0",
      uptimeMs: 12_345,
      node: { id: "n1", cluster: "c1" },
      revision: "r7",
      options: { concurrency: 1 },
    };
  }

  readonly clusters = (): Iterable<ClusterView> => this.clusterViews;

  listeners(): ReturnType<AdminSource["listeners"]> {
    return [{ name: "lis", address: "127.0.0.1:39611" }];
  }

  certificates(): ReturnType<AdminSource["certificates"]> {
    const common = { subject: "", notBefore: NOW };
    return [
      {
        ...common,
        name: "default",
        role: "own",
        serial: "07",
        subjectAltNames: [
          { type: "dns", value: "localhost" },
          { type: "uri", value: "spiffe://t/ns/a/sa/srv" },
        ],
        notAfter: NOW + 30 * DAY - 1000,
      },
      { ...common, name: "ROOTCA", role: "root", serial: "68", subjectAltNames: [], notAfter: NOW + 3650 * DAY },
    ];
  }

  stats(): Iterable<readonly [string, number]> {
    return [["server.live", 1]];
  }

  metrics(): Iterable<string> {
    return this.metricPieces;
  }

  configDump(query: Parameters<AdminSource["configDump"]>[0]): ReturnType<AdminSource["configDump"]> {
    return { configs: [{ ...query }] };
  }

  failHealthcheck(failed: boolean): void {
    this.calls.push(`failHealthcheck ${failed}`);
  }

  drain(): void {
    this.calls.push("drain");
  }

  quit(): void {
    this.calls.push("quit");
  }
}
