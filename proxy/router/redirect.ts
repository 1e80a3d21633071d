/** Where a redirect points: Envoy's `RedirectAction` on a request. */
import type { RedirectAction, RouteMatch } from "../../model/route.ts";
import type { RequestHead } from "../http/message.ts";
import { encodeUtf8 } from "./regex.ts";
import { compilePrefixRewrite, compileRegexPathRewrite, type PathRewrite, queryStart, rewritePath } from "./rewrite.ts";
import { portStart } from "./virtual-hosts.ts";

/** Gives the value of `location` for a request. */
export type Redirect = (request: RequestHead) => string;

/** The same place over TLS, port included: what `require_tls` answers. */
export const redirectToTls: Redirect = ({ authority, path }) => `https://${authority}${path}`;

/** The request's own URI, which Envoy gives with direct responses of status 201 and 3xx. */
export const redirectToSelf: Redirect = ({ scheme, authority, path }) => `${scheme}://${authority}${path}`;

/** Compiles a redirect. A prefix or regex rewrite also changes the request's path, as logs show it. */
export function compileRedirect(action: RedirectAction, match: RouteMatch["path"]): Redirect {
  const rewrite = compileRewriteOf(action, match);
  const fixedPath = action.path.kind === "set" ? encodeUtf8(action.path.value) : null;
  const fixedHost = encodeUtf8(action.host);
  const port = action.port === 0 ? "" : `:${action.port}`;
  return (request) => {
    const scheme =
      action.scheme.kind === "keep" ? request.scheme : action.scheme.kind === "https" ? "https" : action.scheme.value;
    const host = fixedHost === "" ? hostFor(request, scheme, port !== "") : fixedHost;
    if (rewrite !== null) rewritePath(request, rewrite(request.path), true);
    const mark = queryStart(request.path);
    const query = action.stripQuery ? "" : request.path.slice(mark);
    let path = request.path.slice(0, mark) + query;
    // A path with a query of its own replaces the request's query as well.
    if (fixedPath !== null) path = fixedPath.includes("?") ? fixedPath : fixedPath + query;
    return `${scheme}://${host}${port}${path}`;
  };
}

function compileRewriteOf(action: RedirectAction, match: RouteMatch["path"]): PathRewrite | null {
  if (action.path.kind === "prefix") return compilePrefixRewrite(match, action.path.value);
  if (action.path.kind === "regex") return compileRegexPathRewrite(action.path.rewrite);
  return null;
}

/** The request's authority without its port where that is replaced, or was the default port of the scheme left. */
function hostFor(request: RequestHead, scheme: string, portReplaced: boolean): string {
  const { authority } = request;
  const colon = portStart(authority);
  if (colon < 0) return authority;
  const port = authority.slice(colon);
  const wasDefault =
    scheme !== request.scheme &&
    ((request.scheme === "http" && port === ":80") || (request.scheme === "https" && port === ":443"));
  return portReplaced || wasDefault ? authority.slice(0, colon) : authority;
}
