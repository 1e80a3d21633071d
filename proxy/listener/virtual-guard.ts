/** What a virtual listener turns away before anything else: what was not intercepted, and what would go round for ever. */
import { isLoopback } from "../../core/ip.ts";
import { INBOUND_SOURCE } from "../../model/interception.ts";
import type { Listener } from "../../model/listener.ts";
import type { OwnConnections } from "../endpoint/own-connections.ts";
import type { Arrival } from "./arrival.ts";
import { type Refusal, refusals } from "./refusal.ts";

export type VirtualGuard = (arrival: Arrival) => Refusal | null;

/** null for a listener that is not virtual. */
export function compileVirtualGuard(listener: Listener, own: OwnConnections): VirtualGuard | null {
  const kind = listener.outrigger?.virtual?.kind;
  if (kind === undefined) return null;
  const isItself = compileIsItself(listener);
  return (arrival) => {
    if (!arrival.restored) return refusals.notIntercepted(arrival);
    if (isItself(arrival)) return refusals.toItself(arrival);
    return comesBack(arrival, kind, own) ? refusals.fromItself(arrival) : null;
  };
}

/** Whether a connection was going to the listener that it has come to. */
function compileIsItself({ address, additionalAddresses }: Listener): (arrival: Arrival) => boolean {
  const places = [address, ...(additionalAddresses ?? [])].filter((place) => place.kind === "tcp");
  return ({ destinationAddress, destinationPort }) =>
    places.some(
      ({ host, port }) =>
        port === destinationPort &&
        (host === destinationAddress || host === "::" || host === "0.0.0.0" || isLoopback(destinationAddress)),
    );
}

/**
 * Whether the sidecar opened the connection itself. That its outbound calls come in again is as it should be: the balancer
 * has chosen this very workload. But what it hands on to the application, and what it lets out, must not come back.
 */
function comesBack(
  { sourceAddress, sourcePort, destinationAddress, destinationPort }: Arrival,
  kind: "inbound" | "outbound",
  own: OwnConnections,
): boolean {
  if (sourceAddress === INBOUND_SOURCE[4] || sourceAddress === INBOUND_SOURCE[6]) return true;
  return (
    kind === "outbound" &&
    own.has({ host: sourceAddress, port: sourcePort }, { host: destinationAddress, port: destinationPort })
  );
}
