/**
 * Counts requests: by who called whom over which route, with which outcome. The cells of an outcome are found by one
 * number, so that a request costs an integer look-up and a few additions.
 */
import { formatFlags } from "../model/flags.ts";
import { type GrpcFamilies, GrpcRecorder, registerGrpcMetrics } from "./grpc/call-metrics.ts";
import type { CounterCell, Family, HistogramCell, MetricsRegistry } from "./metrics.ts";
import { DEFAULT_EXPIRY_MS } from "./metrics.ts";
import type { StreamInfo } from "./stream-info.ts";

export type Direction = "inbound" | "outbound";

const EDGE = ["direction", "source", "destination", "route"] as const;

/** Room for a status code in an outcome's number; flags are above. */
const CODES = 1024;

/** `2xx` …, `none` where no response was sent. */
const CLASSES = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"] as const;
const classOf = (code: number): number => (code >= 100 && code < 600 ? Math.floor(code / 100) : 0);

interface Families {
  readonly requests: Family<CounterCell>;
  readonly duration: Family<HistogramCell>;
  readonly requestBytes: Family<CounterCell>;
  readonly responseBytes: Family<CounterCell>;
  readonly grpc: GrpcFamilies;
}

export class RequestMetrics {
  readonly #families: Families;

  constructor(registry: MetricsRegistry) {
    const expiring = { expireAfterMs: DEFAULT_EXPIRY_MS };
    this.#families = {
      requests: registry.counter({
        name: "outrigger_requests_total",
        help: "Finished requests, by status code (0: no response was sent) and Envoy response flags",
        labels: [...EDGE, "code", "flags"],
        ...expiring,
      }),
      duration: registry.histogram({
        name: "outrigger_request_duration_seconds",
        help: "From the first byte of a request to the last byte of its response",
        labels: [...EDGE, "code_class"],
        ...expiring,
      }),
      requestBytes: registry.counter({
        name: "outrigger_request_bytes_total",
        help: "Body bytes received from callers",
        labels: EDGE,
        ...expiring,
      }),
      responseBytes: registry.counter({
        name: "outrigger_response_bytes_total",
        help: "Body bytes sent to callers",
        labels: EDGE,
        ...expiring,
      }),
      grpc: registerGrpcMetrics(registry),
    };
  }

  /**
   * The recorder of one edge and route. Look-ups build strings: keep the recorder where the route is compiled, or per
   * connection where the source is the peer.
   */
  forRoute(source: string, destination: string, route: string, direction: Direction): RouteRecorder {
    return new RouteRecorder(this.#families, direction, source, destination, route);
  }
}

/** Counts the requests of one edge and route. Cells appear with the first request that needs them. */
export class RouteRecorder {
  readonly #families: Families;
  readonly #edge: readonly [direction: Direction, source: string, destination: string, route: string];
  readonly #requests = new Map<number, CounterCell>();
  readonly #durations: (HistogramCell | null)[] = CLASSES.map(() => null);
  #requestBytes: CounterCell | null = null;
  #responseBytes: CounterCell | null = null;
  /** The last outcome: nearly always that of the next request, too. */
  #lastKey = -1;
  #lastCell: CounterCell | null = null;

  #grpc: GrpcRecorder | null = null;

  constructor(families: Families, direction: Direction, source: string, destination: string, route: string) {
    this.#families = families;
    this.#edge = [direction, source, destination, route];
  }

  /** Counts a finished request; `startedAt` and `endedAt` must be set. */
  record(info: StreamInfo): void {
    const code = info.responseCode;
    // Flags are above the code; beyond 2^31 the product stays exact as a double.
    const key = info.flags * CODES + (code < CODES ? code : 0);
    let cell = this.#lastCell;
    if (cell === null || key !== this.#lastKey) {
      cell = this.#requests.get(key) ?? this.#addOutcome(key, code, info.flags);
      this.#lastKey = key;
      this.#lastCell = cell;
    }
    cell.value++;
    const index = classOf(code);
    const duration = this.#durations[index] ?? this.#addDuration(index);
    duration.observe((info.endedAt - info.startedAt) / 1000);
    if (info.bytesReceived > 0) {
      this.#requestBytes ??= this.#families.requestBytes.cell(...this.#edge);
      this.#requestBytes.value += info.bytesReceived;
    }
    if (info.bytesSent > 0) {
      this.#responseBytes ??= this.#families.responseBytes.cell(...this.#edge);
      this.#responseBytes.value += info.bytesSent;
    }
    if (info.grpc !== null) {
      const [direction, source, destination] = this.#edge;
      this.#grpc ??= new GrpcRecorder(this.#families.grpc, [direction, source, destination]);
      this.#grpc.record(info, info.grpc);
    }
  }

  #addOutcome(key: number, code: number, flags: number): CounterCell {
    const cell = this.#families.requests.cell(...this.#edge, String(code), formatFlags(flags));
    this.#requests.set(key, cell);
    return cell;
  }

  #addDuration(index: number): HistogramCell {
    const cell = this.#families.duration.cell(...this.#edge, CLASSES[index] ?? "none");
    this.#durations[index] = cell;
    return cell;
  }
}
