/** Changes of a request's path and authority on its way upstream, as Envoy's route actions make them. */
import type { ForwardAction, RouteMatch } from "../../model/route.ts";
import type { RequestHead } from "../http/message.ts";
import { compileRewrite, encodeUtf8 } from "./regex.ts";

/** Gives the new path (with query) for a path (with query). */
export type PathRewrite = (path: string) => string;

export function queryStart(path: string): number {
  const mark = path.indexOf("?");
  return mark < 0 ? path.length : mark;
}

/** Replaces what the route matched: a prefix, or the whole path of an exact or regex match. The query stays. */
export function compilePrefixRewrite(match: RouteMatch["path"], rewrite: string): PathRewrite {
  const replacement = encodeUtf8(rewrite);
  if (match.kind === "regex") return (path) => replacement + path.slice(queryStart(path));
  const matched = encodeUtf8(match.value).length;
  return (path) => replacement + path.slice(matched);
}

/** Runs a regex rewrite over the path; the query stays. */
export function compileRegexPathRewrite(rewrite: Parameters<typeof compileRewrite>[0]): PathRewrite {
  const replace = compileRewrite(rewrite);
  return (path) => {
    const mark = queryStart(path);
    return replace(path.slice(0, mark)) + path.slice(mark);
  };
}

/** The path rewrite of a forwarding route; null where it keeps the path. */
export function compilePathRewrite(match: RouteMatch["path"], action: ForwardAction): PathRewrite | null {
  if (action.prefixRewrite !== null) return compilePrefixRewrite(match, action.prefixRewrite);
  if (action.regexRewrite !== null) return compileRegexPathRewrite(action.regexRewrite);
  return null;
}

/** Sets the path; `x-envoy-original-path` tells the upstream what it was, unless Envoy's own headers are off. */
export function rewritePath(request: RequestHead, path: string, keepOriginal: boolean): void {
  if (keepOriginal) request.headers.set("x-envoy-original-path", request.path);
  request.path = path;
}

/** Gives the new authority for a request; null to keep it. */
export type HostRewrite = (request: RequestHead) => string | null;

/** The host rewrite that can be done before a host is chosen; null for none (and for `auto_host_rewrite`). */
export function compileHostRewrite(rewrite: ForwardAction["hostRewrite"]): HostRewrite | null {
  switch (rewrite.kind) {
    case "literal": {
      const host = encodeUtf8(rewrite.value);
      return () => host;
    }
    case "header":
      return ({ headers }) => headers.first(rewrite.header) || null;
    case "path_regex": {
      const replace = compileRewrite(rewrite.rewrite);
      return ({ path }) => replace(path.slice(0, queryStart(path)));
    }
    case "auto":
    case "keep":
      return null;
  }
}

/** Sets the authority. `appendForwardedHost`: the old one is appended to `x-forwarded-host` (once). */
export function rewriteAuthority(
  request: RequestHead,
  host: string,
  appendForwardedHost: boolean,
  keepOriginal: boolean,
): void {
  const old = request.authority;
  if (appendForwardedHost && old !== "") {
    const forwarded = request.headers.get("x-forwarded-host");
    if (!forwarded) request.headers.set("x-forwarded-host", old);
    else if (forwarded.slice(forwarded.lastIndexOf(",") + 1).trim() !== old) {
      request.headers.set("x-forwarded-host", `${forwarded},${old}`);
    }
  }
  if (keepOriginal) request.headers.set("x-envoy-original-host", old);
  request.authority = host;
}
