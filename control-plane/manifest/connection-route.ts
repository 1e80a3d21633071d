/**
 * Gateway API `TCPRoute` and `TLSRoute` with Services as parents (GAMMA): where connections go whose bytes are not looked
 * into, a TLSRoute's by the name of the server that the application's own TLS asks for.
 */
import { objectMeta } from "./object-meta.ts";
import { BACKEND_FIELDS, parentRef } from "./references.ts";
import { hostname } from "./scalars.ts";
import {
  checked,
  ignored,
  list,
  located,
  number,
  object,
  optional,
  required,
  type Schema,
  string,
  type ValueOf,
  withDefault,
} from "./schema.ts";
import { OPAQUE } from "./shape.ts";

const backendRef = object({ ...BACKEND_FIELDS, weight: withDefault(number(0, 1_000_000), 1) });

const rule = located(
  object({
    name: withDefault(string(), ""),
    backendRefs: withDefault(list(backendRef, 1, 16), []),
  }),
);

export type ConnectionRule = ValueOf<typeof rule>;

const SPEC = {
  parentRefs: required(list(parentRef, 1, 32)),
  useDefaultGateways: optional(ignored),
  rules: required(list(rule, 1, 16)),
} as const;

const OBJECT = {
  apiVersion: required(string()),
  kind: required(string()),
  metadata: required(objectMeta),
  status: optional(ignored),
} as const;

export const tcpRouteSchema = object({ ...OBJECT, spec: required(object(SPEC)) });

export type TcpRouteManifest = ValueOf<typeof tcpRouteSchema>;

/** A host name, or `*.` before one for all names below it. */
const serverName: Schema<string> = {
  paths: [],
  shape: OPAQUE,
  read(place) {
    const text = string().read(place);
    if (typeof text !== "string" || !text.startsWith("*.")) return hostname.read(place);
    return string((value) => (HOST_BELOW.test(value) ? null : `"${value}" is not a host name`)).read(place);
  },
};

const HOST_BELOW = /^\*(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)+$/;

export const tlsRouteSchema = object({
  ...OBJECT,
  spec: required(
    checked(object({ ...SPEC, hostnames: withDefault(list(serverName, 1, 16), []) }), ({ hostnames }, complain) => {
      if (new Set(hostnames).size !== hostnames.length) complain("a name is given twice", "hostnames");
    }),
  ),
});

export type TlsRouteManifest = ValueOf<typeof tlsRouteSchema>;
