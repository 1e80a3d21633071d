/** Joins telemetry to the data plane: what the proxy asks for on one side, registry, log sinks and exporters on the other. */
import type { Clock } from "../core/clock.ts";
import { logger } from "../core/log.ts";
import type { Random } from "../core/random.ts";
import type { TracingProvider } from "../model/http.ts";
import type { RefusalReason } from "../proxy/listener/refusal.ts";
import type { OutboundObserver } from "../proxy/outbound.ts";
import type { ProxyTelemetry } from "../proxy/proxy-telemetry.ts";
import { compileHeaderMatch } from "../proxy/router/compile-matcher.ts";
import { AccessLogSinks, compileAccessLog } from "../telemetry/access-log.ts";
import { ClusterEventMetrics } from "../telemetry/cluster-metrics.ts";
import { ConnectionMetrics, TlsMetrics } from "../telemetry/connection-metrics.ts";
import { GrpcFilterStats } from "../telemetry/grpc/filter-stats.ts";
import type { MetricsRegistry } from "../telemetry/metrics.ts";
import { RefusalReporter } from "../telemetry/refusal-reporter.ts";
import { RequestMetrics } from "../telemetry/request-metrics.ts";
import { TcpMetrics } from "../telemetry/tcp-metrics.ts";
import { createOtlpSink } from "../telemetry/tracing/otlp-sink.ts";
import type { SpanSink } from "../telemetry/tracing/span.ts";
import { createTracer } from "../telemetry/tracing/tracer.ts";

export interface TelemetryOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly registry: MetricsRegistry;
  readonly fileFlushIntervalMs: number;
  /** The bootstrap's tracer, for connection managers that name none. */
  readonly tracing: TracingProvider | null;
  /** `host:port` of a cluster that receives spans, null while it is not known. */
  readonly clusterAddress: (cluster: string) => string | null;
  /** Resource attributes of spans. */
  readonly resource: Readonly<Record<string, string>>;
}

export interface JoinedTelemetry extends ProxyTelemetry {
  /** What clusters and their connections tell. */
  readonly outbound: OutboundObserver;
  /** Opens log files again after a rotation. */
  reopenLogs(): void;
  close(): Promise<void>;
}

const listenerLog = logger("listener");

/** The flag that an access log has for such a connection: none was matched, or the cluster has no endpoint. */
const FLAGS: Partial<Readonly<Record<RefusalReason, string>>> = {
  timeout: "",
  registry_only: "UH",
  unanswered: "UH",
};
const NO_CHAIN = "NR";

export function joinTelemetry(options: TelemetryOptions): JoinedTelemetry {
  const { registry, clock, random } = options;
  const requests = new RequestMetrics(registry);
  const tcp = new TcpMetrics(registry);
  const connections = new ConnectionMetrics(registry);
  const tls = new TlsMetrics(registry);
  const filters = registry.counter({
    name: "outrigger_filter_outcomes_total",
    help: "What HTTP and network filters did",
    labels: ["filter", "outcome"],
  });
  const onDemand = registry.counter({
    name: "outrigger_on_demand_total",
    help: "Calls that waited while the control plane was asked what they are for",
    labels: ["outcome"],
  });
  const sinks = new AccessLogSinks({
    clock,
    flushIntervalMs: options.fileFlushIntervalMs,
    onError: (message) => listenerLog.error({ message }, "access log"),
  });
  const exporters = new Map<string, SpanSink>();

  const exporterOf = (provider: TracingProvider): SpanSink => {
    const key = JSON.stringify(provider);
    let sink = exporters.get(key);
    if (sink === undefined) {
      const { export: target } = provider;
      const address = options.clusterAddress(target.cluster);
      sink = createOtlpSink({
        protocol: target.protocol,
        url: target.protocol === "http" ? target.uri : `http://${address ?? "127.0.0.1:4317"}`,
        timeoutMs: target.timeoutMs,
        serviceName: provider.serviceName,
        resource: options.resource,
      });
      exporters.set(key, sink);
    }
    return sink;
  };

  const clusterEvents = new ClusterEventMetrics(registry);
  const refusals = new RefusalReporter(clock);
  return {
    requests,
    tcp,
    grpcStats: new GrpcFilterStats(),
    outbound: {
      onClusterEvent: (event) => clusterEvents.onClusterEvent(event),
      onUpstreamTls: (cluster, version, resumed) => tls.handshake("upstream", cluster, { version, resumed }),
      onUpstreamTlsFailure: (cluster, kind) => tls.failure("upstream", cluster, kind),
    },
    connections(listener) {
      const cells = connections.forListener(listener.name);
      return {
        onOpened() {
          cells.opened.inc();
          cells.active.inc();
        },
        onClosed() {
          cells.closed.inc();
          cells.active.dec();
        },
        onRefused(name, reason, explanation, remoteAddress) {
          cells.failed(reason);
          const unsaid = refusals.tell(`${name} ${explanation}`);
          const fields = { listener: name, remoteAddress, reason, flags: FLAGS[reason] ?? NO_CHAIN };
          if (unsaid === null) listenerLog.info(fields, `connection refused: ${explanation}`);
          else listenerLog.warn({ ...fields, unsaid }, `connection refused: ${explanation}`);
        },
        onDetected: (_, outcome) => cells.detected(outcome),
        onTlsAccepted: (name, info) => tls.handshake("downstream", name, info),
        onTlsFailure(name, failure, remoteAddress) {
          cells.failed("tls");
          tls.failure("downstream", name, failure.kind);
          listenerLog.info(
            { listener: name, remoteAddress, kind: failure.kind },
            `connection refused: ${failure.message}`,
          );
        },
        onDenied(name, explanation) {
          cells.failed("rbac");
          listenerLog.info({ listener: name }, `connection denied: ${explanation}`);
        },
      };
    },
    accessLogs: (logs) => logs.map((log) => compileAccessLog(log, sinks, compileHeaderMatch, random)),
    tracer(config) {
      if (config.tracing === null) return null;
      const provider = config.tracing.provider ?? options.tracing;
      return provider === null ? null : createTracer(config.tracing, { clock, random, sink: exporterOf(provider) });
    },
    onDemand(outcome, place) {
      onDemand.cell(outcome).inc();
      if (outcome !== "unanswered") return;
      const unsaid = refusals.tell(`on demand ${place}`);
      const message = `the control plane has not said in time whether ${place} is a service of the mesh: taken for none`;
      if (unsaid !== null) listenerLog.warn({ unsaid }, message);
    },
    filterCounter: (filter, outcome) => filters.cell(filter, outcome),
    onCallDenied(name, details, explanation) {
      const unsaid = refusals.tell(`${name} ${details}`);
      if (unsaid === null) listenerLog.info({ listener: name, details }, `call denied: ${explanation}`);
      else listenerLog.warn({ listener: name, details, unsaid }, `call denied: ${explanation}`);
    },
    rbac: (statPrefix) => ({
      allowed: filters.cell(`${statPrefix}rbac`, "allowed"),
      denied: filters.cell(`${statPrefix}rbac`, "denied"),
      shadowAllowed: filters.cell(`${statPrefix}rbac`, "shadow_allowed"),
      shadowDenied: filters.cell(`${statPrefix}rbac`, "shadow_denied"),
    }),
    reopenLogs: () => sinks.reopen(),
    async close() {
      await Promise.all([sinks.close(), ...[...exporters.values()].map((sink) => sink.shutdown())]);
    },
  };
}
