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
