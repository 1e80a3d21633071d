/** What the application behind a Service's port speaks: by `appProtocol`, else by the port's name. */

/**
 * Versions of HTTP. `http1` and `http2` are what every call is turned into; `grpc` is HTTP/2 whose calls are all gRPC;
 * `any`: the application gets what its caller spoke.
 */
export type HttpProtocol = "http1" | "http2" | "grpc" | "any";

/**
 * `tcp`: bytes that are not looked into; `tls`: the same, encrypted by the application itself, so that only the server's
 * name is known. `detected`: nothing was declared, each connection tells.
 */
export type PortProtocol = HttpProtocol | "detected" | "tcp" | "tls";

/** Protocols whose names (IANA's, and those that meshes know) say: bytes. */
const OPAQUE_NAMES = [
  "tcp",
  "amqp",
  "cassandra",
  "ftp",
  "imap",
  "kafka",
  "ldap",
  "memcached",
  "mongo",
  "mongodb",
  "mqtt",
  "mysql",
  "nats",
  "pop3",
  "postgres",
  "postgresql",
  "redis",
  "smtp",
  "ssh",
];

function opaque(): Readonly<Record<string, PortProtocol>> {
  return Object.fromEntries(OPAQUE_NAMES.map((name) => [name, "tcp"]));
}

/** Values of `appProtocol` that are carried: Kubernetes' standard ones, and those that meshes know besides. */
export const APP_PROTOCOLS: Readonly<Record<string, PortProtocol>> = {
  http: "http1",
  "kubernetes.io/ws": "http1",
  http2: "http2",
  "kubernetes.io/h2c": "http2",
  grpc: "grpc",
  https: "tls",
  tls: "tls",
  "kubernetes.io/wss": "tls",
  ...opaque(),
};

/** What is wrong with an `appProtocol`, or null. */
export function appProtocolProblem(value: string): string | null {
  if (Object.hasOwn(APP_PROTOCOLS, value)) return null;
  return `"${value}" is not known: ${Object.keys(APP_PROTOCOLS).join(", ")} are`;
}

/** Istio's convention for names of ports: a protocol, alone or followed by `-` and anything (`grpc-orders`). */
const NAME_PREFIXES: Readonly<Record<string, PortProtocol>> = {
  http: "http1",
  http2: "http2",
  grpc: "grpc",
  https: "tls",
  tls: "tls",
  ...opaque(),
};

/** `appProtocol` decides where there is one. */
export function portProtocol(name: string, appProtocol: string | null): PortProtocol {
  const declared = appProtocol === null ? undefined : APP_PROTOCOLS[appProtocol];
  return declared ?? namedProtocol(name) ?? "detected";
}

/** What a port's name says, or null. */
export function namedProtocol(name: string): PortProtocol | null {
  // gRPC-Web is a protocol of its own, on either version of HTTP.
  if (name === "grpc-web" || name.startsWith("grpc-web-")) return "any";
  const prefix = name.split("-", 1)[0] ?? "";
  return Object.hasOwn(NAME_PREFIXES, prefix) ? (NAME_PREFIXES[prefix] ?? null) : null;
}

/** The version of HTTP that may be spoken on a port; null: none. */
export function httpOf(protocol: PortProtocol): HttpProtocol | null {
  if (protocol === "detected") return "any";
  return protocol === "tcp" || protocol === "tls" ? null : protocol;
}

/** Whether connections to a port may be carried as bytes. */
export function mayBeOpaque(protocol: PortProtocol): boolean {
  return protocol === "detected" || protocol === "tcp" || protocol === "tls";
}
