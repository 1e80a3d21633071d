/** Connection managers that load or do not. */
import { any, named, router, withHcm } from "../bootstrap-json.ts";
import { cases } from "./case.ts";

export const MANAGER_CASES = cases(
  ["no prefix for statistics", withHcm({ stat_prefix: undefined }), "stat_prefix", /is required/],
  ["no routes", withHcm({ route_config: undefined }), "typed_config", /one of route_config and rds/],
  ["either protocol", withHcm({ codec_type: "AUTO" })],
  ["HTTP/2 only", withHcm({ codec_type: "HTTP2" })],
  ["HTTP/3", withHcm({ codec_type: "HTTP3" }), "codec_type", /HTTP3 is not supported/],
  ["an unknown codec", withHcm({ codec_type: "FOO" }), "codec_type", /expected one of AUTO/],
  [
    "no config source",
    withHcm({ route_config: undefined, rds: { route_config_name: "x" } }),
    "rds.config_source",
    /is required/,
  ],
  ["a line break in the server's name", withHcm({ server_name: "a\nb" }), "server_name", /must not contain/],
  ["a line break in via", withHcm({ via: "a\n" }), "via", /must not contain/],
  ["a head of no size", withHcm({ max_request_headers_kb: 0 }), "max_request_headers_kb", /from 1 to 8192/],
  ["the largest head", withHcm({ max_request_headers_kb: 8192 })],
  ["a head that is too large", withHcm({ max_request_headers_kb: 8193 }), "max_request_headers_kb", /from 1 to 8192/],
  [
    "no headers at all",
    withHcm({ common_http_protocol_options: { max_headers_count: 0 } }),
    "max_headers_count",
    /at least 1/,
  ],
  ["a negative idle timeout", withHcm({ stream_idle_timeout: "-1s" }), "stream_idle_timeout", /must not be negative/],
  [
    "a timeout beyond Envoy's clock",
    withHcm({ stream_idle_timeout: "9223372037s" }),
    "stream_idle_timeout",
    /not a valid duration/,
  ],
  [
    "both ways to strip a port",
    withHcm({ strip_matching_host_port: true, strip_any_host_port: true }),
    "typed_config",
    /only one of strip_matching/,
  ],
  [
    "an upgrade twice",
    withHcm({ upgrade_configs: [{ upgrade_type: "websocket" }, { upgrade_type: "WebSocket" }] }),
    "upgrade_configs[1].upgrade_type",
    /twice/,
  ],
  [
    "tunnels",
    withHcm({ upgrade_configs: [{ upgrade_type: "CONNECT" }] }),
    "upgrade_configs[0].upgrade_type",
    /CONNECT is not supported yet/,
    "tunnels are to come",
  ],
  [
    "WebSockets in HTTP/2",
    withHcm({ http2_protocol_options: { allow_connect: true }, upgrade_configs: [{ upgrade_type: "websocket" }] }),
  ],
  [
    "pings to callers",
    withHcm({ http2_protocol_options: { connection_keepalive: { interval: "30s", timeout: "5s" } } }),
  ],
  [
    "streams of callers limited in time and number",
    withHcm({ common_http_protocol_options: { max_stream_duration: "60s", max_requests_per_connection: 100 } }),
  ],
  [
    "a small HTTP/2 window",
    withHcm({ http2_protocol_options: { initial_stream_window_size: 100 } }),
    "initial_stream_window_size",
    /from 65535/,
  ],
  [
    "request ids as usual",
    withHcm({
      request_id_extension: {
        typed_config: any("extensions.request_id.uuid.v3.UuidRequestIdConfig", { pack_trace_reason: false }),
      },
    }),
  ],
  [
    "request ids of another kind",
    withHcm({ request_id_extension: { typed_config: any("extensions.filters.http.router.v3.Router") } }),
    "typed_config",
    /not supported here/,
  ],
  [
    "more than all of the requests traced",
    withHcm({ tracing: { random_sampling: { value: 101 } } }),
    "random_sampling",
    /from 0 to 100/,
  ],
  ["a tag of nothing", withHcm({ tracing: { custom_tags: [{ tag: "a" }] } }), "custom_tags[0]", /one of literal/],
  [
    "a tracer that exports nothing",
    withHcm({ tracing: { provider: named("o", any("config.trace.v3.OpenTelemetryConfig")) } }),
    "provider.typed_config",
    /one of grpc_service/,
  ],
  ["a switch in its default position", withHcm({ add_user_agent: false, strip_trailing_host_dot: false })],
  [
    "a switch that is not supported",
    withHcm({ add_user_agent: true }),
    "add_user_agent",
    /is not supported yet/,
    "to come",
  ],
  [
    "several problems at once",
    withHcm({ stat_prefix: "", http_filters: [router, router] }),
    "stat_prefix",
    /is required/,
  ],
);
