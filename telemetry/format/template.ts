/** Splits a format string into literals and commands, by Envoy's grammar (`source/common/formatter`, command parser). */
import { type Command, FormatError } from "./context.ts";

export type Segment = { readonly literal: string } | { readonly command: Command };

/** An argument reaches to the first `)`, so it may hold `%` (as the formats of START_TIME do) but no `)`. */
const COMMAND = /%([A-Z0-9_]+)(?:\(([^)]*)\))?(?::([0-9]+))?%/y;

/** Throws `FormatError` where a `%` begins neither a command nor `%%`. */
export function parseTemplate(template: string): Segment[] {
  const segments: Segment[] = [];
  let literal = "";
  let at = 0;
  while (at < template.length) {
    const percent = template.indexOf("%", at);
    if (percent < 0) {
      literal += template.slice(at);
      break;
    }
    literal += template.slice(at, percent);
    if (template[percent + 1] === "%") {
      literal += "%";
      at = percent + 2;
      continue;
    }
    COMMAND.lastIndex = percent;
    const match = COMMAND.exec(template);
    const name = match?.[1];
    if (match === null || name === undefined) throw new FormatError("couldn't find a valid command", percent);
    if (literal !== "") segments.push({ literal });
    literal = "";
    const maxLength = match[3] === undefined ? null : Number(match[3]);
    segments.push({ command: { name, argument: match[2] ?? null, maxLength, position: percent } });
    at = COMMAND.lastIndex;
  }
  if (literal !== "") segments.push({ literal });
  return segments;
}
