/** What HTTPRoute and GRPCRoute have in common: matches of headers by value, and rules with names of their own. */

import { messageOf } from "../../core/errors.ts";
import { re2 } from "../../core/re2.ts";
import { headerName, headerValue } from "./scalars.ts";
import { checked, object, oneOf, required, type Schema, string, type ValueOf, withDefault } from "./schema.ts";

/** What is wrong with a regular expression in RE2 syntax, or null. */
export function regexProblem(pattern: string): string | null {
  try {
    re2().compile(pattern);
    return null;
  } catch (error) {
    return `"${pattern}" is not a regular expression (RE2 syntax): ${messageOf(error)}`;
  }
}

function valueMatch(name: Schema<string>) {
  return checked(
    object({
      type: withDefault(oneOf("Exact", "RegularExpression"), "Exact"),
      name: required(name),
      value: required(headerValue),
    }),
    ({ type, value }, complain) => {
      const wrong = type === "RegularExpression" ? regexProblem(value) : null;
      if (wrong !== null) complain(wrong, "value");
    },
  );
}

export const headerMatch = valueMatch(headerName);

export const queryMatch = valueMatch(string((value) => (value === "" ? "must not be empty" : null)));

/** A header or query parameter by name and value. */
export type ValueMatch = ValueOf<typeof headerMatch>;

/** Gateway API's bound on the matches of all rules of a route. */
const MAX_MATCHES = 128;

/** Checks over all rules of a route: names are unique, and there are not more matches than Gateway API allows. */
export function checkRules(
  rules: readonly { readonly name: string; readonly matches: readonly unknown[] }[],
  complain: (message: string, field?: string) => void,
): void {
  const names = rules.map(({ name }) => name).filter((name) => name !== "");
  if (new Set(names).size !== names.length) complain("two rules have the same name", "rules");
  const matches = rules.reduce((total, rule) => total + rule.matches.length, 0);
  if (matches > MAX_MATCHES)
    complain(`at most ${MAX_MATCHES} matches in all rules together, found ${matches}`, "rules");
}
