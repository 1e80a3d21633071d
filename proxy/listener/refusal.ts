/** Connections that a listener turns away before any filter chain serves them: why, in a word for metrics and a sentence. */
import type { Listener } from "../../model/listener.ts";
import type { Arrival } from "./arrival.ts";

export type RefusalReason =
  /** No chain takes the connection. */
  | "no_filter_chain"
  /** The mesh does not know where it was going, and nothing else may be called. */
  | "registry_only"
  /** As `registry_only`, but the control plane was asked and has not answered. */
  | "unanswered"
  /** Plaintext, where only mutual TLS is served. */
  | "plaintext_refused"
  /** It was not intercepted, and so was going nowhere. */
  | "not_intercepted"
  /** It came from this sidecar, or was going to it. */
  | "loop"
  /** The client did not say in time what it speaks. */
  | "timeout";

export interface Refusal {
  readonly reason: RefusalReason;
  /** For operators, as a sentence that stands alone. */
  readonly explanation: string;
}

const hostPort = (host: string, port: number): string => (host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`);

export const refusals = {
  noFilterChain: (arrival: Arrival): Refusal => ({
    reason: "no_filter_chain",
    explanation: `no filter chain takes ${describe(arrival)} to ${destinationOf(arrival)}`,
  }),
  noFilters: (chain: string): Refusal => ({
    reason: "no_filter_chain",
    explanation: `the filter chain "${chain}" has no filters`,
  }),
  registryOnly: (arrival: Arrival): Refusal => ({
    reason: "registry_only",
    explanation: `${destinationOf(arrival)} is no service of the mesh, and the egress policy allows nothing else`,
  }),
  unanswered: (arrival: Arrival): Refusal => ({
    reason: "unanswered",
    explanation:
      `the control plane has not said in time whether ${destinationOf(arrival)} is a service of the mesh, ` +
      "and the egress policy allows nothing else",
  }),
  plaintext: (arrival: Arrival): Refusal => ({
    reason: "plaintext_refused",
    explanation:
      arrival.head === null
        ? `the caller said nothing to port ${arrival.destinationPort}, which serves mutual TLS only (STRICT)`
        : `the caller spoke plaintext to port ${arrival.destinationPort} with mutual TLS STRICT: is it in the mesh?`,
  }),
  notIntercepted: (arrival: Arrival): Refusal => ({
    reason: "not_intercepted",
    explanation: `the connection was made to ${destinationOf(arrival)} itself; only intercepted connections are served there`,
  }),
  toItself: (arrival: Arrival): Refusal => ({
    reason: "loop",
    explanation: `a loop was cut: the connection was going to the sidecar's own ${destinationOf(arrival)}`,
  }),
  fromItself: (arrival: Arrival): Refusal => ({
    reason: "loop",
    explanation:
      `a loop was cut: the sidecar's own connection to ${destinationOf(arrival)} came back to it; ` +
      "the rules of interception do not exempt the user that it runs as",
  }),
  timeout: (listener: Listener): Refusal => ({
    reason: "timeout",
    explanation: `the client did not say within ${listener.listenerFiltersTimeoutMs} ms what it speaks`,
  }),
} as const;

function destinationOf({ destinationAddress, destinationPort }: Arrival): string {
  return hostPort(destinationAddress, destinationPort);
}

function describe({ transportProtocol, serverName, applicationProtocols }: Arrival): string {
  if (transportProtocol === "tls") return serverName === "" ? "TLS" : `TLS for "${serverName}"`;
  return applicationProtocols.length > 0 ? "HTTP in plaintext" : "plaintext";
}
