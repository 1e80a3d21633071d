/** What Outrigger's control plane says about a listener beyond Envoy: `metadata.filter_metadata["outrigger"]`. */
import type { JsonObject } from "@bufbuild/protobuf";
import type { Metadata } from "../generated/envoy/config/core/v3/base_pb.js";
import type { Detection, ListenerExtension, OnDemand } from "../model/listener.ts";
import { ObjectReader } from "./json-object.ts";
import { metadataOf, OUTRIGGER } from "./metadata.ts";
import type { Place } from "./place.ts";

/** Where the control plane asks for detection without saying after how long. */
const SERVER_FIRST_AFTER_MS = 100;
/** Where it lets sidecars ask without saying for how long. */
const ON_DEMAND_TIMEOUT_MS = 2000;

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
    ...optional("detection", reader.object("detection", decodeDetection)),
    ...optional("virtual", reader.object("virtual", decodeVirtual)),
    ...optional("onDemand", reader.object("on_demand", decodeOnDemand)),
  };
  reader.end();
  return extension;
}

function decodeDetection(reader: ObjectReader): Detection {
  return { serverFirstAfterMs: reader.number("server_first_after_ms", SERVER_FIRST_AFTER_MS) };
}

function decodeVirtual(reader: ObjectReader): NonNullable<ListenerExtension["virtual"]> {
  const kind = reader.word("kind", ["outbound", "inbound"], "outbound");
  return kind === "inbound" ? { kind } : { kind, registryOnly: reader.boolean("registry_only", false) };
}

function decodeOnDemand(reader: ObjectReader): OnDemand {
  return {
    timeoutMs: reader.number("timeout_ms", ON_DEMAND_TIMEOUT_MS),
    virtualHost: reader.string("virtual_host", ""),
  };
}

/** A field that is there only if it has a value. */
function optional<K extends string, T>(name: K, value: T | null): { readonly [P in K]?: T } {
  return value === null ? {} : ({ [name]: value } as { readonly [P in K]: T });
}

export function encodeListenerExtension(extension: ListenerExtension): JsonObject {
  const { service, httpProxy, multiplex, detection, virtual, onDemand } = extension;
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
    ...(detection ? { detection: { server_first_after_ms: detection.serverFirstAfterMs } } : {}),
    ...(virtual ? { virtual: encodeVirtual(virtual) } : {}),
    ...(onDemand ? { on_demand: { timeout_ms: onDemand.timeoutMs, virtual_host: onDemand.virtualHost } } : {}),
  };
}

function encodeVirtual(virtual: NonNullable<ListenerExtension["virtual"]>): JsonObject {
  return virtual.kind === "inbound" ? { kind: "inbound" } : { kind: "outbound", registry_only: virtual.registryOnly };
}
