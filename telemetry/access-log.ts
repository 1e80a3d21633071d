/** Access logs: one line per request, by Envoy's formats and filters, compiled when configuration arrives. */
import { resolve } from "node:path";
import type { Random } from "../core/random.ts";
import type { AccessLog } from "../model/access-log.ts";
import { type CompileHeaderMatch, compileLogFilter } from "./access-log/filter.ts";
import { checkWritable, fileTarget, LogWriter, type LogWriterOptions, streamTarget } from "./access-log/log-writer.ts";
import { compileFormat, compileJsonFormat, DEFAULT_LOG_FORMAT, type Format, type FormatContext } from "./format.ts";

/** Writes a request's line, if it is to have one. */
export type AccessLogger = (context: FormatContext) => void;

/** Envoy's default for `--file-flush-interval-msec`. */
export const DEFAULT_FLUSH_INTERVAL_MS = 10_000;

/** Outrigger's own log: JSON that says in words why a call failed. */
export const OUTRIGGER_LOG_FORMAT: AccessLog["format"] = {
  kind: "json",
  fields: {
    time: "%START_TIME%",
    method: "%REQ(:METHOD)%",
    authority: "%REQ(:AUTHORITY)%",
    path: "%PATH%",
    protocol: "%PROTOCOL%",
    status: "%RESPONSE_CODE%",
    flags: "%RESPONSE_FLAGS%",
    details: "%RESPONSE_CODE_DETAILS%",
    grpc_status: "%GRPC_STATUS(SNAKE_STRING)%",
    explanation: "%OUTRIGGER_EXPLANATION%",
    duration_ms: "%DURATION%",
    upstream_ms: "%RESPONSE_DURATION%",
    bytes_received: "%BYTES_RECEIVED%",
    bytes_sent: "%BYTES_SENT%",
    source: "%DOWNSTREAM_REMOTE_ADDRESS%",
    source_identity: "%DOWNSTREAM_PEER_URI_SAN%",
    route: "%ROUTE_NAME%",
    cluster: "%UPSTREAM_CLUSTER%",
    upstream: "%UPSTREAM_HOST%",
    upstream_protocol: "%UPSTREAM_PROTOCOL%",
    upstream_failure: "%UPSTREAM_TRANSPORT_FAILURE_REASON%",
    attempts: "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
    request_id: "%REQ(X-REQUEST-ID)%",
    trace_id: "%TRACE_ID%",
  },
};

/** The open logs of a process: those that name the same file share it. */
export class AccessLogSinks {
  readonly #options: LogWriterOptions;
  readonly #writers = new Map<string, LogWriter>();

  constructor(options: LogWriterOptions) {
    this.#options = options;
  }

  /** Throws UserError for a file that can't be written. */
  writer(sink: AccessLog["sink"]): LogWriter {
    const key = keyOf(sink);
    let writer = this.#writers.get(key);
    if (writer === undefined) {
      const stream = key === "stdout" || key === "stderr" ? key : null;
      if (stream === null) checkWritable(key);
      const target = stream === null ? fileTarget(key) : streamTarget(process[stream]);
      writer = new LogWriter(target, this.#options);
      this.#writers.set(key, writer);
    }
    return writer;
  }

  /** Opens all files again: what SIGUSR1 asks for after a log rotation. */
  reopen(): void {
    for (const writer of this.#writers.values()) writer.reopen();
  }

  /** Lines lost because a target did not keep up. */
  get dropped(): number {
    return this.#writers.values().reduce((sum, writer) => sum + writer.dropped, 0);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#writers.values()].map((writer) => writer.close()));
    this.#writers.clear();
  }
}

/** `/dev/stdout` is written as a stream: opening it again fails where it is a socket. */
function keyOf(sink: AccessLog["sink"]): string {
  if (sink.kind !== "file") return sink.kind;
  if (sink.path === "/dev/stdout") return "stdout";
  if (sink.path === "/dev/stderr") return "stderr";
  return resolve(sink.path);
}

/** Compiles one access log. Throws `FormatError` for a format that `checkFormat` refuses. */
export function compileAccessLog(
  log: AccessLog,
  sinks: AccessLogSinks,
  compileHeader: CompileHeaderMatch,
  random: Random,
): AccessLogger {
  const format = lineFormat(log.format);
  const writer = sinks.writer(log.sink);
  if (log.filter === null) return (context) => writer.append(format(context));
  const test = compileLogFilter(log.filter, compileHeader, random);
  return (context) => {
    if (test(context)) writer.append(format(context));
  };
}

/** A text format brings its own newline, JSON gets one: both as in Envoy. */
function lineFormat(format: AccessLog["format"]): Format {
  const missing = format.omitEmpty ? "" : "-";
  if (format.kind === "text") return compileFormat(format.template || DEFAULT_LOG_FORMAT, { missing });
  const json = compileJsonFormat(format.fields, { omitEmpty: format.omitEmpty ?? false });
  return (context) => `${json(context)}\n`;
}
