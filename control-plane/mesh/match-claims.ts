/**
 * Matches that an older route at the same place has already: requests that fit them never get to the younger (Gateway
 * API: of equal matches the older route's rule holds).
 */
import { type Manifest, type ManifestOf, positionOf } from "../manifest/parse.ts";

type RequestRoute = ManifestOf<"HTTPRoute"> | ManifestOf<"GRPCRoute">;

/** Where a route is attached: at ports of a Service, for callers of a namespace or (null) for all. */
export interface ClaimedPlace {
  /** `namespace/name` of the Service. */
  readonly key: string;
  readonly ports: readonly number[];
  readonly clientNamespace: string | null;
}

export interface LostMatches {
  /** What is never reached, a sentence for each rule. */
  readonly messages: readonly string[];
  /** Whether that is all of the route there. */
  readonly all: boolean;
}

export class MatchClaims {
  readonly #owners = new Map<string, Manifest>();

  /** Takes the matches of a route's rules that nobody has. To be called for older routes first. */
  take(route: RequestRoute, { key, ports, clientNamespace }: ClaimedPlace): LostMatches {
    const messages: string[] = [];
    let [taken, lost] = [0, 0];
    for (const [index, { name, matches }] of route.value.spec.rules.entries()) {
      const owners = new Set<Manifest>();
      const found = { taken: 0, lost: 0 };
      for (const port of ports) {
        for (const match of matches) {
          const place = `${key}:${port}@${clientNamespace ?? ""}#${contentOf(match)}`;
          const owner = this.#owners.get(place);
          if (owner === undefined) this.#owners.set(place, route);
          if (owner === undefined || owner === route) found.taken++;
          else {
            found.lost++;
            owners.add(owner);
          }
        }
      }
      taken += found.taken;
      lost += found.lost;
      if (found.lost === 0) continue;
      const rule = `rule ${name === "" ? index : name}`;
      const what = found.taken === 0 ? `${rule} is never reached` : `some requests never reach ${rule}`;
      const by = [...owners].map((owner) => `${owner.key} (${positionOf(owner)})`).join(", ");
      messages.push(`${what} at Service ${key}: ${by} has the same matches`);
    }
    return { messages, all: lost > 0 && taken === 0 };
  }
}

function contentOf(match: object): string {
  return JSON.stringify(match, (key, field: unknown) => (key === "source" ? undefined : field));
}
