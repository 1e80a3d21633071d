/** Which version of HTTP the application behind a Service's port speaks: by `appProtocol`, else by the port's name. */

/**
 * `http1` and `http2` are what every call is turned into; `grpc` is HTTP/2 whose calls are all gRPC; `any`: nothing was
 * declared, so that the application gets what its caller spoke.
 */
export type PortProtocol = "http1" | "http2" | "grpc" | "any";

/** Values of `appProtocol` that are carried: Kubernetes' standard ones, and those that meshes know besides. */
export const APP_PROTOCOLS: Readonly<Record<string, PortProtocol>> = {
  http: "http1",
  "kubernetes.io/ws": "http1",
  http2: "http2",
  "kubernetes.io/h2c": "http2",
  grpc: "grpc",
};

const ENCRYPTED = "let the application speak plaintext, its sidecar encrypts";

const NOT_CARRIED: Readonly<Record<string, string>> = {
  https: ENCRYPTED,
  tls: ENCRYPTED,
  "kubernetes.io/wss": ENCRYPTED,
  tcp: "only HTTP is",
};

/** What is wrong with an `appProtocol`, or null. */
export function appProtocolProblem(value: string): string | null {
  if (Object.hasOwn(APP_PROTOCOLS, value)) return null;
  const reason = Object.hasOwn(NOT_CARRIED, value)
    ? NOT_CARRIED[value]
    : `${Object.keys(APP_PROTOCOLS).join(", ")} are`;
  return `"${value}" is not carried yet: ${reason}`;
}

/** Istio's convention for names of ports: a protocol, alone or followed by `-` and anything (`grpc-orders`). */
const NAME_PREFIXES: Readonly<Record<string, PortProtocol>> = { http: "http1", http2: "http2", grpc: "grpc" };

/** Prefixes of names that say: this is no HTTP. */
const OTHER_PREFIXES = ["https", "tls", "tcp", "udp", "mongo", "mysql", "redis"];

/** `appProtocol` decides where there is one. */
export function portProtocol(name: string, appProtocol: string | null): PortProtocol {
  const declared = appProtocol === null ? undefined : APP_PROTOCOLS[appProtocol];
  if (declared !== undefined) return declared;
  // gRPC-Web is a protocol of its own, on either version of HTTP.
  if (name === "grpc-web" || name.startsWith("grpc-web-")) return "any";
  const prefix = prefixOf(name);
  return Object.hasOwn(NAME_PREFIXES, prefix) ? (NAME_PREFIXES[prefix] ?? "any") : "any";
}

/** The protocol that a port's name announces and that is not carried, or null. */
export function otherProtocol(name: string, appProtocol: string | null): string | null {
  const prefix = prefixOf(name);
  return appProtocol === null && OTHER_PREFIXES.includes(prefix) ? prefix : null;
}

function prefixOf(name: string): string {
  return name.split("-", 1)[0] ?? "";
}
