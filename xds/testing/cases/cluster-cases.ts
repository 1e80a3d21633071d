/** How clusters speak HTTP: what loads and what does not. */
import { httpOptions, type Json, rawBuffer, upstreamTls, withCluster } from "../bootstrap-json.ts";
import { cases } from "./case.ts";

const withOptions = (options: Json, fields: Json = {}): Json =>
  withCluster({ typed_extension_protocol_options: httpOptions(options), ...fields });
const http2 = (options: Json, common: Json = {}): Json =>
  withOptions({
    explicit_http_config: { http2_protocol_options: options },
    common_http_protocol_options: common,
  });
const auto = (fields: Json): Json => withOptions({ auto_config: {} }, fields);
const match = (transportSocket?: Json): Json => ({ name: "m", match: {}, transport_socket: transportSocket });
const keepalive = (fields: Json): Json => http2({ connection_keepalive: fields });

const ip = (address: string): Json => ({ socket_address: { address, port_value: 80 } });

/** A cluster whose endpoint has one more address. */
const withMore = (type: string, address: Json): Json => {
  const endpoint = { address: ip("127.0.0.1"), additional_addresses: [{ address }] };
  const endpoints = [{ lb_endpoints: [{ endpoint }] }];
  return withCluster({ type, load_assignment: { cluster_name: "c", endpoints } });
};
const MORE = "additional_addresses[0].address";

export const ADDRESS_CASES = cases(
  ["of the other family", withMore("STATIC", ip("::1"))],
  ["the same again", withMore("STATIC", ip("127.0.0.1"))],
  ["a pipe", withMore("STATIC", { pipe: { path: "/run/c" } })],
  ["none", withMore("STATIC", {}), MORE, /an address is required/],
  ["a name", withMore("STATIC", ip("localhost")), `${MORE}.socket_address.address`, /malformed IP address: localhost/],
  ["a name that nobody resolves", withMore("STRICT_DNS", ip("localhost"))],
  ["none beside a name", withMore("LOGICAL_DNS", {}), MORE, /an address is required/],
);

export const PROTOCOL_CASES = cases(
  ["HTTP/2", http2({})],
  ["HTTP/2 by the deprecated field", withCluster({ http2_protocol_options: {} })],
  [
    "options over the deprecated field",
    withOptions({ explicit_http_config: { http_protocol_options: {} } }, { http2_protocol_options: {} }),
  ],
  ["the caller's protocol", withOptions({ use_downstream_protocol_config: {} })],
  ["no protocol", withOptions({}), '.HttpProtocolOptions"]', /one of explicit_http_config/],
  ["an explicit protocol that is none", withOptions({ explicit_http_config: {} }), "explicit_http_config", /one of/],
  [
    "HTTP/3",
    withOptions({ explicit_http_config: { http3_protocol_options: {} } }),
    "http3_protocol_options",
    /is not supported/,
  ],
  ["ALPN under TLS", auto({ transport_socket: upstreamTls() })],
  [
    "ALPN with names of its own",
    auto({ transport_socket: upstreamTls({ common_tls_context: { alpn_protocols: ["x"] } }) }),
  ],
  ["ALPN without TLS", auto({}), "auto_config", /needs TLS/],
  ["ALPN over plaintext", auto({ transport_socket: rawBuffer }), "auto_config", /needs TLS/],
  [
    "ALPN with TLS only where endpoints match",
    auto({ transport_socket_matches: [match(upstreamTls())] }),
    "auto_config",
    /needs TLS/,
  ],
  [
    "ALPN with plaintext where endpoints match",
    auto({ transport_socket: upstreamTls(), transport_socket_matches: [match(upstreamTls()), match(rawBuffer)] }),
    "transport_socket_matches[1]",
    /must be TLS/,
  ],
  [
    "ALPN under TLS everywhere",
    auto({ transport_socket: upstreamTls(), transport_socket_matches: [match(upstreamTls())] }),
  ],
  ["underscores for clusters", http2({}, { headers_with_underscores_action: "REJECT_REQUEST" })],
  ["one request for each connection", http2({}, { max_requests_per_connection: 1 })],
  ["an age at which connections end", http2({}, { max_connection_duration: "60s" })],
  ["no connection without a stream", http2({}, { idle_timeout: "0s" })],
  [
    "a limit of streams in time",
    http2({}, { max_stream_duration: "1s" }),
    "max_stream_duration",
    /is not supported/,
    "to come: routes limit streams",
  ],
  ["no headers at all", http2({}, { max_headers_count: 0 }), "max_headers_count", /at least 1/],
  [
    "a connection pool for each caller",
    withCluster({ connection_pool_per_downstream_connection: true }),
    "connection_pool_per_downstream_connection",
    /is not supported/,
    "pools are for each endpoint",
  ],
  ["connections ahead of need", withCluster({ preconnect_policy: { per_upstream_preconnect_ratio: 1.5 } })],
  [
    "interface names for the log",
    withCluster({ upstream_connection_options: { set_local_interface_name_on_upstream_connections: true } }),
  ],
  [
    "what is left of the limits",
    withCluster({ circuit_breakers: { thresholds: [{ track_remaining: true, max_connection_pools: 1 }] } }),
  ],
);

