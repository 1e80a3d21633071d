/**
 * Brings request paths into one form before anything matches them, as Envoy's connection manager does: escaped slashes,
 * then RFC 3986 dot segments and percent-encoding (`normalize_path`), then doubled slashes. Only the path is touched,
 * never the query.
 */
import type { HttpConnectionManager } from "../../model/http.ts";

export type PathOptions = Pick<HttpConnectionManager, "normalizePath" | "mergeSlashes" | "pathWithEscapedSlashes">;

/** What became of a path. `redirect`: the caller is to be sent to `path` instead (307). */
export interface PathVerdict {
  readonly kind: "ok" | "redirect" | "reject";
  /** As far as it was brought into form. */
  readonly path: string;
}

export type PathNormalizer = (path: string) => PathVerdict;

/** Characters because of which `normalize_path` may change a path; anything else is in its final form already. */
const SUSPICIOUS = /%|\\|\/\.|["<>^`{|}\0-\x20\x7f-\xff]/;
const ESCAPED_SLASH = /%2f|%5c/gi;
const PARAMETERS_OF_DOTS = /(\/\.{1,2});[^/]*/g;

/** Compiles the stages that the configuration asks for; null where it asks for none. */
export function compilePathNormalizer(options: PathOptions): PathNormalizer | null {
  const { normalizePath, mergeSlashes: merges, pathWithEscapedSlashes: escapedSlashes } = options;
  if (!normalizePath && !merges && escapedSlashes === "keep") return null;
  return (whole) => {
    const mark = whole.indexOf("?");
    const before = mark < 0 ? whole : whole.slice(0, mark);
    const after = mark < 0 ? "" : whole.slice(mark);
    let path = before;
    let kind: PathVerdict["kind"] = "ok";
    if (escapedSlashes !== "keep") {
      const unescaped = unescapeSlashes(path);
      if (unescaped !== path) {
        path = unescaped;
        if (escapedSlashes === "reject") return { kind: "reject", path: path + after };
        if (escapedSlashes === "unescape_and_redirect") kind = "redirect";
      }
    }
    if (normalizePath) {
      const canonical = canonicalPath(path);
      if (canonical === null) return { kind: "reject", path: path + after };
      path = canonical;
    }
    if (merges) path = mergeSlashes(path);
    return { kind, path: path === before ? whole : path + after };
  };
}

function unescapeSlashes(path: string): string {
  if (!path.includes("%")) return path;
  return path.replace(ESCAPED_SLASH, (found) => (found.charCodeAt(1) === 0x32 ? "/" : "\\"));
}

/** Envoy leaves a path of nothing but slashes at two of them. */
function mergeSlashes(path: string): string {
  if (!path.includes("//")) return path;
  const merged = path.replace(/\/{2,}/g, "/");
  return merged === "/" ? "//" : merged;
}

/**
 * RFC 3986, section 6.2.2, in the dialect of the URL canonicalizer that Envoy uses: unreserved characters are decoded,
 * other escapes stay as they are, `\` is `/`, and `;parameters` do not hide a dot segment that is written out.
 * null: the path holds an escaped NUL.
 */
function canonicalPath(path: string): string | null {
  if (!SUSPICIOUS.test(path)) return path;
  return canonicalCharacters(path.replace(PARAMETERS_OF_DOTS, "$1"));
}

function canonicalCharacters(path: string): string | null {
  let decoded = "";
  for (let i = 0; i < path.length; i++) {
    const code = path.charCodeAt(i);
    if (code === 0x25) {
      const byte = escapedByte(path, i);
      if (byte === 0) return null;
      if (byte > 0 && isUnreserved(byte)) {
        decoded += String.fromCharCode(byte);
        i += 2;
      } else decoded += "%";
    } else if (code === 0x5c) decoded += "/";
    else if (needsEscape(code)) decoded += `%${code.toString(16).toUpperCase().padStart(2, "0")}`;
    else decoded += path[i];
  }
  return removeDotSegments(decoded);
}

/** The byte that an escape at `at` stands for; -1 where it is not a valid escape. */
function escapedByte(path: string, at: number): number {
  const high = hexDigit(path.charCodeAt(at + 1));
  const low = hexDigit(path.charCodeAt(at + 2));
  return high < 0 || low < 0 ? -1 : (high << 4) | low;
}

function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const lower = code | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

/** RFC 3986, section 2.3. */
function isUnreserved(byte: number): boolean {
  const lower = byte | 0x20;
  return (
    (byte >= 0x30 && byte <= 0x39) ||
    (lower >= 0x61 && lower <= 0x7a) ||
    byte === 0x2d ||
    byte === 0x2e ||
    byte === 0x5f ||
    byte === 0x7e
  );
}

/** Characters that may not stand in a path: controls, space, `"<>^{|}`, backtick and everything beyond ASCII. */
function needsEscape(code: number): boolean {
  if (code <= 0x20 || code >= 0x7f) return true;
  return (
    code === 0x22 || code === 0x3c || code === 0x3e || code === 0x5e || code === 0x60 || (code >= 0x7b && code <= 0x7d)
  );
}

/** RFC 3986, section 5.2.4. Empty segments count, as they do there. */
function removeDotSegments(path: string): string {
  if (!path.includes("/.")) return path;
  const kept: string[] = [];
  const segments = path.split("/");
  for (const [index, segment] of segments.entries()) {
    if (index === 0) continue;
    if (segment === ".." || segment === ".") {
      if (segment === "..") kept.pop();
      if (index === segments.length - 1) kept.push("");
    } else kept.push(segment);
  }
  return `/${kept.join("/")}`;
}
