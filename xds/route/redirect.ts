/** Answers that send the caller elsewhere: `route.v3.RedirectAction`. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  RedirectAction_RedirectResponseCode as Code,
  RedirectAction_RedirectResponseCodeSchema,
  RedirectActionSchema,
  type RedirectAction as RedirectMessage,
} from "../../generated/envoy/config/route/v3/route_components_pb.js";
import type { RedirectAction } from "../../model/route.ts";
import { checkHeaderValue } from "../header-name.ts";
import { decodeRegexRewrite, encodeRegexRewrite } from "../matcher.ts";
import type { Place } from "../place.ts";
import { numberOf, wordOf } from "../values.ts";

const CODES = {
  [Code.MOVED_PERMANENTLY]: 301,
  [Code.FOUND]: 302,
  [Code.SEE_OTHER]: 303,
  [Code.TEMPORARY_REDIRECT]: 307,
  [Code.PERMANENT_REDIRECT]: 308,
} as const;

export function decodeRedirect(message: RedirectMessage, at: Place): RedirectAction {
  const { portRedirect: port } = message;
  if (port > 65_535) at.field("port_redirect").error(`a port must be at most 65535, got ${port}`);
  return {
    kind: "redirect",
    status:
      wordOf(RedirectAction_RedirectResponseCodeSchema, message.responseCode, CODES, at.field("response_code")) ?? 301,
    scheme: decodeScheme(message, at),
    host: checkHeaderValue(message.hostRedirect, at.field("host_redirect")),
    port,
    path: decodePath(message, at),
    stripQuery: message.stripQuery,
  };
}

function decodeScheme(message: RedirectMessage, at: Place): RedirectAction["scheme"] {
  const { schemeRewriteSpecifier: scheme } = message;
  if (scheme.case === "httpsRedirect" && scheme.value) return { kind: "https" };
  if (scheme.case === "schemeRedirect" && scheme.value !== "") {
    return { kind: "set", value: checkHeaderValue(scheme.value, at.field("scheme_redirect")) };
  }
  return { kind: "keep" };
}

/** An empty path or prefix leaves the path as it is, as in Envoy. */
function decodePath(message: RedirectMessage, at: Place): RedirectAction["path"] {
  const { pathRewriteSpecifier: path } = message;
  switch (path.case) {
    case "pathRedirect":
      if (path.value === "") return { kind: "keep" };
      return { kind: "set", value: checkHeaderValue(path.value, at.field("path_redirect")) };
    case "prefixRewrite":
      if (path.value === "") return { kind: "keep" };
      return { kind: "prefix", value: checkHeaderValue(path.value, at.field("prefix_rewrite")) };
    case "regexRewrite":
      return { kind: "regex", rewrite: decodeRegexRewrite(path.value, at.field("regex_rewrite")) };
    default:
      return { kind: "keep" };
  }
}

type Init = MessageInitShape<typeof RedirectActionSchema>;

function schemeInit(scheme: RedirectAction["scheme"]): NonNullable<Init["schemeRewriteSpecifier"]> {
  switch (scheme.kind) {
    case "https":
      return { case: "httpsRedirect", value: true };
    case "set":
      return { case: "schemeRedirect", value: scheme.value };
    case "keep":
      return { case: undefined };
  }
}

function pathInit(path: RedirectAction["path"]): NonNullable<Init["pathRewriteSpecifier"]> {
  switch (path.kind) {
    case "set":
      return { case: "pathRedirect", value: path.value };
    case "prefix":
      return { case: "prefixRewrite", value: path.value };
    case "regex":
      return { case: "regexRewrite", value: encodeRegexRewrite(path.rewrite) };
    case "keep":
      return { case: undefined };
  }
}

export function encodeRedirect(action: RedirectAction): RedirectMessage {
  return create(RedirectActionSchema, {
    hostRedirect: action.host,
    pathRewriteSpecifier: pathInit(action.path),
    responseCode: numberOf(CODES, action.status),
    schemeRewriteSpecifier: schemeInit(action.scheme),
    stripQuery: action.stripQuery,
    portRedirect: action.port,
  });
}
