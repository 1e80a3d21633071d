/** What a request asks of a session, in either variant. */
import type {
  DeltaDiscoveryRequest,
  DiscoveryRequest,
} from "../../generated/envoy/service/discovery/v3/discovery_pb.js";
import type { ResourceKind } from "../../xds/resources.ts";
import type { Session } from "./session.ts";
import { holdWorld, worldVersion } from "./state-of-the-world.ts";
import type { Subscription } from "./subscription.ts";

const WILDCARD = "*";

/** Kinds whose first request, if it names nothing, means everything (the protocol's legacy wildcard). */
const WHOLE_KINDS: ReadonlySet<ResourceKind> = new Set(["cluster", "listener"]);

/** Takes a State-of-the-World request. */
export function takeSotwRequest(session: Session, kind: ResourceKind, request: DiscoveryRequest): void {
  const first = !session.has(kind);
  const subscription = session.subscription(kind);
  if (first) {
    follow(subscription, request.resourceNames, WHOLE_KINDS.has(kind), session);
    const unchanged = request.versionInfo !== "" && request.versionInfo === worldVersion(subscription, session.view);
    if (unchanged) {
      holdWorld(subscription, session.view);
      subscription.acked = request.versionInfo;
    }
    return;
  }
  // An answer to an older response: the client will answer the newer one too, with all the names that it then wants.
  if (subscription.outstanding !== null && request.responseNonce !== subscription.outstanding.nonce) return;
  session.answer(kind, request.responseNonce, request.errorDetail?.message ?? null);
  const legacyWildcard = subscription.wildcard && subscription.names.size === 0;
  follow(subscription, request.resourceNames, legacyWildcard, session);
}

/** Makes the subscription what a State-of-the-World request says that it is. */
function follow(subscription: Subscription, names: readonly string[], emptyIsAll: boolean, session: Session): void {
  const wanted = new Set(names);
  const wildcard = wanted.delete(WILDCARD) || (wanted.size === 0 && emptyIsAll);
  if (wildcard && !subscription.wildcard)
    for (const name of session.view.names(subscription)) subscription.dirty.add(name);
  subscription.wildcard = wildcard;
  for (const name of [...subscription.names]) if (!wanted.has(name)) subscription.unsubscribe(name);
  for (const name of wanted) if (!subscription.names.has(name)) subscription.subscribe(name);
}

/** Takes a Delta request. */
export function takeDeltaRequest(session: Session, kind: ResourceKind, request: DeltaDiscoveryRequest): void {
  const first = !session.has(kind);
  const subscription = session.subscription(kind);
  const wanted = new Set(request.resourceNamesSubscribe);
  const asksForAll = wanted.delete(WILDCARD) || (first && wanted.size === 0 && WHOLE_KINDS.has(kind));
  if (first) {
    if (WHOLE_KINDS.has(kind)) session.keep(Object.keys(request.initialResourceVersions));
    for (const [name, version] of Object.entries(request.initialResourceVersions)) {
      const current = session.view.lookup(subscription, name);
      // What is held as it is now is kept as the resource itself: its strings are not those of this request again.
      if (current?.version === version && current.name === name) subscription.held.set(current.name, current);
      else {
        subscription.held.set(name, { version, bytes: null });
        subscription.dirty.add(name);
      }
    }
  }
  if (asksForAll && !subscription.wildcard) {
    subscription.wildcard = true;
    for (const name of session.view.names(subscription)) if (!subscription.held.has(name)) subscription.dirty.add(name);
  }
  for (const name of wanted) {
    // Asking again for what one has means: send it again (xDS, "subscribing to resources").
    if (!first) subscription.held.delete(name);
    if (kind === "listener") session.ask(name);
    const current = session.view.lookup(subscription, name);
    subscription.subscribe(current?.name === name ? current.name : name);
    if (current !== undefined && subscription.held.get(name) === current) subscription.dirty.delete(name);
  }
  for (const name of request.resourceNamesUnsubscribe) {
    if (name === WILDCARD) subscription.wildcard = false;
    else {
      if (kind === "listener") session.unask(name);
      subscription.unsubscribe(name);
    }
  }
  if (request.responseNonce !== "") {
    session.answer(kind, request.responseNonce, request.errorDetail?.message ?? null);
  }
}
