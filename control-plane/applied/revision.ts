/** What an object says, apart from where it says it: objects of files have no generation to tell one version by. */
import { hash } from "node:crypto";
import type { Manifest } from "../manifest/parse.ts";

/** Equal texts have equal revisions, wherever they come from and whoever reads them. */
export function revisionOf(manifest: Manifest): string {
  return hash("sha256", contentOf(manifest)).slice(0, 12);
}

export function sameContent(a: Manifest, b: Manifest): boolean {
  return a === b || contentOf(a) === contentOf(b);
}

/** Without positions (`source`): they move when something else in the file does. */
function contentOf({ value }: Manifest): string {
  return JSON.stringify(value, (key, field: unknown) => (key === "source" ? undefined : field));
}
