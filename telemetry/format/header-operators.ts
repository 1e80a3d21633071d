/** Commands that read headers, trailers and the request line. */
import type { HeaderMap } from "../../core/header-map.ts";
import { type Command, type Extract, type FormatContext, FormatError } from "./context.ts";
import { grpcStatus } from "./grpc-status.ts";
import { type OperatorTable, optionalArgument, orNull, plain, withArgument } from "./operator.ts";

type Lookup = (context: FormatContext) => string | null;

/** `NAME`, or `NAME?OTHER` where the first is missing. */
function headerOperator(lookup: (name: string) => Lookup): (argument: string, command: Command) => Extract {
  return (argument, command) => {
    const names = argument.toLowerCase().split("?");
    if (names.length > 2) {
      throw new FormatError(`more than one alternative header in ${argument}`, command.position);
    }
    const first = lookup(names[0] ?? "");
    const second = names[1] === undefined ? null : lookup(names[1]);
    if (second === null) return first;
    return (context) => first(context) ?? second(context);
  };
}

/** The first of several fields of that name: Envoy's formatter prints one value. */
function firstValue(headers: HeaderMap | null, name: string): string | null {
  if (headers === null || !headers.has(name)) return null;
  return headers.getAll(name)[0] ?? null;
}

function requestHeader(name: string): Lookup {
  switch (name) {
    case ":method":
      return (c) => orNull(c.request.method);
    case ":path":
      return (c) => orNull(c.request.path);
    case ":scheme":
      return (c) => orNull(c.request.scheme);
    case ":authority":
    case "host":
      return (c) => orNull(c.request.authority);
    default:
      return (c) => firstValue(c.request.headers, name);
  }
}

function responseHeader(name: string): Lookup {
  if (name === ":status") return (c) => (c.info.responseCode === 0 ? null : String(c.info.responseCode));
  return (c) => firstValue(c.responseHeaders, name);
}

const trailer =
  (name: string): Lookup =>
  (c) =>
    firstValue(c.responseTrailers, name);

const req = withArgument(headerOperator(requestHeader));
const resp = withArgument(headerOperator(responseHeader));

/** The path as it came, where the router has changed it. */
const originalPath = (c: FormatContext): string | null => c.request.headers.get("x-envoy-original-path");
const originalOrPath = (c: FormatContext): string => originalPath(c) ?? c.request.path;

/** `%PATH(WQ|NQ:PATH|ORIG|ORIG_OR_PATH)%`: with or without query, as rewritten or as it came. */
function compilePath(argument: string | null, command: Command): Extract {
  const [query = "WQ", which = "ORIG_OR_PATH"] = (argument ?? "").split(":").map((part) => part || undefined);
  if (query !== "WQ" && query !== "NQ") {
    throw new FormatError(`PATH takes WQ or NQ, not ${query}`, command.position);
  }
  if (which !== "PATH" && which !== "ORIG" && which !== "ORIG_OR_PATH") {
    throw new FormatError(`PATH takes PATH, ORIG or ORIG_OR_PATH, not ${which}`, command.position);
  }
  return (c) => {
    const path = which === "ORIG" ? originalPath(c) : which === "PATH" ? c.request.path : originalOrPath(c);
    if (path === null) return null;
    return orNull(query === "NQ" ? (path.split("?", 1)[0] ?? "") : path);
  };
}

function queryOf(path: string): string {
  const mark = path.indexOf("?");
  return mark < 0 ? "" : path.slice(mark + 1);
}

export const HEADER_OPERATORS: OperatorTable = {
  REQ: req,
  REQUEST_HEADER: req,
  RESP: resp,
  RESPONSE_HEADER: resp,
  TRAILER: withArgument(headerOperator(trailer)),
  RESPONSE_TRAILER: withArgument(headerOperator(trailer)),
  PATH: optionalArgument(compilePath),
  QUERY_PARAM: withArgument((name) => (c) => new URLSearchParams(queryOf(originalOrPath(c))).get(name)),
  QUERY_PARAMS: optionalArgument((argument, command) => {
    if (argument !== null && argument !== "" && argument !== "ORIG") {
      throw new FormatError(`QUERY_PARAMS takes ORIG, not ${argument}`, command.position);
    }
    return (c) => orNull(queryOf(originalOrPath(c)));
  }),
  PROTOCOL: plain((c) => orNull(c.request.protocol)),
  GRPC_STATUS: optionalArgument((argument, command) => {
    const style = (argument ?? "") === "" ? "CAMEL_STRING" : argument;
    if (style !== "CAMEL_STRING" && style !== "SNAKE_STRING" && style !== "NUMBER") {
      throw new FormatError(`GRPC_STATUS takes CAMEL_STRING, SNAKE_STRING or NUMBER, not ${style}`, command.position);
    }
    return (c) => grpcStatus(c, style);
  }),
  GRPC_STATUS_NUMBER: plain((c) => grpcStatus(c, "NUMBER")),
};
