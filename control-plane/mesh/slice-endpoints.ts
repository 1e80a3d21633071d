/** The instances that EndpointSlices tell of: one with addresses of both families has an entry in two slices. */
import type { ManifestOf } from "../manifest/parse.ts";
import type { MeshEndpoint, ServicePort } from "./state.ts";

export type SliceManifest = ManifestOf<"EndpointSlice">;

export type SliceEndpoint = SliceManifest["value"]["endpoints"][number];

/** What a slice alone does not tell of one of its endpoints. */
export interface EndpointFacts {
  /** Where it takes calls to the port that the slice gives. */
  readonly port: number;
  readonly mtls: boolean;
  readonly zone: string;
  /** For people and metrics. */
  readonly workload: string;
}

/** null: it is not known how the endpoint is to be called, so that nobody calls it. */
export type FactsOf = (slice: SliceManifest, endpoint: SliceEndpoint, port: number) => EndpointFacts | null;

interface Found {
  readonly endpoint: MeshEndpoint;
  readonly family: "IPv4" | "IPv6";
  /** What the slice calls the instance; "": nothing. */
  readonly instance: string;
  readonly leaving: boolean;
}

/**
 * Endpoints of one port of a service: those that are ready, else those that are leaving and serve still, as kube-proxy
 * does it. Entries of an IPv4 and an IPv6 slice with one `targetRef`, or one `hostname` where there is none, are one
 * instance, whose IPv4 address comes first. Those of `registered` workloads are left out.
 */
export function sliceEndpoints(
  slices: readonly SliceManifest[],
  port: ServicePort,
  onlyPort: boolean,
  registered: readonly MeshEndpoint[],
  factsOf: FactsOf,
): readonly MeshEndpoint[] {
  if (slices.length === 0) return [];
  const known = new Set(registered.flatMap(placesOf));
  const found = slices.flatMap((slice) => endpointsOf(slice, port, onlyPort, factsOf));
  const staying = found.filter(({ leaving }) => !leaving);
  return oneForEach(staying.length === 0 && registered.length === 0 ? found : staying).filter(
    (endpoint) => !placesOf(endpoint).some((place) => known.has(place)),
  );
}

function endpointsOf(slice: SliceManifest, port: ServicePort, onlyPort: boolean, factsOf: FactsOf): readonly Found[] {
  const { value } = slice;
  const target = value.ports.find(({ name }) => name === port.name) ?? (onlyPort ? value.ports[0] : undefined);
  if (!target) return [];
  return value.endpoints.filter(takesCalls).flatMap((endpoint): readonly Found[] => {
    const facts = factsOf(slice, endpoint, target.port);
    if (facts === null) return [];
    return [
      {
        endpoint: { host: endpoint.addresses[0] ?? "", additionalHosts: [], ...facts },
        family: value.addressType,
        instance: instanceOf(endpoint, `${target.port} ${facts.mtls}`),
        leaving: endpoint.conditions?.terminating ?? false,
      },
    ];
  });
}

function takesCalls({ conditions }: SliceEndpoint): boolean {
  if (conditions === null) return true;
  return conditions.terminating ? (conditions.serving ?? conditions.ready) : conditions.ready;
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
