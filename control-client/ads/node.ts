/** The `Node` message by which a proxy introduces itself on the first request of a stream. */
import { create, type JsonObject, type MessageShape } from "@bufbuild/protobuf";
import { NodeSchema } from "../../generated/envoy/config/core/v3/base_pb.js";
import type { NodeIdentity } from "../../model/bootstrap.ts";

/** `user_agent_version` is Outrigger's own version, for the control plane's records. */
export function nodeMessage(node: NodeIdentity, userAgentVersion: string): MessageShape<typeof NodeSchema> {
  const { region, zone, subZone } = node.locality;
  return create(NodeSchema, {
    id: node.id,
    cluster: node.cluster,
    metadata: node.metadata as JsonObject,
    ...(region || zone || subZone ? { locality: { region, zone, subZone } } : {}),
    userAgentName: "outrigger",
    userAgentVersionType: { case: "userAgentVersion", value: userAgentVersion },
    // A State-of-the-World response may wrap its resources, with their names, in `Resource`.
    clientFeatures: ["xds.config.resource-in-sotw"],
  });
}
