/** Where connections are accepted: `listener.v3.Listener`. */
import { create } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import { TrafficDirection } from "../generated/envoy/config/core/v3/base_pb.js";
import {
  type ListenerFilter as ListenerFilterMessage,
  ListenerFilterSchema,
} from "../generated/envoy/config/listener/v3/listener_components_pb.js";
import {
  AdditionalAddressSchema,
  type Listener as ListenerMessage,
  ListenerSchema,
} from "../generated/envoy/config/listener/v3/listener_pb.js";
import { HttpInspectorSchema } from "../generated/envoy/extensions/filters/listener/http_inspector/v3/http_inspector_pb.js";
import { OriginalDstSchema } from "../generated/envoy/extensions/filters/listener/original_dst/v3/original_dst_pb.js";
import { TlsInspectorSchema } from "../generated/envoy/extensions/filters/listener/tls_inspector/v3/tls_inspector_pb.js";
import { formatAddress } from "../model/address.ts";
import type { Listener, ListenerFilter } from "../model/listener.ts";
import { decodeAccessLogs, encodeAccessLog } from "./access-log.ts";
import { decodeAddress, encodeAddress } from "./address.ts";
import { packAny } from "./any.ts";
import type { Codec } from "./codec.ts";
import { isHarmlessExtension, unpackExtension } from "./extension.ts";
import { decodeFilterChain, encodeFilterChain } from "./filter-chain.ts";
import { checkOverlap } from "./filter-chain-match.ts";
import { decodeListenerExtension, encodeListenerExtension } from "./listener-extension.ts";
import { encodeMetadata, OUTRIGGER } from "./metadata.ts";
import type { Place } from "./place.ts";
import { decodePortPredicate, encodePortPredicate } from "./port-predicate.ts";
import { duration, durationMs, numberOf } from "./values.ts";

/** Envoy's defaults. */
const LISTENER_FILTERS_TIMEOUT_MS = 15_000;
const CONNECTION_BUFFER_BYTES = 1024 * 1024;
const TCP_BACKLOG = 128;

const DIRECTIONS = {
  [TrafficDirection.UNSPECIFIED]: "unspecified",
  [TrafficDirection.INBOUND]: "inbound",
  [TrafficDirection.OUTBOUND]: "outbound",
} as const;

export const listenerCodec: Codec<typeof ListenerSchema, Listener> = {
  schema: ListenerSchema,
  label: "listener",
  nameOf: (message) => message.name,
  decode: decodeListener,
  encode: encodeListener,
};

export function decodeListener(message: ListenerMessage, at: Place): Listener {
  refuseUnsupported(message, at);
  const address = decodeAddress(message.address, "bind", at.field("address"));
  const filterChains = message.filterChains.map((chain, i) => decodeFilterChain(chain, at.item("filter_chains", i)));
  checkOverlap(filterChains, at);
  const fallback = message.defaultFilterChain;
  if (filterChains.length === 0 && !fallback) at.error("a filter chain is required");
  return {
    // A name is needed to tell listeners apart; Envoy makes one up, too.
    name: message.name || formatAddress(address),
    address,
    ...decodeAdditional(message, at),
    statPrefix: message.statPrefix,
    bindToPort: (message.bindToPort ?? true) && (message.deprecatedV1?.bindToPort ?? true),
    trafficDirection: DIRECTIONS[message.trafficDirection] ?? "unspecified",
    listenerFilters: message.listenerFilters.flatMap(
      (filter, i) => decodeListenerFilter(filter, at.item("listener_filters", i)) ?? [],
    ),
    listenerFiltersTimeoutMs: durationMs(
      message.listenerFiltersTimeout,
      LISTENER_FILTERS_TIMEOUT_MS,
      at.field("listener_filters_timeout"),
    ),
    continueOnListenerFiltersTimeout: message.continueOnListenerFiltersTimeout,
    filterChains,
    defaultFilterChain: fallback ? decodeFilterChain(fallback, at.field("default_filter_chain")) : null,
    perConnectionBufferLimitBytes: message.perConnectionBufferLimitBytes ?? CONNECTION_BUFFER_BYTES,
    accessLogs: decodeAccessLogs(message.accessLog, at),
    tcpBacklogSize: message.tcpBacklogSize ?? TCP_BACKLOG,
    reusePort: message.enableReusePort ?? true,
    ...(message.useOriginalDst ? { useOriginalDst: true } : {}),
    ...(message.transparent ? { transparent: true } : {}),
    outrigger: decodeListenerExtension(message.metadata, at.field("metadata")),
  };
}

