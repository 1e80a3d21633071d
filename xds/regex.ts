/** RE2 patterns are compiled once when they arrive, so that a bad one is refused where it stands. */
import { messageOf } from "../core/errors.ts";
import { re2 } from "../core/re2.ts";
import type { Place } from "./place.ts";

/** Reports a pattern that is empty or not RE2 syntax (no look-around, no back-references). */
export function checkRegex(pattern: string, at: Place): void {
  if (pattern === "") {
    at.error("a regular expression must not be empty");
    return;
  }
  try {
    re2().compile(pattern);
  } catch (error) {
    at.error(`not a valid RE2 expression: ${messageOf(error).replace(/^error parsing regexp: /, "")}`);
  }
}
