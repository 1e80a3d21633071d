/** Filters of an HTTPRoute rule as parts of Envoy's route: header mutations, rewrites, redirects. */
import type { RegexRewrite } from "../../model/matcher.ts";
import type { ForwardAction, HeaderMutation, HeaderMutations, RedirectAction } from "../../model/route.ts";
import type {
  HeaderModifier,
  PathModifier,
  RequestRedirect,
  RouteFilter,
  UrlRewrite,
} from "../manifest/route-filter.ts";

/** Header changes of all header filters. */
export function headerMutations(filters: readonly RouteFilter[]): HeaderMutations {
  const request = filters.flatMap((filter) => filter.requestHeaderModifier ?? []);
  const response = filters.flatMap((filter) => filter.responseHeaderModifier ?? []);
  return {
    requestHeadersToAdd: request.flatMap(additions),
    requestHeadersToRemove: request.flatMap(removals),
    responseHeadersToAdd: response.flatMap(additions),
    responseHeadersToRemove: response.flatMap(removals),
  };
}

function additions(modifier: HeaderModifier): readonly HeaderMutation[] {
  return [
    ...modifier.set.map((header) => mutation(header, "overwrite_if_exists_or_add")),
    ...modifier.add.map((header) => mutation(header, "append_if_exists_or_add")),
  ];
}

function mutation(
  header: { readonly name: string; readonly value: string },
  action: HeaderMutation["action"],
): HeaderMutation {
  // A percent sign begins one of Envoy's command operators; manifests know none, so it is meant literally.
  return { name: header.name, value: header.value.replaceAll("%", "%%"), action, keepEmptyValue: true };
}

function removals(modifier: HeaderModifier): readonly string[] {
  return modifier.remove.map((name) => name.toLowerCase());
}

type Rewrites = Pick<ForwardAction, "prefixRewrite" | "regexRewrite"> & { readonly host: string | null };

/** `prefix` is what the rule's match matched, for ReplacePrefixMatch. */
export function urlRewrite(rewrite: UrlRewrite | null, prefix: string): Rewrites {
  const host = rewrite?.hostname ?? null;
  const path = rewrite?.path ?? null;
  if (path === null) return { host, prefixRewrite: null, regexRewrite: null };
  const plan = replacePath(path, prefix);
  return "prefix" in plan
    ? { host, prefixRewrite: plan.prefix, regexRewrite: null }
    : { host, prefixRewrite: null, regexRewrite: plan.regex };
}

/** Gateway API's table for ReplacePrefixMatch: whole path elements are replaced and slashes neither doubled nor lost. */
function replacePath(
  path: PathModifier,
  prefix: string,
): { readonly prefix: string } | { readonly regex: RegexRewrite } {
  if (path.replaceFullPath !== null) {
    return { regex: { pattern: "^/.*$", substitution: escapeSubstitution(path.replaceFullPath) } };
  }
  const replacement = (path.replacePrefixMatch ?? "/").replace(/\/+$/, "");
  const matched = prefix.replace(/\/+$/, "");
  if (matched === "") return { prefix: `${replacement}/` };
  if (replacement === "") return { regex: { pattern: `^${quoteRegex(matched)}/*`, substitution: "/" } };
  return { prefix: replacement };
}

/** `prefix` as for `urlRewrite`. */
export function redirectAction(redirect: RequestRedirect, prefix: string): RedirectAction {
  const wellKnown = redirect.scheme === null || redirect.hostname !== null ? 0 : redirect.scheme === "https" ? 443 : 80;
  return {
    kind: "redirect",
    status: redirect.statusCode as RedirectAction["status"],
    scheme: redirect.scheme === null ? { kind: "keep" } : { kind: "set", value: redirect.scheme },
    host: redirect.hostname ?? "",
    port: redirect.port ?? wellKnown,
    path: redirectPath(redirect.path, prefix),
    stripQuery: false,
  };
}

function redirectPath(path: PathModifier | null, prefix: string): RedirectAction["path"] {
  if (path === null) return { kind: "keep" };
  if (path.replaceFullPath !== null) return { kind: "set", value: path.replaceFullPath };
  const plan = replacePath(path, prefix);
  return "prefix" in plan ? { kind: "prefix", value: plan.prefix } : { kind: "regex", rewrite: plan.regex };
}

function quoteRegex(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|]/g, "\\$&");
}

function escapeSubstitution(text: string): string {
  return text.replaceAll("\\", "\\\\");
}
