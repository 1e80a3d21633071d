/** Both variants of the protocol as a server sees them, in one shape, so that one script drives either. */

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { Node } from "../../generated/envoy/config/core/v3/base_pb.js";
import {
  DeltaDiscoveryRequestSchema,
  DeltaDiscoveryResponseSchema,
  DiscoveryRequestSchema,
  DiscoveryResponseSchema,
} from "../../generated/envoy/service/discovery/v3/discovery_pb.js";
import { kindOf, type ResourceKind } from "../../xds/resources.ts";
import type { EncodedResource } from "../ads/decoder.ts";
import { FACTS } from "../resources.ts";

/** A request as a script looks at it. */
export interface SeenRequest {
  readonly kind: ResourceKind | undefined;
  readonly nonce: string;
  /** `error_detail.message`, null for an ACK or a plain request. */
  readonly error: string | null;
  readonly node: Node | undefined;
  /** State-of-the-World: `version_info`. */
  readonly version: string;
  /** State-of-the-World: `resource_names`; delta: `resource_names_subscribe`. */
  readonly names: readonly string[];
  /** Delta only. */
  readonly unsubscribed: readonly string[];
  readonly initialVersions: Readonly<Record<string, string>>;
}

export interface ScriptedResponse {
  readonly kind: ResourceKind;
  readonly version: string;
  readonly nonce: string;
  /** For State-of-the-World the whole of what the response lists. */
  readonly resources: readonly { readonly name: string; readonly any: EncodedResource }[];
  readonly removed?: readonly string[];
}

export interface Wire {
  readonly name: "state_of_the_world" | "delta";
  request(bytes: Uint8Array): SeenRequest;
  response(response: ScriptedResponse): Uint8Array;
}

const stateOfTheWorld: Wire = {
  name: "state_of_the_world",
  request(bytes) {
    const message = fromBinary(DiscoveryRequestSchema, bytes);
    return {
      kind: kindOf(message.typeUrl),
      nonce: message.responseNonce,
      error: message.errorDetail?.message ?? null,
      node: message.node,
      version: message.versionInfo,
      names: message.resourceNames,
      unsubscribed: [],
      initialVersions: {},
    };
  },
  response: ({ kind, version, nonce, resources }) =>
    toBinary(
      DiscoveryResponseSchema,
      create(DiscoveryResponseSchema, {
        typeUrl: FACTS[kind].typeUrl,
        versionInfo: version,
        nonce,
        resources: resources.map(({ any }) => any),
        controlPlane: { identifier: "scripted" },
      }),
    ),
};

const delta: Wire = {
  name: "delta",
  request(bytes) {
    const message = fromBinary(DeltaDiscoveryRequestSchema, bytes);
    return {
      kind: kindOf(message.typeUrl),
      nonce: message.responseNonce,
      error: message.errorDetail?.message ?? null,
      node: message.node,
      version: "",
      names: message.resourceNamesSubscribe,
      unsubscribed: message.resourceNamesUnsubscribe,
      initialVersions: message.initialResourceVersions,
    };
  },
  response: ({ kind, version, nonce, resources, removed }) =>
    toBinary(
      DeltaDiscoveryResponseSchema,
      create(DeltaDiscoveryResponseSchema, {
        typeUrl: FACTS[kind].typeUrl,
        systemVersionInfo: version,
        nonce,
        resources: resources.map(({ name, any }) => ({ name, version, resource: any })),
        removedResources: [...(removed ?? [])],
        controlPlane: { identifier: "scripted" },
      }),
    ),
};

export const WIRES: readonly Wire[] = [stateOfTheWorld, delta];
