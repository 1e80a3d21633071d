/**
 * RE2 patterns of routes, matchers and rewrites. They run in time linear in the input, whatever a peer sends. Subjects
 * are latin1 strings that hold bytes; RE2 reads them as UTF-8, so those beyond ASCII are decoded first.
 */
import { re2 } from "../../core/re2.ts";
import type { RegexRewrite } from "../../model/matcher.ts";

const BEYOND_ASCII = /[^\0-\x7f]/;

/** The characters that the bytes of a latin1 string stand for. */
function decodeUtf8(bytes: string): string {
  return BEYOND_ASCII.test(bytes) ? Buffer.from(bytes, "latin1").toString("utf8") : bytes;
}

/** Text as bytes in a latin1 string, the form in which heads are held. */
export function encodeUtf8(text: string): string {
  return BEYOND_ASCII.test(text) ? Buffer.from(text, "utf8").toString("latin1") : text;
}

/** A test of whether the whole of a value matches, as in Envoy. Throws on what is not RE2 syntax. */
export function compileFullMatch(pattern: string): (value: string) => boolean {
  const regex = re2().compile(pattern);
  return (value) => regex.matches(decodeUtf8(value));
}

/** Replaces every match (RE2's GlobalReplace). Throws on what is not RE2 syntax. */
export function compileRewrite(rewrite: RegexRewrite): (value: string) => string {
  const regex = re2().compile(rewrite.pattern);
  const parts = parseSubstitution(rewrite.substitution);
  return (value) => {
    const subject = decodeUtf8(value);
    const matcher = regex.matcher(subject);
    let result = "";
    let from = 0;
    let lastEnd = -1;
    while (matcher.find()) {
      // RE2 takes no empty match right after another match.
      if (matcher.start() === matcher.end() && matcher.start() === lastEnd) continue;
      result += subject.slice(from, matcher.start());
      for (const part of parts) result += typeof part === "string" ? part : (matcher.group(part) ?? "");
      from = lastEnd = matcher.end();
    }
    return lastEnd < 0 ? value : encodeUtf8(result + subject.slice(from));
  };
}

/** Literal text and group numbers of a substitution: `\1` is the first group, `\\` a backslash. */
function parseSubstitution(substitution: string): (string | number)[] {
  const parts: (string | number)[] = [];
  for (let i = 0; i < substitution.length; i++) {
    const next = substitution[i] === "\\" ? substitution.charCodeAt(i + 1) - 48 : Number.NaN;
    if (next >= 0 && next <= 9) parts.push(next);
    else parts.push(substitution[i] === "\\" ? "\\" : (substitution[i] as string));
    if (substitution[i] === "\\") i++;
  }
  return parts;
}
