/** What a proxy process is started with: `envoy.config.bootstrap.v3.Bootstrap` to the model and back. */
import { create, type DescMessage, type JsonObject, type MessageShape } from "@bufbuild/protobuf";
import {
  type Bootstrap_DynamicResources,
  type Bootstrap_StaticResources,
  type Bootstrap as BootstrapMessage,
  BootstrapSchema,
} from "../generated/envoy/config/bootstrap/v3/bootstrap_pb.js";
import { type Node, NodeSchema } from "../generated/envoy/config/core/v3/base_pb.js";
import type { ConfigSource as ConfigSourceMessage } from "../generated/envoy/config/core/v3/config_source_pb.js";
import type { Bootstrap, ConfigSource, DynamicResources, NodeIdentity } from "../model/bootstrap.ts";
import { EMPTY_SNAPSHOT, type Snapshot } from "../model/snapshot.ts";
import { decodeAddress, encodeAddress } from "./address.ts";
import { clusterCodec } from "./cluster.ts";
import { type Codec, labelOf } from "./codec.ts";
import { decodeAdsConfig, decodeConfigSource, encodeApiConfigSource, encodeConfigSource } from "./config-source.ts";
import { listenerCodec } from "./listener.ts";
import type { Place } from "./place.ts";
import { decodeRuntime } from "./runtime.ts";
import { secretCodec } from "./secret.ts";
import { decodeTracingProvider, encodeTracingProvider } from "./tracing-provider.ts";

export const bootstrapCodec: Codec<typeof BootstrapSchema, Bootstrap> = {
  schema: BootstrapSchema,
  label: "bootstrap",
  nameOf: () => "",
  decode: decodeBootstrap,
  encode: encodeBootstrap,
};

function decodeBootstrap(message: BootstrapMessage, at: Place): Bootstrap {
  if (message.clusterManager?.localClusterName) {
    at.field("cluster_manager.local_cluster_name").error("zone-aware routing is not supported");
  }
  if (message.bootstrapExtensions.length > 0) at.field("bootstrap_extensions").error("is not supported");
  // Before the resources, which read what it sets.
  if (message.layeredRuntime) decodeRuntime(message.layeredRuntime, at.field("layered_runtime"));
  const dynamic = message.dynamicResources;
  return {
    node: decodeNode(message.node),
    admin: message.admin?.address
      ? { address: decodeAddress(message.admin.address, "ip_only", at.field("admin.address")) }
      : null,
    static: decodeStatic(message.staticResources, at.field("static_resources")),
    dynamic: dynamic ? decodeDynamic(dynamic, at.field("dynamic_resources")) : null,
    tracing: decodeTracingProvider(message.tracing?.http, at.field("tracing.http")),
  };
}

function decodeNode(node: Node | undefined): NodeIdentity {
  const { region = "", zone = "", subZone = "" } = node?.locality ?? {};
  return {
    id: node?.id ?? "",
    cluster: node?.cluster ?? "",
    locality: { region, zone, subZone },
    metadata: node?.metadata ?? {},
  };
}

function decodeStatic(message: Bootstrap_StaticResources | undefined, at: Place): Snapshot {
  if (!message) return EMPTY_SNAPSHOT;
  return {
    ...EMPTY_SNAPSHOT,
    listeners: decodeAll(listenerCodec, message.listeners, "listeners", at),
    clusters: decodeAll(clusterCodec, message.clusters, "clusters", at),
    secrets: decodeAll(secretCodec, message.secrets, "secrets", at),
  };
}

function decodeAll<D extends DescMessage, T extends { readonly name: string }>(
  codec: Codec<D, T>,
  messages: readonly MessageShape<D>[],
  field: string,
  at: Place,
): ReadonlyMap<string, T> {
  const byName = new Map<string, T>();
  messages.forEach((message, i) => {
    const place = at.item(field, i).in(labelOf(codec, message));
    const value = codec.decode(message, place);
    if (byName.has(value.name)) place.field("name").error(`there is another ${codec.label} of this name`);
    byName.set(value.name, value);
  });
  return byName;
}

function decodeDynamic(message: Bootstrap_DynamicResources, at: Place): DynamicResources {
  const source = (config: ConfigSourceMessage | undefined, field: string): ConfigSource | null => {
    if (!config) return null;
    const decoded = decodeConfigSource(config, at.field(field));
    if (decoded.kind === "ads" && !message.adsConfig) at.field(field).error("names ADS, but ads_config is not set");
    return decoded;
  };
  return {
    ads: message.adsConfig ? decodeAdsConfig(message.adsConfig, at.field("ads_config")) : null,
    listeners: source(message.ldsConfig, "lds_config"),
    clusters: source(message.cdsConfig, "cds_config"),
  };
}

function encodeBootstrap(bootstrap: Bootstrap): BootstrapMessage {
  const { node, admin, dynamic, tracing } = bootstrap;
  return create(BootstrapSchema, {
    node: create(NodeSchema, { ...node, metadata: { ...node.metadata } as JsonObject }),
    staticResources: {
      listeners: [...bootstrap.static.listeners.values()].map(listenerCodec.encode),
      clusters: [...bootstrap.static.clusters.values()].map(clusterCodec.encode),
      secrets: [...bootstrap.static.secrets.values()].map(secretCodec.encode),
    },
    ...(admin ? { admin: { address: encodeAddress(admin.address) } } : {}),
    ...(dynamic ? { dynamicResources: encodeDynamic(dynamic) } : {}),
    ...(tracing ? { tracing: { http: encodeTracingProvider(tracing) } } : {}),
  });
}

function encodeDynamic(dynamic: DynamicResources): Bootstrap_DynamicResources {
  return {
    $typeName: "envoy.config.bootstrap.v3.Bootstrap.DynamicResources",
    ...(dynamic.ads ? { adsConfig: encodeApiConfigSource(dynamic.ads) } : {}),
    ...(dynamic.listeners ? { ldsConfig: encodeConfigSource(dynamic.listeners) } : {}),
    ...(dynamic.clusters ? { cdsConfig: encodeConfigSource(dynamic.clusters) } : {}),
  };
}
