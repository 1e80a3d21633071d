/** A breaker's changes of state in words, with the arithmetic. */
import type { BreakerPolicy, ClusterExtension } from "../../model/cluster.ts";
import { type ClusterEvent, type ClusterEventKind, formatDuration, formatPercent } from "./events.ts";
import type { CircuitState } from "./opossum-circuit.ts";
import type { WindowTotals } from "./rolling-window.ts";

const KIND: Record<CircuitState, ClusterEventKind> = {
  open: "breaker_opened",
  half_open: "breaker_half_open",
  closed: "breaker_closed",
};

export function breakerEvent(
  cluster: string,
  before: CircuitState,
  after: CircuitState,
  totals: WindowTotals,
  policy: BreakerPolicy,
  mode: ClusterExtension["mode"],
): ClusterEvent {
  const what = describe(before, after, totals, policy);
  const message = mode === "dry_run" ? `${what} (dry run: no call is refused)` : what;
  return { kind: KIND[after], cluster, endpoint: "", message };
}

function describe(before: CircuitState, after: CircuitState, totals: WindowTotals, policy: BreakerPolicy): string {
  const openFor = formatDuration(policy.openForMs);
  if (after === "half_open") return `half-open after ${openFor}: one call is let through`;
  if (after === "closed") return "closed: the call that was let through succeeded";
  if (before === "half_open") return `opened again for ${openFor}: the call that was let through failed`;
  const { calls, failures } = totals;
  const percent = calls === 0 ? 0 : (failures / calls) * 100;
  return (
    `opened for ${openFor}: ${failures} of ${calls} calls failed ` +
    `(${formatPercent(percent)} > ${formatPercent(policy.errorPercent)}) in ${formatDuration(policy.windowMs)}`
  );
}
