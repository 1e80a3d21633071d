/**
 * The State-of-the-World variant. A request always lists all names; a response lists everything for clusters and
 * listeners (so absence is removal), but only what changed for kinds that are fetched by name.
 */

import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import {
  DiscoveryRequestSchema,
  DiscoveryResponseSchema,
  ResourceSchema,
} from "../../generated/envoy/service/discovery/v3/discovery_pb.js";
import type { NodeIdentity } from "../../model/bootstrap.ts";
import type { ResourceKind } from "../../xds/resources.ts";
import { FACTS } from "../resources.ts";
import type { EncodedResource } from "./decoder.ts";
import { errorDetail } from "./error-detail.ts";
import type { Examined, Inventory, Item } from "./inventory.ts";
import { nodeMessage } from "./node.ts";
import { type Subscription, Subscriptions } from "./subscription.ts";
import { unwrap } from "./unwrap.ts";
import type { Incoming, Settled, Variant } from "./variant.ts";

const RESOURCE_TYPE_URL = "type.googleapis.com/envoy.service.discovery.v3.Resource";

export class StateOfTheWorld implements Variant {
  readonly #node: ReturnType<typeof nodeMessage>;
  readonly #subscriptions = new Subscriptions();
  #open = false;
  #introduced = false;

  constructor(node: NodeIdentity, userAgentVersion: string) {
    this.#node = nodeMessage(node, userAgentVersion);
  }

  get holdsAny(): boolean {
    return [...this.#subscriptions].some((s) => s.inventory.size > 0);
  }

  open(): Uint8Array[] {
    this.#open = true;
    this.#introduced = false;
    const requests: Uint8Array[] = [];
    for (const subscription of this.#subscriptions) {
      subscription.beginStream();
      if (!subscription.idle) requests.push(this.#request(subscription, {}));
    }
    return requests;
  }

  close(): void {
    this.#open = false;
  }

  want(kind: ResourceKind, names: ReadonlySet<string>): Uint8Array[] {
    const isNew = this.#subscriptions.get(kind) === undefined;
    const subscription = this.#subscriptions.ensure(kind);
    const { added, dropped } = subscription.wildcard ? { added: [], dropped: [] } : subscription.rename(names);
    const changed = added.length > 0 || dropped.length > 0 || (isNew && subscription.wildcard);
    // An empty list as the first request would ask for everything.
    if (!this.#open || !changed || (subscription.idle && !subscription.asked)) return [];
    return [this.#request(subscription, {})];
  }

  ask(): Uint8Array[] {
    return [];
  }

  inventory<K extends ResourceKind>(kind: K): Inventory<K> | undefined {
    return this.#subscriptions.get(kind)?.inventory;
  }

  parse(message: Uint8Array): Incoming {
    const response = fromBinary(DiscoveryResponseSchema, message);
    return {
      typeUrl: response.typeUrl,
      version: response.versionInfo,
      nonce: response.nonce,
      items: response.resources.map((resource) => itemOf(resource, response.versionInfo)),
      removed: [],
      server: response.controlPlane?.identifier ?? "",
    };
  }

  settle<K extends ResourceKind>(kind: K, incoming: Incoming, examined: Examined<K>): Settled {
    const subscription = this.#subscriptions.ensure(kind);
    const { problems, refused } = examined;
    subscription.nonce = incoming.nonce;
    const present = (name: string): boolean => examined.entries.has(name) || refused.has(name);
    // A refused resource without a readable name could be any of those that seem to be absent.
    const removed =
      subscription.wildcard && !refused.has("") ? [...subscription.inventory.names()].filter((n) => !present(n)) : [];
    const update = subscription.take(incoming.version, examined, removed);
    return {
      reply: this.#request(subscription, { errorDetail: errorDetail(problems) }),
      update: update as Settled["update"],
      problems,
      refused: [...refused],
    };
  }

  #request(
    subscription: Subscription<ResourceKind>,
    extra: { errorDetail?: ReturnType<typeof errorDetail> },
  ): Uint8Array {
    const init: MessageInitShape<typeof DiscoveryRequestSchema> = {
      typeUrl: FACTS[subscription.kind].typeUrl,
      versionInfo: subscription.version,
      responseNonce: subscription.nonce,
      resourceNames: [...subscription.names].sort(),
    };
    if (!this.#introduced) init.node = this.#node;
    if (extra.errorDetail) init.errorDetail = extra.errorDetail;
    this.#introduced = true;
    subscription.asked = true;
    return toBinary(DiscoveryRequestSchema, create(DiscoveryRequestSchema, init));
  }
}

/** A resource comes as it is, or with its name in a wrapper. */
function itemOf(resource: EncodedResource, version: string): Item {
  if (resource.typeUrl !== RESOURCE_TYPE_URL) return { name: "", version, resource };
  return unwrap(fromBinary(ResourceSchema, resource.value), version);
}
