/**
 * Counts gRPC calls by service, method and status, with their durations and messages. Methods come from callers' paths, so
 * that they are named only while they are few, and on the way in only once the application has answered for them.
 */
import {
  type CounterCell,
  DEFAULT_EXPIRY_MS,
  type Family,
  type HistogramCell,
  type MetricsRegistry,
} from "../metrics.ts";
import type { GrpcInfo, StreamInfo } from "../stream-info.ts";
import { GrpcStatus, statusName } from "./status.ts";

const METHOD = ["direction", "source", "destination", "service", "method"] as const;

/** Label of the methods that have no series of their own. */
const OTHER = "other";

/** Methods that one edge and route may name. */
const MAX_METHODS = 500;

/** A histogram has many lines. */
const MAX_DURATION_SERIES = 2000;

/** What the protocol's own names look like, with a bound on their length. */
const NAMED = /^\/([\w.-]{1,200})\/([\w-]{1,100})$/;

export interface GrpcFamilies {
  readonly calls: Family<CounterCell>;
  readonly duration: Family<HistogramCell>;
  readonly messages: Family<CounterCell>;
}

export function registerGrpcMetrics(registry: MetricsRegistry): GrpcFamilies {
  const expiring = { expireAfterMs: DEFAULT_EXPIRY_MS };
  return {
    calls: registry.counter({
      name: "outrigger_grpc_calls_total",
      help: "Finished gRPC calls, by the status that their callers saw",
      labels: [...METHOD, "status"],
      ...expiring,
    }),
    duration: registry.histogram({
      name: "outrigger_grpc_call_duration_seconds",
      help: "From the first byte of a gRPC call to its status",
      labels: METHOD,
      maxSeries: MAX_DURATION_SERIES,
      ...expiring,
    }),
    messages: registry.counter({
      name: "outrigger_grpc_messages_total",
      help: "Messages of finished gRPC calls, from the caller (request) and to it (response)",
      labels: [...METHOD, "side"],
      ...expiring,
    }),
  };
}

/** The cells of one method, which appear with the first call that needs them. */
class MethodCells {
  readonly #families: GrpcFamilies;
  readonly #labels: readonly string[];
  readonly #byStatus = new Map<number, CounterCell>();
  #duration: HistogramCell | null = null;
  #requests: CounterCell | null = null;
  #responses: CounterCell | null = null;

  constructor(families: GrpcFamilies, labels: readonly string[]) {
    this.#families = families;
    this.#labels = labels;
  }

  record(info: StreamInfo, grpc: GrpcInfo): void {
    // A number that the specification does not have came from a peer: one series for all of them.
    const known = grpc.status !== null && grpc.status >= 0 && grpc.status <= GrpcStatus.unauthenticated;
    const status = known ? (grpc.status as number) : GrpcStatus.unknown;
    let cell = this.#byStatus.get(status);
    if (cell === undefined) {
      cell = this.#families.calls.cell(...this.#labels, statusName(status, "constant"));
      this.#byStatus.set(status, cell);
    }
    cell.value++;
    this.#duration ??= this.#families.duration.cell(...this.#labels);
    this.#duration.observe((info.endedAt - info.startedAt) / 1000);
    if (grpc.requestMessages > 0) {
      this.#requests ??= this.#families.messages.cell(...this.#labels, "request");
      this.#requests.value += grpc.requestMessages;
    }
    if (grpc.responseMessages > 0) {
      this.#responses ??= this.#families.messages.cell(...this.#labels, "response");
      this.#responses.value += grpc.responseMessages;
    }
  }
}

/** Counts the gRPC calls of one edge. */
export class GrpcRecorder {
  readonly #families: GrpcFamilies;
  readonly #edge: readonly string[];
  readonly #trusted: boolean;
  readonly #methods = new Map<string, MethodCells>();
  #other: MethodCells | null = null;

  /** `edge`: direction, source and destination. */
  constructor(families: GrpcFamilies, edge: readonly [direction: string, source: string, destination: string]) {
    this.#families = families;
    this.#edge = edge;
    this.#trusted = edge[0] === "outbound";
  }

  record(info: StreamInfo, grpc: GrpcInfo): void {
    const cells = this.#methods.get(info.originalPath) ?? this.#unnamed(info, grpc);
    cells.record(info, grpc);
  }

  /** A method that has not been seen: named if it may be, else one among the others. */
  #unnamed(info: StreamInfo, grpc: GrpcInfo): MethodCells {
    const exists = info.responseCodeDetails === "via_upstream" && grpc.status !== GrpcStatus.unimplemented;
    const names = this.#methods.size < MAX_METHODS && (this.#trusted || exists) ? NAMED.exec(info.originalPath) : null;
    if (names === null) {
      this.#other ??= new MethodCells(this.#families, [...this.#edge, OTHER, OTHER]);
      return this.#other;
    }
    const cells = new MethodCells(this.#families, [...this.#edge, names[1] as string, names[2] as string]);
    this.#methods.set(info.originalPath, cells);
    return cells;
  }
}
