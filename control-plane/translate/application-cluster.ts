/** The clusters behind which the application stands, and those of connections that the mesh has no service for. */
import { isIPv6 } from "node:net";
import type { CircuitBreakerLimits, Cluster } from "../../model/cluster.ts";
import { INBOUND_SOURCE } from "../../model/interception.ts";
import { isInterceptedInbound, type Workload } from "../mesh/workload.ts";
import { endpointSet } from "./cluster.ts";
import { CLUSTER } from "./envoy-defaults.ts";
import type { InboundPort } from "./inbound-port.ts";
import { HTTP2, upstreamProtocol } from "./mesh-protocol.ts";
import { BLACK_HOLE_CLUSTER, INBOUND_PASSTHROUGH_CLUSTER, inboundClusterName, PASSTHROUGH_CLUSTER } from "./names.ts";

/** To the application beside the sidecar; shortened further once the application is seen to close earlier. */
const APPLICATION_IDLE_MS = 60_000;

/** An endpoint that nobody has called for so long is forgotten. Envoy's default. */
const CLEANUP_MS = 5000;

/** Envoy's largest number. Who calls is held to limits by its own sidecar, or by nobody. */
const NO_LIMIT = 2 ** 32 - 1;

const UNLIMITED: CircuitBreakerLimits = {
  ...CLUSTER.limits.default,
  maxConnections: NO_LIMIT,
  maxPendingRequests: NO_LIMIT,
  maxRequests: NO_LIMIT,
};

const ORIGINAL_DESTINATION: Pick<Cluster, "discovery" | "lbPolicy"> = {
  discovery: { kind: "original_dst", cleanupIntervalMs: CLEANUP_MS },
  lbPolicy: { kind: "cluster_provided" },
};

/** From an address by which the rules of interception know that the call goes to the application. */
const FROM_SIDECAR: Pick<Cluster, "bindAddress" | "extraBindAddresses"> = {
  bindAddress: { kind: "tcp", host: INBOUND_SOURCE[4], port: 0 },
  extraBindAddresses: [{ kind: "tcp", host: INBOUND_SOURCE[6], port: 0 }],
};

/** The application at one of its ports. */
export function inboundCluster(workload: Workload, { port, http, opaque }: InboundPort): Cluster {
  const name = inboundClusterName(port);
  return {
    ...CLUSTER,
    name,
    ...(isInterceptedInbound(workload) ? { ...ORIGINAL_DESTINATION, ...FROM_SIDECAR } : atItsAddress(workload, name)),
    connectTimeoutMs: 1000,
    ...(opaque && { limits: { default: UNLIMITED, high: UNLIMITED } }),
    http: {
      ...CLUSTER.http,
      ...upstreamProtocol(http ?? "http1", HTTP2),
      idleTimeoutMs: APPLICATION_IDLE_MS,
    },
    outrigger: {
      breaker: null,
      probeBeforeReadmission: false,
      mode: "enforce",
      learnIdleTimeout: true,
      multiplex: false,
      service: { name: workload.service, namespace: workload.namespace, port },
      source: "",
    },
  };
}

/** Called from inside its network namespace, where it has one of its own. */
function atItsAddress(
  { appAddress, appPort, id, interception }: Workload,
  name: string,
): Pick<Cluster, "discovery"> & Partial<Cluster> {
  const application = { host: appAddress, additionalHosts: [], port: appPort, workload: id, zone: "", mtls: true };
  const networkNamespace = interception?.networkNamespace ?? "";
  return {
    discovery: { kind: "static", endpoints: endpointSet(name, [application]) },
    ...(networkNamespace !== "" && {
      bindAddress: { kind: "tcp", host: isIPv6(appAddress) ? "::1" : "127.0.0.1", port: 0, networkNamespace },
    }),
  };
}

/** The application at ports that the mesh knows nothing of. */
export const INBOUND_PASSTHROUGH: Cluster = {
  ...CLUSTER,
  name: INBOUND_PASSTHROUGH_CLUSTER,
  ...ORIGINAL_DESTINATION,
  ...FROM_SIDECAR,
  connectTimeoutMs: 1000,
  limits: { default: UNLIMITED, high: UNLIMITED },
};

/** Where calls to what the mesh does not know were going. */
export const PASSTHROUGH: Cluster = {
  ...CLUSTER,
  name: PASSTHROUGH_CLUSTER,
  ...ORIGINAL_DESTINATION,
  limits: { default: UNLIMITED, high: UNLIMITED },
};

/** Nowhere. */
export const BLACK_HOLE: Cluster = {
  ...CLUSTER,
  name: BLACK_HOLE_CLUSTER,
  discovery: { kind: "static", endpoints: endpointSet(BLACK_HOLE_CLUSTER, []) },
};
