/** Which requests a route is for: `route.v3.RouteMatch`. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  RouteMatch_GrpcRouteMatchOptionsSchema,
  RouteMatch_TlsContextMatchOptionsSchema,
  type RouteMatch as RouteMatchMessage,
  RouteMatchSchema,
} from "../../generated/envoy/config/route/v3/route_components_pb.js";
import type { RouteMatch } from "../../model/route.ts";
import { decodeHeaderMatcher, decodeQueryMatcher, encodeHeaderMatcher, encodeQueryMatcher } from "../matcher.ts";
import type { Place } from "../place.ts";
import { checkRegex } from "../regex.ts";
import { runtimeFraction, runtimeFractionOf } from "../values.ts";

/** Envoy's own rule for `path_separated_prefix`. */
const SEPARATED_PREFIX = /^[^?#]+[^?#/]$/;

export function decodeRouteMatch(message: RouteMatchMessage, at: Place): RouteMatch {
  return {
    path: decodePath(message, at),
    caseSensitive: message.caseSensitive ?? true,
    fraction: message.runtimeFraction ? runtimeFractionOf(message.runtimeFraction, at.field("runtime_fraction")) : null,
    headers: message.headers.map((header, i) => decodeHeaderMatcher(header, at.item("headers", i))),
    queryParameters: message.queryParameters.map((query, i) =>
      decodeQueryMatcher(query, at.item("query_parameters", i)),
    ),
    grpcOnly: message.grpc !== undefined,
    ...(message.tlsContext
      ? { tls: { presented: message.tlsContext.presented ?? null, validated: message.tlsContext.validated ?? null } }
      : {}),
  };
}

function decodePath(message: RouteMatchMessage, at: Place): RouteMatch["path"] {
  const { pathSpecifier: path } = message;
  switch (path.case) {
    case "prefix":
      return { kind: "prefix", value: path.value };
    case "path":
      return { kind: "exact", value: path.value };
    case "pathSeparatedPrefix":
      if (!SEPARATED_PREFIX.test(path.value)) {
        at.field("path_separated_prefix").error("must have two characters or more, no ? or #, and not end with /");
      }
      return { kind: "path_separated_prefix", value: path.value };
    case "safeRegex":
      checkRegex(path.value.regex, at.field("safe_regex").field("regex"));
      return { kind: "regex", value: path.value.regex };
    default:
      at.error("one of prefix, path, path_separated_prefix and safe_regex is required");
      return { kind: "prefix", value: "/" };
  }
}

type PathInit = NonNullable<MessageInitShape<typeof RouteMatchSchema>["pathSpecifier"]>;

function pathInit(path: RouteMatch["path"]): PathInit {
  switch (path.kind) {
    case "prefix":
      return { case: "prefix", value: path.value };
    case "exact":
      return { case: "path", value: path.value };
    case "path_separated_prefix":
      return { case: "pathSeparatedPrefix", value: path.value };
    case "regex":
      return { case: "safeRegex", value: { regex: path.value } };
  }
}

export function encodeRouteMatch(match: RouteMatch): RouteMatchMessage {
  const message = create(RouteMatchSchema, {
    pathSpecifier: pathInit(match.path),
    headers: match.headers.map(encodeHeaderMatcher),
    queryParameters: match.queryParameters.map(encodeQueryMatcher),
  });
  if (!match.caseSensitive) message.caseSensitive = false;
  if (match.fraction) message.runtimeFraction = runtimeFraction(match.fraction);
  if (match.grpcOnly) message.grpc = create(RouteMatch_GrpcRouteMatchOptionsSchema);
  if (match.tls) {
    const { presented, validated } = match.tls;
    message.tlsContext = create(RouteMatch_TlsContextMatchOptionsSchema, {
      ...(presented === null ? {} : { presented }),
      ...(validated === null ? {} : { validated }),
    });
  }
  return message;
}