export const HTTP2_CASES = cases(
  [
    "every limit",
    http2({
      hpack_table_size: 0,
      max_concurrent_streams: 2147483647,
      initial_stream_window_size: 65535,
      initial_connection_window_size: 2147483647,
      allow_connect: true,
      max_outbound_frames: 1,
      max_outbound_control_frames: 1,
      max_consecutive_inbound_frames_with_empty_payload: 0,
      max_inbound_priority_frames_per_stream: 0,
      max_inbound_window_update_frames_per_data_frame_sent: 1,
      override_stream_error_on_invalid_http_message: true,
      stream_reset_burst: 0,
      stream_reset_rate: 0,
    }),
  ],
  ["no streams", http2({ max_concurrent_streams: 0 }), "max_concurrent_streams", /from 1 to 2147483647/],
  ["streams without end", http2({ max_concurrent_streams: 2147483648 }), "max_concurrent_streams", /from 1 to/],
  ["a small window", http2({ initial_stream_window_size: 65534 }), "initial_stream_window_size", /from 65535/],
  [
    "a window beyond all windows",
    http2({ initial_connection_window_size: 2147483648 }),
    "initial_connection_window_size",
    /from 65535 to 2147483647/,
  ],
  ["no frames", http2({ max_outbound_frames: 0 }), "max_outbound_frames", /from 1/],
  ["no control frames", http2({ max_outbound_control_frames: 0 }), "max_outbound_control_frames", /from 1/],
  [
    "no window updates",
    http2({ max_inbound_window_update_frames_per_data_frame_sent: 0 }),
    "max_inbound_window_update_frames_per_data_frame_sent",
    /from 1/,
  ],
  ["what only tunes", http2({ use_oghttp2_codec: false, enable_huffman_encoding: false, max_metadata_size: 1 })],
  ["metadata", http2({ allow_metadata: true }), "allow_metadata", /is not supported/, "an extension of Envoy's own"],
  [
    "settings by number",
    http2({ custom_settings_parameters: [{ identifier: 9, value: 1 }] }),
    "custom_settings_parameters",
    /is not supported/,
    "not in Envoy's documentation",
  ],
  [
    "a limit for each field",
    http2({ max_header_field_size_kb: 64 }),
    "max_header_field_size_kb",
    /is not supported/,
    "the head as a whole is limited",
  ],
  [
    "bytes beyond ASCII refused",
    http2({ disallow_obs_text: true }),
    "disallow_obs_text",
    /is not supported/,
    "an option to come",
  ],
  ["pings", keepalive({ interval: "30s", timeout: "5s", interval_jitter: { value: 0 } })],
  ["pings after idle time", keepalive({ connection_idle_interval: "0.001s", timeout: "0.001s" })],
  ["pings without a timeout", keepalive({ interval: "30s" }), "connection_keepalive.timeout", /is required/],
  ["a timeout of nothing", keepalive({ timeout: "0s" }), "connection_keepalive.timeout", /at least 1 ms/],
  ["pings all the time", keepalive({ timeout: "1s", interval: "0s" }), "interval", /at least 1 ms/],
  ["a ping within a millisecond", keepalive({ timeout: "1s", interval: "0.0005s" }), "interval", /at least 1 ms/],
  ["pings at once", keepalive({ timeout: "1s", connection_idle_interval: "0s" }), "idle_interval", /at least 1 ms/],
  ["more jitter than time", keepalive({ timeout: "1s", interval_jitter: { value: 101 } }), "jitter", /from 0 to 100/],
);
