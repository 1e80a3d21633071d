/**
 * Envoy's fields that the subset leaves out, as `number:name` by message. Made from the full protos by
 * `npm test -- --update test/xds-subset.test.ts`; the same test checks it.
 */
export const UNSUPPORTED_FIELDS: Readonly<Record<string, string>> = {
  "envoy.config.accesslog.v3.AccessLogFilter": "11:extension_filter 12:metadata_filter 13:log_type_filter",
  "envoy.config.bootstrap.v3.Bootstrap":
    "14:hds_config 18:header_prefix 30:dns_resolution_config 28:fatal_actions 22:config_sources 23:default_config_source 24:default_socket_interface 25:certificate_provider_instances 33:perf_tracing_file_path 35:xds_delegate_extension 36:xds_config_tracker_extension 37:listener_manager",
  "envoy.config.bootstrap.v3.Bootstrap.ApplicationLogConfig": "1:log_format",
  "envoy.config.bootstrap.v3.Bootstrap.DeferredStatOptions": "1:enable_deferred_creation_stats",
  "envoy.config.bootstrap.v3.Bootstrap.DynamicResources": "5:lds_resources_locator 6:cds_resources_locator",
  "envoy.config.bootstrap.v3.Bootstrap.GrpcAsyncClientManagerConfig": "1:max_cached_entry_idle_duration",
  "envoy.config.bootstrap.v3.ClusterManager": "3:upstream_bind_config 4:load_stats_config",
  "envoy.config.bootstrap.v3.ClusterManager.OutlierDetection": "2:event_service",
  "envoy.config.bootstrap.v3.CustomInlineHeader": "1:inline_header_name 2:inline_header_type",
  "envoy.config.bootstrap.v3.MemoryAllocatorManager": "1:bytes_to_release 2:memory_release_interval",
  "envoy.config.bootstrap.v3.RuntimeLayer": "3:disk_layer 5:rtds_layer",
  "envoy.config.bootstrap.v3.Watchdog":
    "7:actions 1:miss_timeout 2:megamiss_timeout 3:kill_timeout 6:max_kill_timeout_jitter 4:multikill_timeout 5:multikill_threshold",
  "envoy.config.bootstrap.v3.Watchdogs": "1:main_thread_watchdog 2:worker_watchdog",
  "envoy.config.cluster.v3.CircuitBreakers": "2:per_host_thresholds",
  "envoy.config.cluster.v3.Cluster":
    "8:health_checks 18:dns_resolvers 53:dns_resolution_config 22:lb_subset_config 52:maglev_lb_config 34:original_dst_lb_config 26:protocol_selection 42:lrs_server 57:lrs_report_endpoint_metrics 48:upstream_config 51:connection_pool_per_downstream_connection",
  "envoy.config.cluster.v3.Cluster.CommonLbConfig": "7:consistent_hashing_lb_config 8:override_host_status",
  "envoy.config.cluster.v3.Cluster.LeastRequestLbConfig": "2:active_request_bias 3:slow_start_config",
  "envoy.config.cluster.v3.Cluster.PreconnectPolicy": "1:per_upstream_preconnect_ratio 2:predictive_preconnect_ratio",
  "envoy.config.cluster.v3.Cluster.RoundRobinLbConfig": "1:slow_start_config",
  "envoy.config.cluster.v3.Filter": "3:config_discovery",
  "envoy.config.cluster.v3.OutlierDetection": "24:monitors",
  "envoy.config.cluster.v3.TrackClusterStats": "1:timeout_budgets 2:request_response_sizes 3:per_endpoint_stats",
  "envoy.config.cluster.v3.UpstreamConnectionOptions.HappyEyeballsConfig":
    "1:first_address_family_version 2:first_address_family_count",
  "envoy.config.core.v3.Address": "3:envoy_internal_address",
  "envoy.config.core.v3.ApiConfigSource": "3:refresh_delay 9:config_validators",
  "envoy.config.core.v3.BindConfig": "6:local_address_selector",
  "envoy.config.core.v3.ConfigSource": "7:authorities",
  "envoy.config.core.v3.DataSource": "5:watched_directory",
  "envoy.config.core.v3.Extension": "2:category 3:type_descriptor 4:version 5:disabled 6:type_urls",
  "envoy.config.core.v3.GrpcService": "2:google_grpc 6:retry_policy",
  "envoy.config.core.v3.GrpcService.EnvoyGrpc": "3:retry_policy",
  "envoy.config.core.v3.HeaderValue": "3:raw_value",
  "envoy.config.core.v3.Http2ProtocolOptions": "6:allow_metadata 13:custom_settings_parameters",
  "envoy.config.core.v3.Http3ProtocolOptions":
    "1:quic_protocol_options 2:override_stream_error_on_invalid_http_message 5:allow_extended_connect 6:allow_metadata",
  "envoy.config.core.v3.HttpService": "2:request_headers_to_add",
  "envoy.config.core.v3.JsonFormatOptions": "1:sort_properties",
  "envoy.config.core.v3.Node": "12:dynamic_parameters 8:user_agent_build_version 11:listening_addresses",
  "envoy.config.core.v3.SocketAddress": "4:named_port 5:resolver_name",
  "envoy.config.core.v3.SocketOption": "1:description 2:level 3:name 4:int_value 5:buf_value 6:state",
  "envoy.config.core.v3.SocketOptionsOverride": "1:socket_options",
  "envoy.config.core.v3.SubstitutionFormatString": "6:formatters",
  "envoy.config.endpoint.v3.ClusterLoadAssignment": "5:named_endpoints",
  "envoy.config.endpoint.v3.ClusterLoadAssignment.Policy": "2:drop_overloads 6:weighted_priority_health",
  "envoy.config.endpoint.v3.Endpoint.HealthCheckConfig":
    "1:port_value 2:hostname 3:address 4:disable_active_health_check",
  "envoy.config.endpoint.v3.LbEndpoint": "5:endpoint_name",
  "envoy.config.endpoint.v3.LocalityLbEndpoints": "7:load_balancer_endpoints 8:leds_cluster_locality_config",
  "envoy.config.listener.v3.Filter": "5:config_discovery",
  "envoy.config.listener.v3.FilterChain": "8:on_demand_configuration",
  "envoy.config.listener.v3.FilterChainMatch": "4:address_suffix 5:suffix_len",
  "envoy.config.listener.v3.Listener":
    "32:filter_chain_matcher 18:udp_listener_config 19:api_listener 27:internal_listener",
  "envoy.config.listener.v3.Listener.ConnectionBalanceConfig": "2:extend_balance",
  "envoy.config.listener.v3.ListenerFilter": "5:config_discovery",
  "envoy.config.metrics.v3.StatsConfig":
    "1:stats_tags 2:use_all_default_tags 3:stats_matcher 4:histogram_bucket_settings",
  "envoy.config.metrics.v3.StatsSink": "1:name 3:typed_config",
  "envoy.config.overload.v3.OverloadManager":
    "1:refresh_interval 2:resource_monitors 3:actions 5:loadshed_points 4:buffer_factory_config",
  "envoy.config.rbac.v3.Permission": "7:metadata 12:matcher 13:uri_template",
  "envoy.config.rbac.v3.Policy": "3:condition 4:checked_condition",
  "envoy.config.rbac.v3.Principal": "7:metadata 12:filter_state",
  "envoy.config.rbac.v3.RBAC": "3:audit_logging_options",
  "envoy.config.route.v3.RateLimit": "1:stage 2:disable_key 3:actions 4:limit",
  "envoy.config.route.v3.RetryPolicy": "4:retry_priority 12:retry_options_predicates",
  "envoy.config.route.v3.Route": "17:filter_action",
  "envoy.config.route.v3.RouteAction":
    "37:cluster_specifier_plugin 39:inline_cluster_specifier_plugin 41:path_rewrite_policy 40:early_data_policy 33:retry_policy_typed_config 17:cors 34:internal_redirect_policy 26:internal_redirect_action 31:max_internal_redirects 27:hedge_policy",
  "envoy.config.route.v3.RouteAction.HashPolicy": "6:filter_state",
  "envoy.config.route.v3.RouteAction.HashPolicy.Cookie": "4:attributes",
  "envoy.config.route.v3.RouteAction.HashPolicy.Header": "2:regex_rewrite",
  "envoy.config.route.v3.RouteAction.RequestMirrorPolicy": "5:cluster_header",
  "envoy.config.route.v3.RouteAction.UpgradeConfig": "3:connect_config",
  "envoy.config.route.v3.RouteConfiguration": "9:vhds 12:cluster_specifier_plugins",
  "envoy.config.route.v3.RouteMatch": "12:connect_matcher 15:path_match_policy 13:dynamic_metadata",
  "envoy.config.route.v3.Tracing": "4:custom_tags",
  "envoy.config.route.v3.VirtualHost":
    "21:matcher 8:cors 20:retry_policy_typed_config 17:hedge_policy 23:include_is_timeout_retry_header",
  "envoy.config.route.v3.WeightedCluster.ClusterWeight": "12:cluster_header",
  "envoy.config.trace.v3.OpenTelemetryConfig": "4:resource_detectors 5:sampler",
  "envoy.extensions.filters.http.fault.v3.HTTPFault": "5:downstream_nodes 7:response_rate_limit 16:filter_metadata",
  "envoy.extensions.filters.http.rbac.v3.RBAC": "4:matcher 5:shadow_matcher",
  "envoy.extensions.filters.http.router.v3.Router":
    "3:upstream_log 9:upstream_log_options 5:strict_check_headers 8:upstream_http_filters",
  "envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector": "1:enable_ja3_fingerprinting",
  "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager":
    "31:scoped_routes 54:access_log_flush_interval 55:flush_access_log_on_new_request 56:access_log_options 46:original_ip_detection_extensions 52:early_header_mutation_extensions 43:path_normalization_options 49:proxy_status_config 50:typed_header_validation_config",
  "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.UpgradeConfig": "2:filters",
  "envoy.extensions.filters.network.http_connection_manager.v3.HttpFilter": "5:config_discovery",
  "envoy.extensions.filters.network.rbac.v3.RBAC": "6:matcher 7:shadow_matcher",
  "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy":
    "14:on_demand 3:downstream_idle_timeout 4:upstream_idle_timeout 12:tunneling_config",
  "envoy.extensions.load_balancing_policies.least_request.v3.LeastRequest":
    "2:active_request_bias 3:slow_start_config 5:enable_full_scan 6:selection_method",
  "envoy.extensions.load_balancing_policies.ring_hash.v3.RingHash":
    "4:use_hostname_for_hashing 5:hash_balance_factor 6:consistent_hashing_lb_config",
  "envoy.extensions.load_balancing_policies.round_robin.v3.RoundRobin": "1:slow_start_config",
  "envoy.extensions.transport_sockets.tls.v3.CertificateValidationContext":
    "13:ca_certificate_provider_instance 17:system_root_certs 11:watched_directory 12:custom_validator_config 14:only_verify_leaf_cert_crl 16:max_verify_depth",
  "envoy.extensions.transport_sockets.tls.v3.CommonTlsContext":
    "14:tls_certificate_provider_instance 9:tls_certificate_certificate_provider 11:tls_certificate_certificate_provider_instance 10:validation_context_certificate_provider 12:validation_context_certificate_provider_instance 13:custom_handshaker 15:key_log",
  "envoy.extensions.transport_sockets.tls.v3.CommonTlsContext.CombinedCertificateValidationContext":
    "3:validation_context_certificate_provider 4:validation_context_certificate_provider_instance",
  "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext": "5:session_ticket_keys_sds_secret_config",
  "envoy.extensions.transport_sockets.tls.v3.Secret": "5:generic_secret",
  "envoy.extensions.transport_sockets.tls.v3.SubjectAltNameMatcher": "3:oid",
  "envoy.extensions.transport_sockets.tls.v3.TlsCertificate":
    "8:pkcs12 7:watched_directory 6:private_key_provider 4:ocsp_staple 5:signed_certificate_timestamp",
  "envoy.extensions.transport_sockets.tls.v3.TlsParameters": "5:signature_algorithms",
  "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": "6:http_filters 7:header_validation_config",
  "envoy.extensions.upstreams.http.v3.HttpProtocolOptions.AutoHttpConfig":
    "3:http3_protocol_options 4:alternate_protocols_cache_options",
  "envoy.extensions.upstreams.http.v3.HttpProtocolOptions.ExplicitHttpConfig": "3:http3_protocol_options",
  "envoy.extensions.upstreams.http.v3.HttpProtocolOptions.UseDownstreamHttpConfig": "3:http3_protocol_options",
  "envoy.service.discovery.v3.DeltaDiscoveryRequest": "8:resource_locators_subscribe 9:resource_locators_unsubscribe",
  "envoy.service.discovery.v3.DeltaDiscoveryResponse": "8:removed_resource_names",
  "envoy.service.discovery.v3.DiscoveryRequest": "7:resource_locators",
  "envoy.service.discovery.v3.Resource": "8:resource_name 7:cache_control 9:metadata",
  "envoy.type.matcher.v3.StringMatcher": "8:custom",
  "envoy.type.tracing.v3.CustomTag": "5:metadata",
  "envoy.type.v3.HashPolicy": "2:filter_state",
};
