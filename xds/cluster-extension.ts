/** What Outrigger's control plane says about a cluster beyond Envoy: `metadata.filter_metadata["outrigger"]`. */
import type { JsonObject } from "@bufbuild/protobuf";
import type { Metadata } from "../generated/envoy/config/core/v3/base_pb.js";
import type { ClusterExtension } from "../model/cluster.ts";
import { ObjectReader } from "./json-object.ts";
import { metadataOf, OUTRIGGER } from "./metadata.ts";
import type { Place } from "./place.ts";

/** null: plain Envoy. */
export function decodeClusterExtension(metadata: Metadata | undefined, at: Place): ClusterExtension | null {
  const json = metadataOf(metadata, OUTRIGGER);
  if (!json) return null;
  const reader = new ObjectReader(json, at.entry("filter_metadata", OUTRIGGER));
  const extension: ClusterExtension = {
    breaker: reader.object("breaker", (breaker) => ({
      errorPercent: breaker.number("error_percent", 50),
      minimumCalls: breaker.number("minimum_calls", 20),
      windowMs: breaker.number("window_ms", 10_000),
      openForMs: breaker.number("open_for_ms", 5_000),
    })),
    probeBeforeReadmission: reader.boolean("probe_before_readmission", false),
    mode: reader.word("mode", ["enforce", "dry_run"], "enforce"),
    learnIdleTimeout: reader.boolean("learn_idle_timeout", false),
    multiplex: reader.boolean("multiplex", false),
    ...(reader.boolean("opaque", false) ? { opaque: true } : {}),
    service: reader.object("service", (service) => ({
      name: service.string("name", ""),
      namespace: service.string("namespace", ""),
      port: service.number("port", 0),
    })),
    source: reader.string("source", ""),
  };
  reader.end();
  return extension;
}

export function encodeClusterExtension(extension: ClusterExtension): JsonObject {
  const { breaker, service } = extension;
  return {
    ...(breaker
      ? {
          breaker: {
            error_percent: breaker.errorPercent,
            minimum_calls: breaker.minimumCalls,
            window_ms: breaker.windowMs,
            open_for_ms: breaker.openForMs,
          },
        }
      : {}),
    probe_before_readmission: extension.probeBeforeReadmission,
    mode: extension.mode,
    learn_idle_timeout: extension.learnIdleTimeout,
    ...(extension.multiplex ? { multiplex: true } : {}),
    ...(extension.opaque ? { opaque: true } : {}),
    ...(service ? { service: { ...service } } : {}),
    source: extension.source,
  };
}
