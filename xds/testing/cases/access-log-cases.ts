/** Access logs and local replies that load or do not. */
import { any, type Json, withHcm } from "../bootstrap-json.ts";
import { cases } from "./case.ts";

const STDOUT = "extensions.access_loggers.stream.v3.StdoutAccessLog";
const log = (config: Json, fields: Json = {}): Json =>
  withHcm({ access_log: [{ name: "a", typed_config: config, ...fields }] });
const filtered = (filter: Json): Json => log(any(STDOUT), { filter });
const format = (fields: Json): Json => log(any(STDOUT, { log_format: fields }));
const status = (op: string): Json => ({
  status_code_filter: { comparison: { op, value: { default_value: 404, runtime_key: "k" } } },
});
const mapper = (fields: Json): Json =>
  withHcm({ local_reply_config: { mappers: [{ filter: status("EQ"), ...fields }] } });

export const ACCESS_LOG_CASES = cases(
  ["the default format", log(any(STDOUT))],
  ["no path", log(any("extensions.access_loggers.file.v3.FileAccessLog")), "typed_config.path", /is required/],
  ["no type", withHcm({ access_log: [{ name: "a" }] }), "access_log[0].typed_config", /is required/],
  ["another type", log(any("extensions.filters.http.router.v3.Router")), "typed_config", /not supported here/],
  [
    "an unknown command",
    format({ text_format_source: { inline_string: "%FOO%" } }),
    "text_format_source",
    /FOO is not supported/,
  ],
  ["no format", format({}), "log_format", /one of text_format_source/],
  ["JSON", format({ json_format: { a: "%PROTOCOL%", b: { c: ["%RESPONSE_CODE%", 1, true, null] } } })],
  [
    "an unknown command deep in JSON",
    format({ json_format: { b: { c: ["%FOO%"] } } }),
    "json_format.b.c",
    /FOO is not supported/,
  ],
  ["an empty text", format({ text_format: "" }), "log_format", /would write nothing/, "Envoy writes nothing"],
  ["an unknown flag", filtered({ response_flag_filter: { flags: ["ZZ"] } }), "flags[0]", /ZZ is no response flag/],
  ["any flag", filtered({ response_flag_filter: {} })],
  ["not equal", filtered(status("NE"))],
  [
    "all of one filter",
    filtered({ and_filter: { filters: [status("EQ")] } }),
    "and_filter.filters",
    /two filters or more/,
  ],
  ["a filter of nothing", filtered({}), "filter", /must say what it looks at/],
  [
    "a comparison with nothing",
    filtered({ status_code_filter: { comparison: {} } }),
    "comparison.value",
    /is required/,
  ],
  ["no comparison", filtered({ status_code_filter: {} }), "comparison", /is required/],
  ["replies: a status below 200", mapper({ status_code: 199 }), "status_code", /from 200 to 599/],
  ["replies: no filter", mapper({ filter: undefined }), "mappers[0].filter", /is required/],
  [
    "replies: host set",
    mapper({ headers_to_add: [{ header: { key: "host", value: "x" } }] }),
    "header.key",
    /must not be modified/,
  ],
  ["replies: a mapper", mapper({ status_code: 200, body: { inline_string: "x" } })],
  [
    "replies: an unknown command",
    withHcm({ local_reply_config: { body_format: { text_format: "%FOO%" } } }),
    "text_format",
    /FOO is not supported/,
  ],
  [
    "replies: by duration",
    mapper({ filter: { duration_filter: { comparison: { value: { default_value: 1, runtime_key: "k" } } } } }),
  ],
  [
    "replies: by gRPC status",
    mapper({ filter: { grpc_status_filter: { statuses: ["UNAVAILABLE"] } } }),
    "filter",
    /not supported in local replies yet/,
    "to come",
  ],
);
