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
        if (meet(names, subscription.refused)) return { state: "refused", message: subscription.nack?.message ?? "" };
        pending ||= isPending(subscription, names);
        concerned ||= meet(names, subscription.held);
      }
    }
  }
  if (pending) return PENDING;
  return concerned ? APPLIED : UNCONCERNED;
}

function isPending({ dirty, unanswered }: Subscription, names: ReadonlySet<string>): boolean {
  return meet(names, dirty) || unanswered.some((response) => response.names.some((name) => names.has(name)));
}

type Names = Pick<ReadonlySet<string>, "has" | "keys" | "size">;

/** Whether two have a name in common: a first change is of everything, and a big mesh has many names. */
function meet(a: Names, b: Names): boolean {
  const [few, many] = a.size < b.size ? [a, b] : [b, a];
  for (const name of few.keys()) if (many.has(name)) return true;
  return false;
}
