/** The instances that EndpointSlices tell of: one with addresses of both families has an entry in two slices. */
import { SERVICE_ACCOUNT_LABEL } from "../manifest/endpoint-slice.ts";
import type { ManifestOf } from "../manifest/parse.ts";
import type { MeshEndpoint, ServicePort } from "./state.ts";

export type SliceManifest = ManifestOf<"EndpointSlice">;

type SliceEndpoint = SliceManifest["value"]["endpoints"][number];

interface Found {
  readonly endpoint: MeshEndpoint;
  readonly family: "IPv4" | "IPv6";
  /** What the slice calls the instance; "": nothing. */
  readonly instance: string;
}

/**
 * Endpoints of one port of a service. Entries of an IPv4 and an IPv6 slice with one `targetRef`, or one `hostname` where
 * there is none, are one instance, whose IPv4 address comes first. Those of `registered` workloads are left out.
 */
export function sliceEndpoints(
  slices: readonly SliceManifest[],
  port: ServicePort,
  onlyPort: boolean,
  registered: readonly MeshEndpoint[],
): readonly MeshEndpoint[] {
  if (slices.length === 0) return [];
  const known = new Set(registered.flatMap(placesOf));
  return oneForEach(slices.flatMap((slice) => endpointsOf(slice, port, onlyPort))).filter(
    (endpoint) => !placesOf(endpoint).some((place) => known.has(place)),
  );
}

function endpointsOf({ value }: SliceManifest, port: ServicePort, onlyPort: boolean): readonly Found[] {
  const target = value.ports.find(({ name }) => name === port.name) ?? (onlyPort ? value.ports[0] : undefined);
  if (!target) return [];
  const mtls = value.metadata.labels[SERVICE_ACCOUNT_LABEL] !== undefined;
  return value.endpoints
    .filter(({ conditions }) => conditions === null || (conditions.ready && !conditions.terminating))
    .map((endpoint) => ({
      endpoint: {
        host: endpoint.addresses[0] ?? "",
        additionalHosts: [],
        port: target.port,
        workload: endpoint.hostname ?? "",
        zone: endpoint.zone,
        mtls,
      },
      family: value.addressType,
      instance: instanceOf(endpoint, `${target.port} ${mtls}`),
    }));
}

/** Two ports, or two ways of calling, are two endpoints, whoever is behind them. */
function instanceOf({ targetRef, hostname }: SliceEndpoint, way: string): string {
  if (targetRef !== null && targetRef.name !== "") {
    return `${targetRef.kind} ${targetRef.namespace} ${targetRef.name} ${way}`;
  }
  return hostname === null || hostname === "" ? "" : `${hostname} ${way}`;
}

function oneForEach(found: readonly Found[]): readonly MeshEndpoint[] {
  const ofFamily = (family: Found["family"]): readonly Found[] => found.filter((entry) => entry.family === family);
  const others = new Map<string, string>();
  for (const { instance, endpoint } of ofFamily("IPv6")) {
    if (instance !== "" && !others.has(instance)) others.set(instance, endpoint.host);
  }
  const joined = new Set<string>();
  const first = ofFamily("IPv4").map(({ instance, endpoint }): MeshEndpoint => {
    const other = others.get(instance);
    if (other === undefined || joined.has(other)) return endpoint;
    joined.add(other);
    return { ...endpoint, additionalHosts: [other] };
  });
  return [...first, ...ofFamily("IPv6").flatMap(({ endpoint }) => (joined.has(endpoint.host) ? [] : [endpoint]))];
}

function placesOf({ host, additionalHosts, port }: MeshEndpoint): readonly string[] {
  return [host, ...additionalHosts].map((one) => `${one} ${port}`);
}
