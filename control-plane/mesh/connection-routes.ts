/** What TCPRoutes and TLSRoutes ask for: where connections go, and which server names each has. */
import { positionOf } from "../manifest/parse.ts";
import type { ConnectionRouteManifest, Resolve, RouteManifest, Tell } from "./routes.ts";
import type { ConnectionRule } from "./state.ts";

/** A connection route's only rule: rules have no matches, so that a second one could never be reached. */
export function connectionRule(
  { kind, value: { metadata, spec } }: ConnectionRouteManifest,
  resolve: Resolve,
  tell: Tell,
): Pick<ConnectionRule, "kind" | "name" | "backends"> {
  const [rule, unreachable] = spec.rules;
  if (unreachable)
    tell("only the first rule is in force: nothing tells its connections from those of others", unreachable.source);
  const backends = (rule?.backendRefs ?? []).filter(({ weight }) => weight > 0);
  return {
    kind,
    name: `${metadata.namespace}/${metadata.name}/${rule?.name || 0}`,
    backends: backends.map((ref) => ({
      cluster:
        resolve(ref, rule?.source ?? "") ??
        `unresolved|${ref.port ?? ""}||${ref.name}.${ref.namespace ?? metadata.namespace}`,
      weight: ref.weight,
    })),
  };
}

/** The server names that no older TLSRoute at `place` (a port, for some callers) has; null where none is left. */
export function unclaimedNames(
  route: ConnectionRouteManifest,
  place: string,
  claims: Map<string, RouteManifest>,
  tell: Tell,
): readonly string[] | null {
  if (route.kind === "TCPRoute") return [];
  const { hostnames } = route.value.spec;
  const names = (hostnames.length === 0 ? ["*"] : hostnames).filter((name) => {
    const owner = claims.get(`${place}#${name}`);
    claims.set(`${place}#${name}`, owner ?? route);
    if (!owner) return true;
    const what = name === "*" ? "connections to any other name" : `connections to ${name}`;
    tell(`${what} are led by ${owner.key} (${positionOf(owner)}) already`);
    return false;
  });
  return names.length === 0 ? null : names;
}