function decodeAdditional(message: ListenerMessage, at: Place): Pick<Listener, "additionalAddresses"> {
  if (message.additionalAddresses.length === 0) return {};
  const additionalAddresses = message.additionalAddresses.map(({ address }, i) =>
    decodeAddress(address, "bind", at.item("additional_addresses", i).field("address")),
  );
  return { additionalAddresses };
}

/** Switches of which only the default is understood. */
function refuseUnsupported(message: ListenerMessage, at: Place): void {
  if (message.freebind) at.field("freebind").error("is not supported yet");
  if (message.enableMptcp) at.field("enable_mptcp").error("is not supported");
}

function decodeListenerFilter(message: ListenerFilterMessage, at: Place): ListenerFilter | null {
  if (message.name === "") at.field("name").error("is required");
  const config = message.configType.value;
  const place = at.field("typed_config");
  if (isHarmlessExtension(config, place)) return null;
  const filter = unpackExtension(config, [TlsInspectorSchema, HttpInspectorSchema, OriginalDstSchema], place);
  const disabled = message.filterDisabled && decodePortPredicate(message.filterDisabled, at.field("filter_disabled"));
  return filter ? { kind: FILTERS[filter.$typeName], ...(disabled ? { disabled } : {}) } : null;
}

const FILTERS = {
  "envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector": "tls_inspector",
  "envoy.extensions.filters.listener.http_inspector.v3.HttpInspector": "http_inspector",
  "envoy.extensions.filters.listener.original_dst.v3.OriginalDst": "original_dst",
} as const;

export function encodeListener(listener: Listener): ListenerMessage {
  const message = create(ListenerSchema, {
    name: listener.name,
    address: encodeAddress(listener.address),
    statPrefix: listener.statPrefix,
    filterChains: listener.filterChains.map(encodeFilterChain),
    listenerFilters: listener.listenerFilters.map(encodeListenerFilter),
    listenerFiltersTimeout: duration(listener.listenerFiltersTimeoutMs),
    continueOnListenerFiltersTimeout: listener.continueOnListenerFiltersTimeout,
    trafficDirection: numberOf(DIRECTIONS, listener.trafficDirection),
    perConnectionBufferLimitBytes: listener.perConnectionBufferLimitBytes,
    accessLog: listener.accessLogs.map(encodeAccessLog),
    tcpBacklogSize: listener.tcpBacklogSize,
    bindToPort: listener.bindToPort,
    enableReusePort: listener.reusePort,
  });
  if (listener.useOriginalDst) message.useOriginalDst = true;
  if (listener.transparent) message.transparent = true;
  message.additionalAddresses = (listener.additionalAddresses ?? []).map((address) =>
    create(AdditionalAddressSchema, { address: encodeAddress(address) }),
  );
  if (listener.defaultFilterChain) message.defaultFilterChain = encodeFilterChain(listener.defaultFilterChain);
  const metadata = encodeMetadata({
    [OUTRIGGER]: listener.outrigger ? encodeListenerExtension(listener.outrigger) : undefined,
  });
  if (metadata) message.metadata = metadata;
  return message;
}

function encodeListenerFilter(filter: ListenerFilter): ListenerFilterMessage {
  return create(ListenerFilterSchema, {
    name: `envoy.filters.listener.${filter.kind}`,
    configType: { case: "typedConfig", value: listenerFilterConfig(filter) },
    ...(filter.disabled ? { filterDisabled: encodePortPredicate(filter.disabled) } : {}),
  });
}

function listenerFilterConfig(filter: ListenerFilter): Any {
  switch (filter.kind) {
    case "tls_inspector":
      return packAny(TlsInspectorSchema, create(TlsInspectorSchema));
    case "http_inspector":
      return packAny(HttpInspectorSchema, create(HttpInspectorSchema));
    case "original_dst":
      return packAny(OriginalDstSchema, create(OriginalDstSchema));
  }
}
