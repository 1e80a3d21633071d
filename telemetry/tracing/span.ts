/** A span as plain data, and where finished ones go. Nothing here knows of an SDK. */

export type AttributeValue = string | number | boolean;
export type Attributes = Record<string, AttributeValue>;

export interface SpanEvent {
  readonly name: string;
  /** Milliseconds since the epoch. */
  readonly time: number;
  readonly attributes: Attributes;
}

export interface SpanRecord {
  readonly traceId: string;
  readonly spanId: string;
  /** "" for the root of a trace. */
  readonly parentSpanId: string;
  /** True where the parent is in another process. */
  readonly parentIsRemote: boolean;
  /** `tracestate` as it came, "" for none. */
  readonly traceState: string;
  readonly name: string;
  readonly kind: "server" | "client";
  /** Milliseconds since the epoch, fractional. */
  readonly startTime: number;
  readonly endTime: number;
  readonly attributes: Attributes;
  readonly events: readonly SpanEvent[];
  /** null: no error. */
  readonly error: string | null;
}

/** Takes finished spans; never throws and never waits. */
export interface SpanSink {
  add(span: SpanRecord): void;
  /** Sends what is left. */
  shutdown(): Promise<void>;
}
