/** What is done with a connection: `listener.v3.FilterChain`. */
import { create } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import {
  type Filter,
  type FilterChain as FilterChainMessage,
  FilterChainSchema,
  FilterSchema,
} from "../generated/envoy/config/listener/v3/listener_components_pb.js";
import { HttpConnectionManagerSchema } from "../generated/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { RBACSchema } from "../generated/envoy/extensions/filters/network/rbac/v3/rbac_pb.js";
import { TcpProxySchema } from "../generated/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js";
import type { FilterChain, NetworkFilter } from "../model/listener.ts";
import { packAny } from "./any.ts";
import { isHarmlessExtension, unpackExtension } from "./extension.ts";
import { decodeFilterChainMatch, encodeFilterChainMatch } from "./filter-chain-match.ts";
import { decodeNetworkRbac, encodeNetworkRbac } from "./filters/rbac.ts";
import { decodeHttpConnectionManager, encodeHttpConnectionManager } from "./http-connection-manager.ts";
import type { Place } from "./place.ts";
import { decodeTcpProxy, encodeTcpProxy } from "./tcp-proxy.ts";
import { decodeDownstreamSocket, encodeDownstreamSocket } from "./transport-socket.ts";
import { duration, durationMs } from "./values.ts";

export function decodeFilterChain(message: FilterChainMessage, at: Place): FilterChain {
  if (message.useProxyProto) at.field("use_proxy_proto").error("is not supported yet");
  return {
    name: message.name,
    match: decodeFilterChainMatch(message.filterChainMatch, at.field("filter_chain_match")),
    tls: decodeDownstreamSocket(message.transportSocket, at.field("transport_socket")),
    transportSocketConnectTimeoutMs: durationMs(
      message.transportSocketConnectTimeout,
      0,
      at.field("transport_socket_connect_timeout"),
    ),
    filters: decodeFilters(message.filters, at),
  };
}

/** Filters that end a chain, as people call them. */
const TERMINALS: Readonly<Record<NetworkFilter["kind"], string | null>> = {
  rbac: null,
  http_connection_manager: "HTTP connection manager",
  tcp_proxy: "TCP proxy",
};

/** Exactly the last filter is terminal; a chain without filters closes its connections, as in Envoy. */
function decodeFilters(messages: readonly Filter[], at: Place): NetworkFilter[] {
  const filters: NetworkFilter[] = [];
  messages.forEach((message, i) => {
    const place = at.item("filters", i);
    const filter = decodeFilter(message, place);
    if (!filter) return;
    const last = i === messages.length - 1;
    const terminal = TERMINALS[filter.kind];
    if (terminal && !last) place.error(`the ${terminal} must be the last filter`);
    if (!terminal && last) place.error("the last filter must be the HTTP connection manager or the TCP proxy");
    filters.push(filter);
  });
  return filters;
}

function decodeFilter(message: Filter, at: Place): NetworkFilter | null {
  if (message.name === "") at.field("name").error("is required");
  const config = message.configType.value;
  const place = at.field("typed_config");
  if (isHarmlessExtension(config, place)) return null;
  const filter = unpackExtension(config, [RBACSchema, HttpConnectionManagerSchema, TcpProxySchema], place);
  switch (filter?.$typeName) {
    case "envoy.extensions.filters.network.rbac.v3.RBAC":
      return { kind: "rbac", ...decodeNetworkRbac(filter, place) };
    case "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager":
      return { kind: "http_connection_manager", config: decodeHttpConnectionManager(filter, place) };
    case "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy":
      return { kind: "tcp_proxy", config: decodeTcpProxy(filter, place) };
    case undefined:
      return null;
  }
}

export function encodeFilterChain(chain: FilterChain): FilterChainMessage {
  const message = create(FilterChainSchema, { name: chain.name, filters: chain.filters.map(encodeFilter) });
  const match = encodeFilterChainMatch(chain.match);
  if (match) message.filterChainMatch = match;
  if (chain.tls) message.transportSocket = encodeDownstreamSocket(chain.tls);
  if (chain.transportSocketConnectTimeoutMs > 0) {
    message.transportSocketConnectTimeout = duration(chain.transportSocketConnectTimeoutMs);
  }
  return message;
}

function encodeFilter(filter: NetworkFilter): Filter {
  return create(FilterSchema, {
    name: `envoy.filters.network.${filter.kind}`,
    configType: { case: "typedConfig", value: filterConfig(filter) },
  });
}

function filterConfig(filter: NetworkFilter): Any {
  switch (filter.kind) {
    case "rbac":
      return packAny(RBACSchema, encodeNetworkRbac(filter));
    case "http_connection_manager":
      return packAny(HttpConnectionManagerSchema, encodeHttpConnectionManager(filter.config));
    case "tcp_proxy":
      return packAny(TcpProxySchema, encodeTcpProxy(filter.config));
  }
}
