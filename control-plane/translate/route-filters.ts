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
import { NO_MUTATIONS } from "./envoy-defaults.ts";

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

/**
 * The changes of a rule and of one of its backends as one: a request passes the rule first, its answer the backend. (Two
 * levels of Envoy's would have the rule's last word on both.)
 */
export function throughBoth(rule: HeaderMutations, backend: HeaderMutations): HeaderMutations {
  const request = sequence(
    [rule.requestHeadersToAdd, rule.requestHeadersToRemove],
    [backend.requestHeadersToAdd, backend.requestHeadersToRemove],
  );
  const response = sequence(
    [backend.responseHeadersToAdd, backend.responseHeadersToRemove],
    [rule.responseHeadersToAdd, rule.responseHeadersToRemove],
  );
  return {
    requestHeadersToAdd: request[0],
    requestHeadersToRemove: request[1],
    responseHeadersToAdd: response[0],
    responseHeadersToRemove: response[1],
  };
}

type Changes = readonly [add: readonly HeaderMutation[], remove: readonly string[]];

/** Within a level Envoy removes before it adds, so what `then` removes must not be added by `first`. */
function sequence(first: Changes, [add, remove]: Changes): Changes {
  const kept = first[0].filter(({ name }) => !remove.includes(name.toLowerCase()));
  return [
    [...kept, ...add],
    [...first[1], ...remove],
  ];
}

export function hasNoMutations(mutations: HeaderMutations): boolean {
  return (Object.keys(NO_MUTATIONS) as (keyof HeaderMutations)[]).every((part) => mutations[part].length === 0);
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

/** `prefix` as for `urlRewrite`; `servicePort` is where the redirected call came to. */
export function redirectAction(redirect: RequestRedirect, prefix: string, servicePort: number): RedirectAction {
  return {
    kind: "redirect",
    status: redirect.statusCode as RedirectAction["status"],
    scheme: redirect.scheme === null ? { kind: "keep" } : { kind: "set", value: redirect.scheme },
    host: redirect.hostname ?? "",
    port: redirectPort(redirect, servicePort),
    path: redirectPath(redirect.path, prefix),
    stripQuery: false,
  };
}

const WELL_KNOWN = { http: 80, https: 443 } as const;

/**
 * Gateway API's rules, the port of the Service being that of the listener: the one given, else the scheme's where one is
 * given, else the one called. 0: none is written. The scheme's own is not, as far as Envoy can do without: of a host that
 * the caller wrote it takes no port off but the 80 of a call that is led to https.
 */
function redirectPort({ scheme, hostname, port }: RequestRedirect, servicePort: number): number {
  const called = hostname === null ? 0 : servicePort;
  const target = port ?? (scheme === null ? called : WELL_KNOWN[scheme]);
  const needless = target === WELL_KNOWN[scheme ?? "http"] && (hostname !== null || servicePort === WELL_KNOWN.http);
  return needless ? 0 : target;
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
