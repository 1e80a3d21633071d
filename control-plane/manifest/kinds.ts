/** Which kinds a source takes, and why it refuses the others. */
import { type AccessPolicyManifest, accessPolicySchema } from "./access-policy.ts";
import { type TcpRouteManifest, type TlsRouteManifest, tcpRouteSchema, tlsRouteSchema } from "./connection-route.ts";
import { type EndpointSliceManifest, endpointSliceSchema } from "./endpoint-slice.ts";
import { type GrpcRouteManifest, grpcRouteSchema } from "./grpc-route.ts";
import { type HttpRouteManifest, httpRouteSchema } from "./http-route.ts";
import { type MeshPolicyManifest, meshPolicySchema } from "./mesh-policy.ts";
import { type ReferenceGrantManifest, referenceGrantSchema } from "./reference-grant.ts";
import { type ResiliencePolicyManifest, resiliencePolicySchema } from "./resilience-policy.ts";
import type { Schema } from "./schema.ts";
import { type ServiceManifest, serviceSchema } from "./service.ts";
import { didYouMean } from "./suggest.ts";

export interface ManifestValues {
  readonly Service: ServiceManifest;
  readonly EndpointSlice: EndpointSliceManifest;
  readonly HTTPRoute: HttpRouteManifest;
  readonly GRPCRoute: GrpcRouteManifest;
  readonly TLSRoute: TlsRouteManifest;
  readonly TCPRoute: TcpRouteManifest;
  readonly ReferenceGrant: ReferenceGrantManifest;
  readonly ResiliencePolicy: ResiliencePolicyManifest;
  readonly AccessPolicy: AccessPolicyManifest;
  readonly MeshPolicy: MeshPolicyManifest;
}

export type ManifestKind = keyof ManifestValues;

interface Kind<K extends ManifestKind> {
  readonly apiVersions: readonly string[];
  readonly schema: Schema<ManifestValues[K]>;
}

export const OWN_API = "outrigger.dev/v1alpha1";

const CONNECTION_ROUTE = ["gateway.networking.k8s.io/v1", "gateway.networking.k8s.io/v1alpha2"];

export const KINDS: { readonly [K in ManifestKind]: Kind<K> } = {
  Service: { apiVersions: ["v1"], schema: serviceSchema },
  EndpointSlice: { apiVersions: ["discovery.k8s.io/v1"], schema: endpointSliceSchema },
  HTTPRoute: {
    apiVersions: ["gateway.networking.k8s.io/v1", "gateway.networking.k8s.io/v1beta1"],
    schema: httpRouteSchema,
  },
  GRPCRoute: { apiVersions: ["gateway.networking.k8s.io/v1"], schema: grpcRouteSchema },
  TLSRoute: { apiVersions: [...CONNECTION_ROUTE, "gateway.networking.k8s.io/v1alpha3"], schema: tlsRouteSchema },
  TCPRoute: { apiVersions: CONNECTION_ROUTE, schema: tcpRouteSchema },
  ReferenceGrant: {
    apiVersions: ["gateway.networking.k8s.io/v1", "gateway.networking.k8s.io/v1beta1"],
    schema: referenceGrantSchema,
  },
  ResiliencePolicy: { apiVersions: [OWN_API], schema: resiliencePolicySchema },
  AccessPolicy: { apiVersions: [OWN_API], schema: accessPolicySchema },
  MeshPolicy: { apiVersions: [OWN_API], schema: meshPolicySchema },
};

const REFUSED: Readonly<Record<string, string>> = {
  UDPRoute: "UDP is not carried",
  Gateway: "Outrigger serves calls between services (GAMMA), not gateways",
  Pod: "workloads of a local mesh register through their sidecars; a Pod is not read from a directory",
  Endpoints: "write an EndpointSlice (discovery.k8s.io/v1) instead",
  List: "write the items as documents of their own, separated by ---",
};

export function isManifestKind(kind: string): kind is ManifestKind {
  return Object.hasOwn(KINDS, kind);
}

/** Why a kind or its version is not taken, or null where it is. */
export function kindProblem(kind: string, apiVersion: string): string | null {
  if (isManifestKind(kind)) {
    const { apiVersions } = KINDS[kind];
    return apiVersions.includes(apiVersion)
      ? null
      : `${kind} is read as ${apiVersions.join(" or ")}, not "${apiVersion}"`;
  }
  const reason = Object.hasOwn(REFUSED, kind) ? REFUSED[kind] : undefined;
  return reason ?? `kind "${kind}" is not known${didYouMean(kind, Object.keys(KINDS))}`;
}
