/** What sidecar and control plane must agree on where a sidecar asks for services that it was not told of. */

/** Begins the names of listeners that are asked for by where a call was going: no listener's own name does. */
const PREFIX = "on-demand|";

/** `on-demand|10.96.0.7:80`, `on-demand|stock.bank`: the name under which a place is asked for. */
export function askedName(place: string): string {
  return PREFIX + place;
}

/** The place that a name asks for; null for any other name. */
export function askedPlace(name: string): string | null {
  return name.startsWith(PREFIX) ? name.slice(PREFIX.length) : null;
}
