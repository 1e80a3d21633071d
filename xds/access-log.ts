/** Access logs: `accesslog.v3.AccessLog` with the file, stdout and stderr sinks. */
import { create } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import {
  type AccessLog as AccessLogMessage,
  AccessLogSchema,
} from "../generated/envoy/config/accesslog/v3/accesslog_pb.js";
import type { SubstitutionFormatString } from "../generated/envoy/config/core/v3/substitution_format_string_pb.js";
import {
  type FileAccessLog,
  FileAccessLogSchema,
} from "../generated/envoy/extensions/access_loggers/file/v3/file_pb.js";
import {
  StderrAccessLogSchema,
  StdoutAccessLogSchema,
} from "../generated/envoy/extensions/access_loggers/stream/v3/stream_pb.js";
import type { AccessLog } from "../model/access-log.ts";
import { decodeAccessLogFilter, encodeAccessLogFilter } from "./access-log/filter.ts";
import { packAny } from "./any.ts";
import { isHarmlessExtension, unpackExtension } from "./extension.ts";
import { checkTemplate, decodeJsonTemplate } from "./format.ts";
import type { Place } from "./place.ts";
import { decodeFormat, encodeFormat } from "./substitution-format.ts";

/** Envoy's default format: see the model. */
const DEFAULT_FORMAT: AccessLog["format"] = { kind: "text", template: "" };

interface LogFormat {
  readonly case: "logFormat";
  readonly value: SubstitutionFormatString;
}

type Sunk = Pick<AccessLog, "sink" | "format">;

/** The field `access_log` of the message at `at`. */
export function decodeAccessLogs(messages: readonly AccessLogMessage[], at: Place): AccessLog[] {
  return messages.flatMap((message, i) => decodeAccessLog(message, at.item("access_log", i)) ?? []);
}

function decodeAccessLog(message: AccessLogMessage, at: Place): AccessLog | null {
  const filter = message.filter ? decodeAccessLogFilter(message.filter, at.field("filter")) : null;
  const place = at.field("typed_config");
  if (isHarmlessExtension(message.configType.value, place)) return null;
  const sunk = decodeSink(message.configType.value, place);
  return sunk && { ...sunk, filter };
}

const SINKS = [FileAccessLogSchema, StdoutAccessLogSchema, StderrAccessLogSchema] as const;

function decodeSink(config: Any | undefined, at: Place): Sunk | null {
  const message = unpackExtension(config, SINKS, at);
  switch (message?.$typeName) {
    case "envoy.extensions.access_loggers.file.v3.FileAccessLog":
      if (message.path === "") at.field("path").error("is required");
      return { sink: { kind: "file", path: message.path }, format: decodeFileFormat(message, at) };
    case "envoy.extensions.access_loggers.stream.v3.StdoutAccessLog":
      return {
        sink: { kind: "stdout" },
        format: decodeLogFormat(message.accessLogFormat.value, at.field("log_format")),
      };
    case "envoy.extensions.access_loggers.stream.v3.StderrAccessLog":
      return {
        sink: { kind: "stderr" },
        format: decodeLogFormat(message.accessLogFormat.value, at.field("log_format")),
      };
    case undefined:
      return null;
  }
}

/** `format`, `json_format` and `typed_json_format` are deprecated spellings of `log_format`. */
function decodeFileFormat(message: FileAccessLog, at: Place): AccessLog["format"] {
  const { accessLogFormat: format } = message;
  switch (format.case) {
    case "format":
      return { kind: "text", template: checkTemplate(format.value, at.field("format")) };
    case "jsonFormat":
      return { kind: "json", fields: decodeJsonTemplate(format.value, at.field("json_format")) };
    case "typedJsonFormat":
      return { kind: "json", fields: decodeJsonTemplate(format.value, at.field("typed_json_format")) };
    default:
      return decodeLogFormat(format.value, at.field("log_format"));
  }
}

function decodeLogFormat(message: SubstitutionFormatString | undefined, at: Place): AccessLog["format"] {
  if (!message) return DEFAULT_FORMAT;
  const format = decodeFormat(message, at);
  if (format.kind === "text" && format.template === "" && message.format.case !== undefined) {
    at.error("an empty format would write nothing");
  }
  return message.omitEmptyValues ? { ...format, omitEmpty: true } : format;
}

export function encodeAccessLog(log: AccessLog): AccessLogMessage {
  const format = encodeLogFormat(log.format);
  const message = create(AccessLogSchema, {
    name: `envoy.access_loggers.${log.sink.kind}`,
    configType: { case: "typedConfig", value: encodeSink(log.sink, format ? { accessLogFormat: format } : {}) },
  });
  if (log.filter) message.filter = encodeAccessLogFilter(log.filter);
  return message;
}

/** undefined: Envoy's default format. */
function encodeLogFormat(format: AccessLog["format"]): LogFormat | undefined {
  if (format.kind === "text" && format.template === "") return undefined;
  const value = encodeFormat(format);
  value.omitEmptyValues = format.omitEmpty ?? false;
  return { case: "logFormat", value };
}

function encodeSink(sink: AccessLog["sink"], format: { accessLogFormat?: LogFormat }): Any {
  switch (sink.kind) {
    case "file":
      return packAny(FileAccessLogSchema, create(FileAccessLogSchema, { path: sink.path, ...format }));
    case "stdout":
      return packAny(StdoutAccessLogSchema, create(StdoutAccessLogSchema, format));
    case "stderr":
      return packAny(StderrAccessLogSchema, create(StderrAccessLogSchema, format));
  }
}
