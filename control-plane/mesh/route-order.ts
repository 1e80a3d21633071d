/** Which of two routes was there first, and holds where both ask for the same. */
import type { RouteManifest } from "./routes.ts";

/**
 * By creation time where the objects have one (of equals the first by `namespace/name`), else in the order of their
 * files.
 */
export function olderFirst(routes: readonly RouteManifest[]): readonly RouteManifest[] {
  const born = ({ value: { metadata } }: RouteManifest): number =>
    metadata.creationTimestamp === null ? 0 : Date.parse(metadata.creationTimestamp);
  return [...routes].sort((a, b) => {
    const [first, second] = [born(a), born(b)];
    if (first === 0 || second === 0) return 0;
    return first - second || (nameOf(a) < nameOf(b) ? -1 : 1);
  });
}

function nameOf({ value: { metadata } }: RouteManifest): string {
  return `${metadata.namespace}/${metadata.name}`;
}
