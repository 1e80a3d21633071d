/** The `filter` parameter of admin pages: RE2, so that no pattern can stall the process. */

import { messageOf, UserError } from "../../core/errors.ts";
import { re2 } from "../../core/re2.ts";

/** A test for names in which `pattern` is found; without one, all pass. Throws `UserError` for a bad pattern. */
export function nameFilter(pattern: string | null): (name: string) => boolean {
  if (pattern === null || pattern === "") return () => true;
  try {
    const regex = re2().compile(pattern);
    return (name) => regex.matcher(name).find();
  } catch (error) {
    throw new UserError(`Invalid re2 regex: ${messageOf(error)}`);
  }
}
