/** Which TCPRoutes and TLSRoutes hold for a client: its own namespace's in place of the service's, port by port, as with calls (GAMMA). */
import type { ConnectionRule, OpaqueRouting } from "../mesh/state.ts";

/** The rules of a service port for clients of a namespace, older route first. */
export function connectionRules(
  opaque: OpaqueRouting,
  port: number,
  clientNamespace: string,
): readonly ConnectionRule[] {
  const rulesOf = (scope: string | null): readonly ConnectionRule[] =>
    opaque.rules.filter((rule) => rule.port === port && rule.clientNamespace === scope);
  const own = rulesOf(clientNamespace);
  return own.length > 0 ? own : rulesOf(null);
}

/** The client's namespace where that has routes of its own for the service, else null. */
export function connectionScope({ rules }: OpaqueRouting, clientNamespace: string): string | null {
  return rules.some((rule) => rule.clientNamespace === clientNamespace) ? clientNamespace : null;
}
