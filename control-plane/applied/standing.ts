/** How a sidecar stands to a change of resources: whether it concerns it, and whether it has accepted it. */
import type { Session } from "../ads/session.ts";
import type { Subscription } from "../ads/subscription.ts";
import type { CacheChange } from "../cache-change.ts";

export interface Standing {
  /** `unconcerned`: it has none of these resources and is not about to. */
  readonly state: "unconcerned" | "applied" | "pending" | "refused";
  /** Why it was refused; "" otherwise. */
  readonly message: string;
}

const UNCONCERNED: Standing = { state: "unconcerned", message: "" };
const APPLIED: Standing = { state: "applied", message: "" };
const PENDING: Standing = { state: "pending", message: "" };

export function standingOf(session: Session, changes: readonly CacheChange[]): Standing {
  let concerned = false;
  let pending = false;
  for (const { shared, nodes } of changes) {
    for (const touched of [shared, nodes.get(session.nodeId)]) {
      for (const [kind, names] of touched ?? []) {
        if (!session.has(kind)) continue;
        const subscription = session.subscription(kind);
        if (!names.isDisjointFrom(subscription.refused))
          return { state: "refused", message: subscription.nack?.message ?? "" };
        pending ||= isPending(subscription, names);
        concerned ||= !names.isDisjointFrom(subscription.held);
      }
    }
  }
  if (pending) return PENDING;
  return concerned ? APPLIED : UNCONCERNED;
}

function isPending({ dirty, unanswered }: Subscription, names: ReadonlySet<string>): boolean {
  return !names.isDisjointFrom(dirty) || unanswered.some((response) => response.names.some((name) => names.has(name)));
}
