/** What Outrigger's control plane says about a listener beyond Envoy: `metadata.filter_metadata["outrigger"]`. */
import type { JsonObject } from "@bufbuild/protobuf";
import type { Metadata } from "../generated/envoy/config/core/v3/base_pb.js";
import type { ListenerExtension } from "../model/listener.ts";
import { ObjectReader } from "./json-object.ts";
import { metadataOf, OUTRIGGER } from "./metadata.ts";
import type { Place } from "./place.ts";

/** null: plain Envoy. */
export function decodeListenerExtension(metadata: Metadata | undefined, at: Place): ListenerExtension | null {
  const json = metadataOf(metadata, OUTRIGGER);
  if (!json) return null;
  const reader = new ObjectReader(json, at.entry("filter_metadata", OUTRIGGER));
  const extension: ListenerExtension = {
    service: reader.object("service", (service) => ({
      name: service.string("name", ""),
      namespace: service.string("namespace", ""),
      port: service.number("port", 0),
      portName: service.string("port_name", ""),
    })),
    httpProxy: reader.boolean("http_proxy", false),
    multiplex: reader.boolean("multiplex", false),
  };
  reader.end();
  return extension;
}

export function encodeListenerExtension({ service, httpProxy, multiplex }: ListenerExtension): JsonObject {
  return {
    ...(service
      ? {
          service: {
            name: service.name,
            namespace: service.namespace,
            port: service.port,
            port_name: service.portName,
          },
        }
      : {}),
    http_proxy: httpProxy,
    ...(multiplex ? { multiplex } : {}),
  };
}
