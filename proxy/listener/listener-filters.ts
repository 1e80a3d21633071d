/**
 * Listener filters as steps: each looks at a connection before its filter chain is chosen, in the order of the
 * configuration (`envoy.config.listener.v3.ListenerFilter`).
 */
import type { Listener, ListenerFilter, PortPredicate } from "../../model/listener.ts";
import { MORE, NOT_TLS, readClientHello } from "../sniff/client-hello.ts";
import { readEnvoyHttpLine } from "../sniff/envoy-http-line.ts";
import { NOT_HTTP, readHttpLine } from "../sniff/http-line.ts";
import type { Arrival } from "./arrival.ts";
import { needsClientHello } from "./filter-chain-match.ts";
import type { OriginalDestination } from "./original-destination.ts";

/** Whether it is done; false: it needs more of the client's bytes. */
export type ListenerStep = (arrival: Arrival) => boolean;

/** Whether the listener asks the kernel where its connections were going. */
export function restoresDestination({ listenerFilters, useOriginalDst }: Listener): boolean {
  return useOriginalDst === true || listenerFilters.some(({ kind }) => kind === "original_dst");
}

/** The steps of a listener; none for one that has nothing to look at. */
export function compileListenerFilters(listener: Listener, original: OriginalDestination): readonly ListenerStep[] {
  const { listenerFilters } = listener;
  const inspectHttp = compileHttpInspector(listener.outrigger === null ? readEnvoyHttpLine : readHttpLine);
  const stepOf: Readonly<Record<ListenerFilter["kind"], ListenerStep>> = {
    original_dst: restoreDestination(original),
    tls_inspector: inspectTls,
    http_inspector: inspectHttp,
  };
  const steps = listenerFilters.map(({ kind, disabled }) => unlessDisabled(stepOf[kind], disabled));
  const has = (kind: ListenerFilter["kind"]): boolean => listenerFilters.some((filter) => filter.kind === kind);
  // As in Envoy, these two come by themselves, last, where the rest of the configuration needs them.
  if (listener.useOriginalDst && !has("original_dst")) steps.push(stepOf.original_dst);
  if (!has("tls_inspector") && needsClientHello(listener)) steps.push(inspectTls);
  return steps;
}

function unlessDisabled(step: ListenerStep, disabled: PortPredicate | undefined): ListenerStep {
  if (disabled === undefined) return step;
  return (arrival) => includesPort(disabled, arrival.destinationPort) || step(arrival);
}

/** `ListenerFilterChainMatchPredicate`. */
export function includesPort(predicate: PortPredicate, port: number): boolean {
  switch (predicate.kind) {
    case "any":
      return true;
    case "ports":
      return port >= predicate.start && port < predicate.end;
    case "or":
      return predicate.of.some((part) => includesPort(part, port));
    case "and":
      return predicate.of.every((part) => includesPort(part, port));
    case "not":
      return !includesPort(predicate.of, port);
  }
}

const restoreDestination =
  (original: OriginalDestination): ListenerStep =>
  (arrival) => {
    const destination = original.of(arrival.socket);
    if (destination !== null) arrival.restore(destination);
    return true;
  };

/** Finds TLS, the server's name and the protocols that the client offers. */
export const inspectTls: ListenerStep = (arrival) => {
  if (arrival.head === null) return false;
  const hello = readClientHello(arrival.head);
  if (hello === MORE) return false;
  if (hello === NOT_TLS) return true;
  arrival.transportProtocol = "tls";
  arrival.hello = hello;
  arrival.applicationProtocols = hello.alpn;
  return true;
};

/** Finds HTTP in plaintext; what is encrypted says so by ALPN. */
const compileHttpInspector =
  (read: typeof readHttpLine): ListenerStep =>
  (arrival) => {
    if (arrival.transportProtocol === "tls") return true;
    if (arrival.head === null) return false;
    const protocol = read(arrival.head);
    if (protocol === MORE) return false;
    if (protocol !== NOT_HTTP) arrival.applicationProtocols = [protocol];
    return true;
  };
