/** What interception needs besides rules: the address from which inbound calls are handed on, and TPROXY's routing. */
import { INBOUND_SOURCE } from "../../model/interception.ts";
import { TPROXY_MARK } from "./rules.ts";
import type { Family, Interception } from "./settings.ts";

/** One thing that `ip` adds and removes. */
export interface RoutingObject {
  readonly reason: string;
  readonly show: readonly string[];
  /** What `show` prints where it is there. */
  readonly present: RegExp;
  /** And where it is ours, if somebody else may have put the same there. */
  readonly own?: RegExp;
  readonly add: readonly string[];
  readonly remove: readonly string[];
}

/** Number of the routing table, and of the rule that leads to it: nobody else's. */
const TABLE = String(TPROXY_MARK);
const MARK = `0x${TPROXY_MARK.toString(16)}`;

/**
 * IPv4 has all of 127.0.0.0/8 on `lo`, IPv6 only ::1. "Deprecated" (`preferred_lft 0`) keeps the kernel from choosing it
 * by itself as anybody's source, and tells it from one that somebody else has put there.
 */
const SOURCE_ADDRESS: RoutingObject = {
  reason: "the address from which the sidecar hands inbound calls on",
  show: ["-6", "-o", "address", "show", "dev", "lo", "to", `${INBOUND_SOURCE[6]}/128`],
  present: /inet6/,
  own: /deprecated/,
  add: ["-6", "address", "add", `${INBOUND_SOURCE[6]}/128`, "dev", "lo", "preferred_lft", "0", "nodad"],
  remove: ["-6", "address", "del", `${INBOUND_SOURCE[6]}/128`, "dev", "lo"],
};

function markedRule(family: Family): RoutingObject {
  const what = ["priority", TABLE, "fwmark", MARK, "lookup", TABLE];
  return {
    reason: "marked packets have a routing table of their own",
    show: [`-${family}`, "rule", "show", "priority", TABLE],
    present: new RegExp(`fwmark ${MARK} lookup ${TABLE}`),
    add: [`-${family}`, "rule", "add", ...what],
    remove: [`-${family}`, "rule", "del", ...what],
  };
}

function localRoute(family: Family): RoutingObject {
  const what = ["local", "default", "dev", "lo", "table", TABLE];
  return {
    reason: "in which every address is this machine's",
    show: [`-${family}`, "route", "show", "table", TABLE],
    present: /local default dev lo/,
    add: [`-${family}`, "route", "add", ...what],
    remove: [`-${family}`, "route", "del", ...what],
  };
}

/** All that may have been added, in the order in which it is. */
export function allRouting(family: Family): readonly RoutingObject[] {
  const transparent = [localRoute(family), markedRule(family)];
  return family === 6 ? [SOURCE_ADDRESS, ...transparent] : transparent;
}

/** Whether `settings` need it. */
export function isNeeded(object: RoutingObject, settings: Interception): boolean {
  return object === SOURCE_ADDRESS || settings.inboundMode === "tproxy";
}
