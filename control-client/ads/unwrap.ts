/** A resource out of its wrapper, `envoy.service.discovery.v3.Resource`. */
import type { Resource } from "../../generated/envoy/service/discovery/v3/discovery_pb.js";
import type { Item } from "./inventory.ts";

/** `version` is the wrapper's own, or the response's where resources have none of their own. */
export function unwrap({ name, resource, aliases, ttl }: Resource, version: string): Item {
  const item: Item = {
    name,
    version,
    resource: resource ?? { typeUrl: "", value: new Uint8Array() },
    ...(aliases.length > 0 && { aliases }),
  };
  // Serving it beyond its time would be wrong, and so would be dropping it for want of the heartbeats.
  return ttl ? { ...item, problem: "a time to live (ttl) is not supported" } : item;
}
