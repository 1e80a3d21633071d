/** Which protocol upgrades pass: the route's word counts first, then the connection manager's (Envoy `upgrade_configs`). */
import type { HttpConnectionManager } from "../../model/http.ts";
import type { CompiledRoute } from "../router/compile-routes.ts";

/** `type` is lower case. */
export function allowedUpgrade(type: string, config: HttpConnectionManager, route: CompiledRoute | null): boolean {
  const action = route?.route.action;
  const own = action?.kind === "forward" ? action.upgrades.find((upgrade) => upgrade.type === type) : undefined;
  if (own) return own.enabled;
  return config.upgrades.some((upgrade) => upgrade.type === type && upgrade.enabled);
}
