/**
 * Sends finished spans by OTLP with OpenTelemetry's batch processor and exporters. They are loaded when a sink is made,
 * since they cost memory that a sidecar without tracing should not pay; spans that finish meanwhile wait.
 */
import type { HrTime, SpanContext } from "@opentelemetry/api";
import type { ReadableSpan, SpanExporter, SpanProcessor } from "@opentelemetry/sdk-trace-base";
import { messageOf } from "../../core/errors.ts";
import type { SpanRecord, SpanSink } from "./span.ts";

export interface OtlpOptions {
  readonly protocol: "grpc" | "http";
  /** `http://host:4317` for gRPC (`https:` for TLS), the whole address (`http://host:4318/v1/traces`) for HTTP. */
  readonly url: string;
  /** Limit of one export, ms. */
  readonly timeoutMs: number;
  readonly serviceName: string;
  /** Further resource attributes: `service.instance.id`, `k8s.pod.name` … */
  readonly resource?: Readonly<Record<string, string>>;
  /** How long spans are collected before they are sent, ms; the default is 1 s. */
  readonly intervalMs?: number;
  /** Told after each export: how many spans, and what went wrong (null: nothing). */
  readonly onExport?: (spans: number, error: string | null) => void;
}

/** One object: the serializer groups spans by its identity. */
const SCOPE = { name: "outrigger" };

/** Spans kept while the SDK loads. */
const MAX_WAITING = 2_048;

/** A sink for spans. Exports in batches; what a slow or absent receiver cannot take is dropped, never piled up. */
export function createOtlpSink(options: OtlpOptions): SpanSink {
  return new OtlpSink(options);
}

class OtlpSink implements SpanSink {
  readonly #loaded: Promise<SpanWriter | null>;
  #writer: SpanWriter | null = null;
  #waiting: SpanRecord[] = [];
  #failed = false;

  constructor(options: OtlpOptions) {
    this.#loaded = load(options).then(
      (writer) => {
        this.#writer = writer;
        for (const span of this.#waiting) writer.add(span);
        this.#waiting = [];
        return writer;
      },
      (error: unknown) => {
        this.#failed = true;
        options.onExport?.(this.#waiting.length, `cannot load the OpenTelemetry SDK: ${messageOf(error)}`);
        this.#waiting = [];
        return null;
      },
    );
  }

  add(span: SpanRecord): void {
    if (this.#writer !== null) this.#writer.add(span);
    else if (!this.#failed && this.#waiting.length < MAX_WAITING) this.#waiting.push(span);
  }

  async shutdown(): Promise<void> {
    const writer = await this.#loaded;
    // The processor rejects when its last export fails, which `onExport` has told already.
    await writer?.processor.shutdown().catch(() => undefined);
  }
}

interface SpanWriter {
  add(span: SpanRecord): void;
  readonly processor: SpanProcessor;
}

async function load(options: OtlpOptions): Promise<SpanWriter> {
  const [api, sdk, resources, exporter] = await Promise.all([
    import("@opentelemetry/api"),
    import("@opentelemetry/sdk-trace-base"),
    import("@opentelemetry/resources"),
    loadExporter(options),
  ]);
  const resource = resources.resourceFromAttributes({ "service.name": options.serviceName, ...options.resource });
  const processor = new sdk.BatchSpanProcessor(observed(exporter, options), {
    scheduledDelayMillis: options.intervalMs ?? 1_000,
    exportTimeoutMillis: options.timeoutMs,
  });

  const add = (span: SpanRecord): void => {
    const contextOf = (spanId: string, isRemote: boolean): SpanContext => ({
      traceId: span.traceId,
      spanId,
      traceFlags: api.TraceFlags.SAMPLED,
      isRemote,
      ...(span.traceState === "" ? {} : { traceState: api.createTraceState(span.traceState) }),
    });
    const own = contextOf(span.spanId, false);
    const readable: ReadableSpan = {
      name: span.name,
      kind: span.kind === "server" ? api.SpanKind.SERVER : api.SpanKind.CLIENT,
      spanContext: () => own,
      ...(span.parentSpanId === "" ? {} : { parentSpanContext: contextOf(span.parentSpanId, span.parentIsRemote) }),
      startTime: hrTime(span.startTime),
      endTime: hrTime(span.endTime),
      duration: hrTime(span.endTime - span.startTime),
      ended: true,
      status:
        span.error === null
          ? { code: api.SpanStatusCode.UNSET }
          : { code: api.SpanStatusCode.ERROR, message: span.error },
      attributes: span.attributes,
      links: [],
      events: span.events.map(({ name, time, attributes }) => ({ name, time: hrTime(time), attributes })),
      resource,
      instrumentationScope: SCOPE,
      droppedAttributesCount: 0,
      droppedEventsCount: 0,
      droppedLinksCount: 0,
    };
    processor.onEnd(readable);
  };
  return { add, processor };
}

async function loadExporter({ protocol, url, timeoutMs }: OtlpOptions): Promise<SpanExporter> {
  const config = { url, timeoutMillis: timeoutMs };
  if (protocol === "grpc") {
    const { OTLPTraceExporter } = await import("@opentelemetry/exporter-trace-otlp-grpc");
    return new OTLPTraceExporter(config);
  }
  const { OTLPTraceExporter } = await import("@opentelemetry/exporter-trace-otlp-http");
  return new OTLPTraceExporter(config);
}

/** `exporter`, telling `onExport` what came of each batch. */
function observed(exporter: SpanExporter, { onExport }: OtlpOptions): SpanExporter {
  if (onExport === undefined) return exporter;
  return {
    export: (spans, done) =>
      exporter.export(spans, (result) => {
        onExport(spans.length, result.code === 0 ? null : messageOf(result.error ?? "the receiver refused the spans"));
        done(result);
      }),
    shutdown: () => exporter.shutdown(),
    ...(exporter.forceFlush ? { forceFlush: () => exporter.forceFlush?.() ?? Promise.resolve() } : {}),
  };
}

/** Milliseconds as the pair of seconds and nanoseconds that the SDK uses. */
function hrTime(ms: number): HrTime {
  const seconds = Math.floor(ms / 1000);
  return [seconds, Math.round((ms - seconds * 1000) * 1e6)];
}
