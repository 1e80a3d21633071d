/**
 * Objects of an API server as manifests. Of Kubernetes' own kinds the fields that the mesh knows are taken and the others
 * left, since each release adds some; what the mesh does not carry (UDP, ExternalName) is left out without a complaint.
 * Routes and policies are read as strictly as from a file: a field that is not understood might be the one that matters.
 */
import { messageOf, type Problem } from "../../../core/errors.ts";
import { SERVICE_NAME_LABEL } from "../../manifest/endpoint-slice.ts";
import { KINDS, type ManifestKind } from "../../manifest/kinds.ts";
import { type Manifest, readObject } from "../../manifest/parse.ts";
import { APP_PROTOCOLS } from "../../manifest/port-protocol.ts";
import { isObject, type JsonObject } from "../api.ts";
import { objectAt, objectsAt, pick, textAt, textsAt } from "./fields.ts";

/** What is said of an object's origin where a file would be named. */
export const ORIGIN = "kubernetes";

/** What an object of the cluster comes to. */
export interface ManifestEntry {
  /** `HTTPRoute/shop/orders` */
  readonly key: string;
  /** null: there is none, or none that the mesh carries. */
  readonly manifest: Manifest | null;
  /** Why it is not in force as it is written; `manifest` is the last good version then, if there was one. */
  readonly problems: readonly Problem[];
  /** Unix ms; the older of two that claim the same wins. */
  readonly createdAt: number;
  /** `metadata.generation`, 0 where it does not count. */
  readonly generation: number;
}

/** `last` is what the object was before. Never throws. */
export function readManifest(kind: ManifestKind, object: JsonObject, last: ManifestEntry | undefined): ManifestEntry {
  const metadata = objectAt(object, "metadata");
  const created = Date.parse(textAt(metadata, "creationTimestamp"));
  const generation = metadata["generation"];
  const entry = {
    key: `${kind}/${textAt(metadata, "namespace") || "default"}/${textAt(metadata, "name")}`,
    createdAt: Number.isNaN(created) ? 0 : created,
    generation: hasStatus(kind) && typeof generation === "number" ? generation : 0,
  };
  const adapted = adapt(kind, object);
  if (adapted === null) return { ...entry, manifest: null, problems: [] };
  const [apiVersion = ""] = KINDS[kind].apiVersions;
  try {
    const whole = {
      apiVersion: textAt(object, "apiVersion") || apiVersion,
      kind,
      metadata: readMetadata(metadata),
      ...adapted,
    };
    const { manifest, problems } = readObject(ORIGIN, whole);
    return { ...entry, manifest: manifest ?? last?.manifest ?? null, problems };
  } catch (error) {
    const problem: Problem = { message: `cannot be read: ${messageOf(error)}`, resource: entry.key, file: ORIGIN };
    return { ...entry, manifest: last?.manifest ?? null, problems: [problem] };
  }
}

/** Whether the mesh's conditions are written to objects of a kind. */
export function hasStatus(kind: ManifestKind): boolean {
  return kind !== "Service" && kind !== "EndpointSlice" && kind !== "ReferenceGrant";
}

/** Without what other programs keep there, which changes often and can be long. */
function readMetadata(metadata: JsonObject): JsonObject {
  const annotations = Object.entries(textsAt(metadata, "annotations")).filter(([name]) =>
    /outrigger\.dev\//.test(name),
  );
  return {
    ...pick(metadata, ["name", "namespace", "creationTimestamp"]),
    labels: textsAt(metadata, "labels"),
    annotations: Object.fromEntries(annotations),
  };
}

/** The object's fields besides `metadata`; null: it is not for the mesh. */
function adapt(kind: ManifestKind, object: JsonObject): JsonObject | null {
  if (kind === "Service") return adaptService(objectAt(object, "spec"));
  if (kind === "EndpointSlice") return adaptSlice(object);
  const spec = objectAt(object, "spec");
  return isRouteKind(kind) ? adaptRoute(kind, spec) : { spec };
}

function isRouteKind(kind: ManifestKind): boolean {
  return kind.endsWith("Route");
}

/** Whether a route's parent is for a mesh (GAMMA), not for a Gateway's controller. */
export function isMeshParent({ group, kind }: JsonObject): boolean {
  return kind === "Service" && (group === undefined || group === "" || group === "core");
}

/** A route may have a Gateway for a parent, too, and then host names that are for that one. */
function adaptRoute(kind: ManifestKind, spec: JsonObject): JsonObject | null {
  const parents = objectsAt(spec, "parentRefs");
  const own = parents.filter(isMeshParent);
  if (own.length === 0) return null;
  const { hostnames, ...others } = spec;
  const shared = own.length < parents.length && kind !== "TLSRoute";
  return { spec: { ...others, ...(shared || hostnames === undefined ? {} : { hostnames }), parentRefs: own } };
}

function adaptService(spec: JsonObject): JsonObject | null {
  const ports = tcpPorts(objectsAt(spec, "ports")).map((port) => ({
    ...pick(port, ["name", "port", "targetPort", "protocol"]),
    // One that nobody knows here is one that was not declared.
    ...(Object.hasOwn(APP_PROTOCOLS, textAt(port, "appProtocol")) ? pick(port, ["appProtocol"]) : {}),
  }));
  // ExternalName is a name of what is outside of the mesh: calls find its address by DNS, and are calls to the outside.
  if (spec["type"] === "ExternalName" || ports.length === 0) return null;
  return { spec: { ...pick(spec, ["type", "selector", "clusterIP", "clusterIPs"]), ports } };
}

function adaptSlice(object: JsonObject): JsonObject | null {
  const ports = tcpPorts(objectsAt(object, "ports")).filter(({ port }) => typeof port === "number");
  const service = textsAt(objectAt(object, "metadata"), "labels")[SERVICE_NAME_LABEL];
  const { addressType } = object;
  if ((addressType !== "IPv4" && addressType !== "IPv6") || ports.length === 0 || service === undefined) return null;
  return {
    addressType,
    ports: ports.map((port) => pick(port, ["name", "port", "protocol"])),
    endpoints: objectsAt(object, "endpoints").map((endpoint) => ({
      ...pick(endpoint, ["addresses", "hostname", "zone", "nodeName"]),
      conditions: pick(objectAt(endpoint, "conditions"), ["ready", "serving", "terminating"]),
      ...(isObject(endpoint["targetRef"])
        ? { targetRef: pick(endpoint["targetRef"], ["kind", "namespace", "name"]) }
        : {}),
    })),
  };
}

function tcpPorts(ports: readonly JsonObject[]): readonly JsonObject[] {
  return ports.filter(({ protocol }) => protocol == null || protocol === "TCP");
}
