/**
 * The mesh as the control plane sees it: manifests and registrations joined and resolved, as plain data. The parts of a
 * service are separate objects, so that a change of one (its endpoints) leaves the identity of the others alone and
 * only what was made from it is made again.
 */
import type { BreakerPolicy } from "../../model/cluster.ts";
import type { RetryCondition } from "../../model/route.ts";
import type { AccessPolicyManifest } from "../manifest/access-policy.ts";
import type { GrpcRouteRule } from "../manifest/grpc-route.ts";
import type { RouteRule } from "../manifest/http-route.ts";
import type { PortProtocol } from "../manifest/port-protocol.ts";
import type { Reach } from "./cluster.ts";

export interface MeshState {
  readonly trustDomain: string;
  readonly settings: MeshSettings;
  readonly mtls: MtlsPolicies;
  /** By `namespace/name`. */
  readonly services: ReadonlyMap<string, ServiceState>;
  readonly reach: Reach;
  /** By namespace. */
  readonly access: ReadonlyMap<string, readonly AccessPolicyManifest[]>;
  /** What is well-formed and yet not as its author meant: dangling references, conflicts. */
  readonly findings: readonly Finding[];
}

export interface Finding {
  /** `HTTPRoute/shop/orders` */
  readonly key: string;
  /** `file:line` */
  readonly source: string;
  readonly message: string;
  /** Set where it keeps the object, or what it refers to, from being in force. */
  readonly failure?: Failure;
}

/** In the words of Gateway API's conditions. */
export interface Failure {
  readonly condition: "Accepted" | "ResolvedRefs";
  readonly reason: FailureReason;
  /** Index among the object's parentRefs or targetRefs; null: all of them. */
  readonly ref: number | null;
}

export type FailureReason =
  | "NoMatchingParent"
  | "UnsupportedProtocol"
  | "Conflicted"
  | "TargetNotFound"
  | "Invalid"
  | "BackendNotFound"
  | "InvalidKind"
  | "RefNotPermitted";

export function targetNotFound(ref: number): Failure {
  return { condition: "Accepted", reason: "TargetNotFound", ref };
}

export interface ServiceState {
  readonly definition: ServiceDefinition;
  readonly traffic: TrafficPolicy;
  readonly routing: ServiceRouting;
  readonly opaque: OpaqueRouting;
  readonly peers: ServicePeers;
  /** By service port. */
  readonly endpoints: ReadonlyMap<number, readonly MeshEndpoint[]>;
}

export interface ServiceDefinition {
  readonly name: string;
  readonly namespace: string;
  readonly ports: readonly ServicePort[];
  readonly selector: Readonly<Record<string, string>> | null;
  /** Where intercepted callers find it. */
  readonly addresses: readonly string[];
  /** Callers are told its instances' own addresses (`clusterIP: None`). */
  readonly headless: boolean;
  /** `file:line`, "" for a service that exists only because a workload registered for it. */
  readonly source: string;
}

export interface ServicePort {
  readonly name: string;
  readonly port: number;
  readonly targetPort: number | string;
  /** What the application speaks there. */
  readonly protocol: PortProtocol;
}

/** How calls to the service are carried: what becomes of its clusters. Durations are ms. */
export interface TrafficPolicy {
  readonly connectMs: number;
  readonly breaker: BreakerPolicy | null;
  readonly limits: { readonly connections: number; readonly pending: number; readonly requests: number };
  readonly retryBudget: { readonly percent: number; readonly minimum: number };
  readonly outlier: {
    readonly consecutiveErrors: number;
    readonly openForMs: number;
    readonly maxEjectedPercent: number;
  } | null;
  readonly balancing: "RoundRobin" | "LeastRequest" | "Random";
  /** Whether HTTP/1.1 calls may travel between sidecars as streams of few connections. */
  readonly multiplex: boolean;
  readonly mode: "enforce" | "dry_run";
  /** Manifests that it comes from, "" for the defaults. */
  readonly source: string;
}

/** How one call is treated: what becomes of a route. Durations are ms; 0 is none. */
export interface CallPolicy {
  /** null: nothing was asked for, so that each kind of call has its own default. */
  readonly requestMs: number | null;
  readonly perTryMs: number;
  /** null: as for `requestMs`. */
  readonly idleMs: number | null;
  readonly retry: {
    readonly on: readonly RetryCondition[];
    readonly statusCodes: readonly number[];
    /** All attempts, the first one included. */
    readonly attempts: number;
    readonly backoff: { readonly baseMs: number; readonly maxMs: number };
    /** Whether failures that the application may have seen are retried for POST and PATCH too. */
    readonly nonIdempotent: boolean;
  };
}

export interface ServiceRouting {
  /** For requests of a service without routes. */
  readonly call: CallPolicy;
  /** Rules of the routes attached to this service, older route first. */
  readonly rules: readonly AttachedRule[];
}

