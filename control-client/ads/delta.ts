/** The Delta variant: requests and responses say only what changes, and each resource has a version of its own. */

import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import {
  DeltaDiscoveryRequestSchema,
  DeltaDiscoveryResponseSchema,
} from "../../generated/envoy/service/discovery/v3/discovery_pb.js";
import type { NodeIdentity } from "../../model/bootstrap.ts";
import type { ResourceKind } from "../../xds/resources.ts";
import { FACTS } from "../resources.ts";
import { errorDetail } from "./error-detail.ts";
import type { Examined, Inventory } from "./inventory.ts";
import { nodeMessage } from "./node.ts";
import { type Subscription, Subscriptions } from "./subscription.ts";
import { unwrap } from "./unwrap.ts";
import type { Incoming, Settled, Variant } from "./variant.ts";

const WILDCARD = "*";

export class Delta implements Variant {
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
      if (!subscription.idle) requests.push(this.#first(subscription));
    }
    return requests;
  }

  close(): void {
    this.#open = false;
  }

  want(kind: ResourceKind, names: ReadonlySet<string>): Uint8Array[] {
    const subscription = this.#subscriptions.ensure(kind);
    const { added, dropped } = subscription.wildcard ? { added: [], dropped: [] } : subscription.rename(names);
    if (!this.#open) return [];
    if (!subscription.asked) return subscription.idle ? [] : [this.#first(subscription)];
    if (added.length === 0 && dropped.length === 0) return [];
    return [
      this.#request(subscription, {
        resourceNamesSubscribe: added.sort(),
        resourceNamesUnsubscribe: dropped.sort(),
      }),
    ];
  }

  ask(kind: ResourceKind, names: readonly string[], dropped: readonly string[]): Uint8Array[] {
    const subscription = this.#subscriptions.ensure(kind);
    for (const name of names) subscription.besides.add(name);
    for (const name of dropped) subscription.besides.delete(name);
    // What a stream begins with has all names.
    if (!this.#open || !subscription.asked) return [];
    const request = { resourceNamesSubscribe: [...names], resourceNamesUnsubscribe: [...dropped] };
    return [this.#request(subscription, request)];
  }

  inventory<K extends ResourceKind>(kind: K): Inventory<K> | undefined {
    return this.#subscriptions.get(kind)?.inventory;
  }

  parse(message: Uint8Array): Incoming {
    const response = fromBinary(DeltaDiscoveryResponseSchema, message);
    return {
      typeUrl: response.typeUrl,
      version: response.systemVersionInfo,
      nonce: response.nonce,
      items: response.resources.map((wrapper) => unwrap(wrapper, wrapper.version)),
      removed: response.removedResources,
      server: response.controlPlane?.identifier ?? "",
    };
  }

  settle<K extends ResourceKind>(kind: K, incoming: Incoming, examined: Examined<K>): Settled {
    const subscription = this.#subscriptions.ensure(kind);
    const { problems, refused } = examined;
    const aliases = incoming.items.flatMap((item) => item.aliases ?? []);
    const update = { ...subscription.take(incoming.version, examined, incoming.removed), aliases };
    const detail = errorDetail(problems);
    return {
      reply: this.#request(subscription, { responseNonce: incoming.nonce, ...(detail ? { errorDetail: detail } : {}) }),
      update: update as Settled["update"],
      problems,
      refused: [...refused],
    };
  }

  /** The first request of a kind on a stream: all names, and what is held from earlier streams. */
  #first(subscription: Subscription<ResourceKind>): Uint8Array {
    const { besides } = subscription;
    return this.#request(subscription, {
      // A first request that names anything means the whole only if it says so.
      resourceNamesSubscribe: besides.size > 0 ? [WILDCARD, ...besides] : [...subscription.names].sort(),
      initialResourceVersions: subscription.inventory.versions(),
    });
  }

  #request(
    subscription: Subscription<ResourceKind>,
    fields: MessageInitShape<typeof DeltaDiscoveryRequestSchema>,
  ): Uint8Array {
    const request = create(DeltaDiscoveryRequestSchema, fields);
    request.typeUrl = FACTS[subscription.kind].typeUrl;
    if (!this.#introduced) request.node = this.#node;
    this.#introduced = true;
    subscription.asked = true;
    return toBinary(DeltaDiscoveryRequestSchema, request);
  }
}
