/** Delta xDS: a response holds what changed, resource by resource, and names what is gone. */
import type { EncodedResource } from "../resource.ts";
import { ABSENT, HELD_ABSENT, type Subscription } from "./subscription.ts";
import type { Half, ResourceView, Response, Variant } from "./variant.ts";

/** A first push of a big mesh is sent in parts, so that no message approaches gRPC's default limit of 4 MB. */
const MAX_RESPONSE_BYTES = 2 * 1024 * 1024;

export const delta: Variant = {
  name: "delta",
  respond(subscription, half, view) {
    const resources = half === "removals" ? [] : takeAdditions(subscription, view);
    const removed = half === "additions" ? [] : takeRemovals(subscription, view);
    const first = !subscription.answered && subscription.wildcard && subscription.held.size === 0;
    if (resources.length === 0 && removed.length === 0 && !(first && isFirstHalf(half))) return null;
    return { resources, removed, version: String(view.revision) } satisfies Response;
  },
};

function isFirstHalf(half: Half): boolean {
  return half !== "removals";
}

function takeAdditions(subscription: Subscription, view: ResourceView): readonly EncodedResource[] {
  const resources = new Map<string, EncodedResource>();
  let bytes = 0;
  for (const name of subscription.dirty) {
    const resource = subscription.wants(name) ? view.lookup(subscription, name) : undefined;
    if (!resource) continue;
    if (bytes > MAX_RESPONSE_BYTES) break;
    subscription.dirty.delete(name);
    const isAlias = name !== resource.name;
    const held = subscription.held.get(name)?.version;
    // Who has asked by another name only has to know once that there is such a resource.
    if (isAlias ? held !== undefined && held !== ABSENT : held === resource.version) continue;
    subscription.held.set(name, resource);
    const known = resources.get(resource.name);
    if (known === undefined) bytes += resource.bytes.length;
    const aliases = [...(known?.aliases ?? []), ...(isAlias ? [name] : [])];
    resources.set(resource.name, aliases.length === 0 ? resource : { ...resource, aliases });
    // It comes with its alias: not once more for its own name.
    if (isAlias) subscription.held.set(resource.name, resource);
  }
  return [...resources.values()];
}

function takeRemovals(subscription: Subscription, view: ResourceView): readonly string[] {
  const removed: string[] = [];
  for (const name of subscription.dirty) {
    if (subscription.wants(name) && view.lookup(subscription, name)) continue;
    subscription.dirty.delete(name);
    const held = subscription.held.get(name);
    // A secret that is not served here is the client's own affair: its certificate comes from the CA.
    const askedFor = subscription.names.has(name) && subscription.kind !== "secret";
    if (askedFor ? held?.version === ABSENT : held === undefined) continue;
    if (askedFor) subscription.held.set(name, HELD_ABSENT);
    else subscription.held.delete(name);
    removed.push(name);
  }
  return removed;
}