/** How connections are treated whose bytes are not looked into. */
export interface OpaqueRouting {
  /** Without a byte in either direction, ms; 0: none. */
  readonly idleMs: number;
  /** Tries to connect, the first one included. */
  readonly connectAttempts: number;
  /** Rules of the TCPRoutes and TLSRoutes attached to the service, older route first. */
  readonly rules: readonly ConnectionRule[];
}

/** Where connections go. */
export interface ConnectionRule {
  readonly kind: "TCPRoute" | "TLSRoute";
  /** Unique name for logs: `shop/db/canary`. */
  readonly name: string;
  /** Port of the service that it holds for. */
  readonly port: number;
  /** A consumer route: only for clients in this namespace; null: for all. */
  readonly clientNamespace: string | null;
  /** Servers that the application's own TLS asks for; of a TCPRoute none, of a TLSRoute without names `*`. */
  readonly serverNames: readonly string[];
  /** Clusters with weights above 0; one of a backend that can't be resolved names none that exists. */
  readonly backends: readonly { readonly cluster: string; readonly weight: number }[];
}

/** A rule of an HTTPRoute or a GRPCRoute. */
export type AttachedRule = AttachedRuleParts &
  (
    | { readonly kind: "HTTPRoute"; readonly rule: RouteRule }
    | { readonly kind: "GRPCRoute"; readonly rule: GrpcRouteRule }
  );

export interface AttachedRuleParts {
  /** `namespace/name` of the route. */
  readonly route: string;
  /** Unique name for logs and metrics: `shop/orders/canary`. */
  readonly name: string;
  /** Ports of the service that it holds for. */
  readonly ports: readonly number[];
  /** A consumer route: only for clients in this namespace; null: for all. */
  readonly clientNamespace: string | null;
  /** Cluster of each of `rule.backendRefs`; null: it can't be resolved. */
  readonly backends: readonly (string | null)[];
  /** Cluster of each mirror among `rule.filters`, in their order; null: it can't be resolved. */
  readonly mirrors: readonly (string | null)[];
  readonly call: CallPolicy;
}

export interface ServicePeers {
  /** SPIFFE ids under which the service may answer, sorted. */
  readonly identities: readonly string[];
  /** Whether some endpoints speak plaintext: outside of the mesh, or at ports where mutual TLS is disabled. */
  readonly plaintext: boolean;
}

export interface MeshEndpoint {
  readonly host: string;
  /** Further addresses of the same instance, with the same port. */
  readonly additionalHosts: readonly string[];
  readonly port: number;
  /** For people and metrics. */
  readonly workload: string;
  readonly zone: string;
  /** Whether a sidecar answers with mutual TLS. */
  readonly mtls: boolean;
}

/**
 * `STRICT`: mutual TLS alone. `PERMISSIVE`: plaintext and the application's own TLS besides. `DISABLE`: these, and no
 * mutual TLS.
 */
export type MtlsMode = "STRICT" | "PERMISSIVE" | "DISABLE";

export interface MtlsModes {
  /** For ports that are not listed; null: nothing is said. */
  readonly mode: MtlsMode | null;
  /** By the port that the application listens at. */
  readonly ports: readonly { readonly port: number; readonly mode: MtlsMode }[];
}

export interface MtlsPolicies {
  readonly mesh: MtlsModes;
  /** For the workloads of single namespaces, older policy first. */
  readonly namespaces: readonly (MtlsModes & { readonly namespace: string })[];
  /** For the workloads behind single services (`namespace/name`), older policy first. */
  readonly services: readonly (MtlsModes & { readonly service: string })[];
}

export interface MeshSettings {
  readonly tracing: { readonly samplingPercent: number; readonly endpoint: string } | null;
  readonly accessLog: "Off" | "On" | "Errors";
  /** What becomes of intercepted calls to what the mesh does not know. */
  readonly egress: "AllowAny" | "RegistryOnly";
  readonly detection: DetectionSettings;
  /** `OnDemand`: sidecars are told of their own namespace and of what they ask for. */
  readonly reach: "All" | "OnDemand";
}

/** How the protocol of a connection is found where none was declared. Durations are ms. */
export interface DetectionSettings {
  /** Silence of both sides after which a connection is opaque; 0: never. */
  readonly timeoutMs: number;
  /** Silence of the client after which the server is listened to. */
  readonly serverFirstAfterMs: number;
}

export const DEFAULT_SETTINGS: MeshSettings = {
  tracing: null,
  accessLog: "Off",
  egress: "AllowAny",
  detection: { timeoutMs: 15_000, serverFirstAfterMs: 20 },
  reach: "All",
};

export function serviceKey(namespace: string, name: string): string {
  return `${namespace}/${name}`;
}
