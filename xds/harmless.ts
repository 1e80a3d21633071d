/**
 * What is accepted and ignored, each with its reason, which whoever sent it is told in a note. A field stands here only
 * if leaving it out changes nothing that a caller, an application or an operator could rely on. Everything else that
 * Outrigger does not understand is an error.
 */

/** By message, then by field: why the field may be ignored. Its content is not looked at. */
export const HARMLESS_FIELDS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  "envoy.config.bootstrap.v3.Bootstrap": {
    flags_path: "no feature flags are read from files",
    stats_sinks: "metrics are served for Prometheus to fetch, not pushed",
    stats_flush_interval: "metrics are always current, nothing is flushed",
    stats_flush_on_admin: "metrics are always current, nothing is flushed",
    stats_config: "metrics have their own names and labels",
    deferred_stat_options: "metrics are created when first used",
    enable_dispatcher_stats: "event-loop lag is always measured",
    stats_server_version_override: "only sets a statistic's value",
    watchdog: "the event loop's lag is a metric instead",
    watchdogs: "the event loop's lag is a metric instead",
    node_context_params: "only adds parameters to xdstp names, which are not used",
    use_tcp_for_dns_lookups: "the system's resolver decides how it asks",
    typed_dns_resolver_config: "the system's resolver is used",
    inline_headers: "only tunes how headers are stored",
    application_log_config: "logs are JSON lines on stderr",
    grpc_async_client_manager_config: "only tunes a cache of gRPC clients",
    memory_allocator_manager: "memory is managed by the JavaScript engine",
    overload_manager: "memory and connections have Outrigger's own limits",
  },
  "envoy.config.bootstrap.v3.Admin": {
    access_log: "requests to the admin interface are not logged",
    access_log_path: "requests to the admin interface are not logged",
    profile_path: "no CPU profiles are written",
    socket_options: "sockets keep the system's settings",
    ignore_global_conn_limit: "the admin interface is never limited",
  },
  "envoy.config.bootstrap.v3.ClusterManager": {
    outlier_detection: "ejections are in the log and the metrics instead of a file of their own",
    enable_deferred_cluster_creation: "clusters cost nothing until they are used",
  },
  "envoy.config.core.v3.Node": {
    user_agent_name: "Outrigger sends its own name",
    user_agent_version: "Outrigger sends its own version",
    extensions: "Outrigger announces what it supports itself",
    client_features: "Outrigger announces what it supports itself",
  },
  "envoy.config.core.v3.Metadata": {
    typed_filter_metadata: "metadata is read by name in its untyped form",
  },
  "envoy.config.core.v3.SubstitutionFormatString": {
    json_format_options: "the order of properties means nothing in JSON",
  },
  "envoy.config.core.v3.ApiConfigSource": {
    rate_limit_settings: "requests are few: one for each change",
    set_node_on_first_message_only: "the node is sent on the first message of a stream, as every server accepts",
    request_timeout: "only for REST, which is refused",
  },
  "envoy.config.core.v3.PathConfigSource": {
    watched_directory: "the file itself is watched",
  },
  "envoy.config.core.v3.GrpcService.EnvoyGrpc": {
    max_receive_message_length: "messages of any length are taken from the control plane",
    skip_envoy_headers: "x-envoy headers are never added to these calls",
  },
  "envoy.config.core.v3.BindConfig": {
    freebind: "binding to an address that is not there yet is an error when it happens",
    socket_options: "sockets keep the system's settings",
  },
  "envoy.config.core.v3.ExtraSourceAddress": {
    socket_options: "sockets keep the system's settings",
  },
  "envoy.config.core.v3.Http1ProtocolOptions": {
    use_balsa_parser: "chooses between Envoy's parsers",
  },
  "envoy.config.core.v3.Http2ProtocolOptions": {
    use_oghttp2_codec: "chooses between Envoy's codecs",
    enable_huffman_encoding: "only tunes compression",
    max_metadata_size: "METADATA frames are never announced, and skipped",
  },
  "envoy.config.endpoint.v3.Endpoint": {
    health_check_config: "only for active health checks, which are refused",
  },
  "envoy.config.endpoint.v3.LocalityLbEndpoints": {
    proximity: "only for filters that are not supported",
    metadata: "only for filters that are not supported",
  },
  "envoy.config.endpoint.v3.ClusterLoadAssignment.Policy": {
    endpoint_stale_after: "endpoints stay until they are taken away",
  },
  "envoy.config.cluster.v3.CircuitBreakers.Thresholds": {
    track_remaining: "what remains is always in the metrics",
    max_connection_pools: "there is one pool for each endpoint",
  },
  "envoy.config.cluster.v3.OutlierDetection": {
    successful_active_health_check_uneject_host: "only for active health checks, which are refused",
  },
  "envoy.config.cluster.v3.Cluster": {
    alt_stat_name: "metrics are labelled with the cluster's name",
    close_connections_on_host_health_failure: "only for active health checks, which are refused",
    ignore_health_on_host_removal: "only for active health checks, which are refused",
    wait_for_warm_on_init: "the listeners always wait for the clusters they use",
    typed_dns_resolver_config: "the system's resolver is used",
    dns_failure_refresh_rate: "failed look-ups are repeated with backoff",
    use_tcp_for_dns_lookups: "the system's resolver decides how it asks",
    track_timeout_budgets: "time budgets are not measured",
    track_cluster_stats: "sizes and time budgets are not measured one by one",
    preconnect_policy: "connections are opened when they are needed",
  },
  "envoy.config.cluster.v3.Cluster.CommonLbConfig": {
    update_merge_window: "updates are always taken as they come",
    ignore_new_hosts_until_first_hc: "only for active health checks, which are refused",
  },
  "envoy.extensions.clusters.dns.v3.DnsCluster": {
    dns_failure_refresh_rate: "failed look-ups are repeated with backoff",
    dns_jitter: "look-ups of clusters are not in step",
    typed_dns_resolver_config: "the system's resolver is used",
  },
  "envoy.config.cluster.v3.UpstreamConnectionOptions": {
    happy_eyeballs_config:
      "the first of an endpoint's addresses is tried first, then those of the other family by turns",
    set_local_interface_name_on_upstream_connections: "only feeds a log field that is not supported",
  },
  "envoy.config.listener.v3.Listener": {
    socket_options: "sockets keep the system's settings",
    drain_type: "listeners drain when they are changed or the process ends, not when a health check fails",
    tcp_fast_open_queue_length: "only saves a round trip where client and kernel agree on it",
    connection_balance_config: "the kernel spreads connections over the workers",
    reuse_port: "deprecated: enable_reuse_port decides",
    ignore_global_conn_limit: "connections have no global limit",
    max_connections_to_accept_per_socket_event: "only tunes how connections are taken from the kernel",
    bypass_overload_manager: "there is no overload manager to bypass",
  },
  "envoy.config.listener.v3.AdditionalAddress": {
    socket_options: "sockets keep the system's settings",
  },
  "envoy.config.listener.v3.FilterChain": {
    metadata: "no filter reads it",
  },
  "envoy.config.route.v3.RouteConfiguration": {
    metadata: "no filter reads it",
  },
  "envoy.config.route.v3.VirtualHost": {
    metadata: "no filter reads it",
    virtual_clusters: "only for statistics",
    rate_limits: "only for the rate limit filter, which is refused",
  },
  "envoy.config.route.v3.Route": {
    stat_prefix: "only for statistics",
  },
  "envoy.config.route.v3.RouteAction": {
    rate_limits: "only for the rate limit filter, which is refused",
    metadata_match: "only for subset load balancing, which is refused",
    include_vh_rate_limits: "only for the rate limit filter, which is refused",
  },
  "envoy.config.route.v3.WeightedCluster.ClusterWeight": {
    metadata_match: "only for subset load balancing, which is refused",
  },
  "envoy.config.route.v3.Decorator": {
    propagate: "the operation's name is never sent upstream",
  },
  "envoy.config.route.v3.WeightedCluster": {
    total_weight: "deprecated: the sum of the weights counts, as in Envoy",
    runtime_key_prefix: "weights change by configuration, not while running",
  },
  "envoy.extensions.filters.http.router.v3.Router": {
    dynamic_stats: "metrics have their own names and labels",
    start_child_span: "deprecated: spawn_upstream_span decides",
    suppress_grpc_request_failure_code_stats: "only for statistics",
  },
  "envoy.extensions.filters.http.rbac.v3.RBAC": {
    track_per_rule_stats: "the metrics always name the policy",
  },
  "envoy.extensions.filters.network.rbac.v3.RBAC": {
    shadow_rules_stat_prefix: "only for statistics",
    enforcement_type: "what the rules look at does not change while a connection lives",
  },
  "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy": {
    metadata_match: "only for subset load balancing, which is refused",
  },
  "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy.WeightedCluster.ClusterWeight": {
    metadata_match: "only for subset load balancing, which is refused",
  },
  "envoy.extensions.filters.http.fault.v3.HTTPFault": {
    delay_percent_runtime: "faults change by configuration, not while running",
    abort_percent_runtime: "faults change by configuration, not while running",
    delay_duration_runtime: "faults change by configuration, not while running",
    abort_http_status_runtime: "faults change by configuration, not while running",
    max_active_faults_runtime: "faults change by configuration, not while running",
    response_rate_limit_percent_runtime: "faults change by configuration, not while running",
    abort_grpc_status_runtime: "faults change by configuration, not while running",
    disable_downstream_cluster_stats: "only for statistics",
  },
  "envoy.extensions.filters.http.cors.v3.CorsPolicy": {
    shadow_enabled: "only for statistics",
  },
  "envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector": {
    initial_read_buffer_size: "only tunes how the first bytes are read",
  },
  "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager": {
    add_proxy_protocol_connection_state: "the PROXY protocol is not supported",
    http3_protocol_options: "HTTP/3 is refused by codec_type",
    append_local_overload: "there is no overload manager",
  },
  "envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig": {
    pack_trace_reason: "request ids carry no sampling decision: the trace context does",
    use_request_id_for_trace_sampling: "request ids carry no sampling decision: the trace context does",
  },
  "envoy.extensions.http.header_formatters.preserve_case.v3.PreserveCaseFormatterConfig": {
    forward_reason_phrase: "the reason phrase is passed on as it came",
    formatter_type_on_envoy_headers: "headers that the proxy adds are lower case",
  },
  "envoy.type.matcher.v3.RegexMatcher": {
    google_re2: "names the only engine there is",
  },
  "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext": {
    allow_renegotiation: "the TLS library limits renegotiation, which only TLS 1.2 has",
    enforce_rsa_key_usage: "the TLS library decides about key usage",
  },
  "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext": {
    session_ticket_keys: "tickets are sealed with keys of this process",
    disable_stateful_session_resumption: "sessions are only resumed by ticket",
    session_timeout: "the TLS library decides how long sessions live",
    full_scan_certs_on_sni_mismatch: "all certificates are always looked at",
  },
};

/** Extension types, by full name: why one of them may be left out wherever a list of extensions stands. */
export const HARMLESS_TYPES: Readonly<Record<string, string>> = {
  "stats.PluginConfig": "only counts (istio.stats)",
  "io.istio.http.peer_metadata.Config": "only labels metrics (istio peer metadata)",
  "istio.envoy.config.filter.http.alpn.v2alpha1.FilterConfig": "only names protocols that are never negotiated",
  "envoy.tcp.metadataexchange.config.MetadataExchange": "the ALPN istio-peer-exchange is never negotiated",
};

/** Why the field of the message may be ignored, or undefined if it may not. */
export function harmlessField(message: string, field: string): string | undefined {
  return HARMLESS_FIELDS[message]?.[field];
}

/** Why an extension of the type may be left out, or undefined if it may not. Takes a type URL or a full name. */
export function harmlessType(typeUrl: string): string | undefined {
  return HARMLESS_TYPES[typeUrl.slice(typeUrl.lastIndexOf("/") + 1)];
}
