/**
 * State-of-the-World xDS: a response for clusters or listeners is the whole set, and what it leaves out is removed; for
 * the other kinds it holds what changed, and absence means nothing.
 */
import { hash } from "node:crypto";
import type { EncodedResource } from "../resource.ts";
import type { Subscription } from "./subscription.ts";
import type { Half, ResourceView, Response, Variant } from "./variant.ts";

export const stateOfTheWorld: Variant = {
  name: "sotw",
  respond(subscription, half, view) {
    const whole = subscription.kind === "cluster" || subscription.kind === "listener";
    return whole ? respondWhole(subscription, half, view) : respondPart(subscription, view);
  },
};

/**
 * The version of all that a subscription would hold: equal sets have equal versions, so that a client that comes back
 * with it (after a restart of either side) needs nothing.
 */
export function worldVersion(subscription: Subscription, view: ResourceView): string {
  const digest = wantedResources(subscription, view)
    .map(({ name, version }) => `${name}=${version}`)
    .sort()
    .join("\n");
  return hash("sha256", digest).slice(0, 16);
}

/** Takes note that the client holds everything as it is now. */
export function holdWorld(subscription: Subscription, view: ResourceView): void {
  for (const resource of wantedResources(subscription, view)) {
    subscription.held.set(resource.name, resource);
  }
  subscription.dirty.clear();
  subscription.answered = true;
}

function wantedResources(subscription: Subscription, view: ResourceView): readonly EncodedResource[] {
  const names = subscription.wildcard ? view.names(subscription) : [...subscription.names];
  return names.flatMap((name) => view.lookup(subscription, name) ?? []);
}

function respondWhole(subscription: Subscription, half: Half, view: ResourceView): Response | null {
  const wanted = wantedResources(subscription, view);
  const current = new Set(wanted.map(({ name }) => name));
  const gone = [...subscription.held].filter(([name]) => !current.has(name));
  const added = wanted.some(({ name, version }) => subscription.held.get(name)?.version !== version);
  const due =
    half === "removals" ? gone.length > 0 : added || !subscription.answered || (half === "both" && gone.length > 0);
  if (!due) {
    if (gone.length === 0) subscription.dirty.clear();
    return null;
  }
  // With the additions, what is to go stays: it goes once nothing refers to it any more.
  const kept = half === "additions" ? gone.flatMap(([, held]) => (held.bytes === null ? [] : held)) : [];
  if (half !== "additions") for (const [name] of gone) subscription.held.delete(name);
  for (const resource of wanted) subscription.held.set(resource.name, resource);
  subscription.dirty.clear();
  for (const { name } of kept) subscription.dirty.add(name);
  const version = worldVersion(subscription, view);
  return {
    resources: [...wanted, ...kept],
    removed: [],
    version: kept.length > 0 ? `${version}+${kept.length}` : version,
  };
}

function respondPart(subscription: Subscription, view: ResourceView): Response | null {
  const resources: EncodedResource[] = [];
  for (const name of subscription.dirty) {
    const resource = subscription.wants(name) ? view.lookup(subscription, name) : undefined;
    if (!resource) subscription.held.delete(name);
    else if (subscription.held.get(name)?.version !== resource.version) {
      subscription.held.set(name, resource);
      resources.push(resource);
    }
  }
  subscription.dirty.clear();
  if (resources.length === 0) return null;
  return { resources, removed: [], version: worldVersion(subscription, view) };
}
