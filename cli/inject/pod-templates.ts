/** Where Kubernetes objects have pods in them, and which pod each would make. */
import { isObject, type JsonObject, type JsonValue, listOf, objectOf, textOf } from "../../control-plane/json.ts";

export type Path = readonly (string | number)[];

export interface PodTemplate {
  /** Of the template in the document; empty: the document is a pod. */
  readonly path: Path;
  /** Of the object that has the template: the document, or an item of a list. */
  readonly objectPath: Path;
  /** `Deployment shop/web`. */
  readonly object: string;
  readonly namespace: string;
  readonly template: JsonObject;
  /** The pod that the object's controller would make, as far as it is known before. */
  readonly pod: JsonObject;
}

const TEMPLATE = ["spec", "template"];
const PLACES: Readonly<Record<string, readonly string[]>> = {
  Pod: [],
  Deployment: TEMPLATE,
  StatefulSet: TEMPLATE,
  DaemonSet: TEMPLATE,
  ReplicaSet: TEMPLATE,
  ReplicationController: TEMPLATE,
  Job: TEMPLATE,
  CronJob: ["spec", "jobTemplate", "spec", "template"],
};

/** `namespace`: of objects that name none. Lists are looked through. */
export function podTemplates(document: JsonValue, namespace: string, at: Path = []): readonly PodTemplate[] {
  if (!isObject(document)) return [];
  const kind = textOf(document["kind"]);
  if (kind === "List" || (kind.endsWith("List") && Array.isArray(document["items"]))) {
    return listOf(document["items"]).flatMap((item, i) => podTemplates(item, namespace, [...at, "items", i]));
  }
  const place = Object.hasOwn(PLACES, kind) ? PLACES[kind] : undefined;
  if (place === undefined) return [];
  const template = place.reduce<JsonValue | undefined>((value, name) => objectOf(value)[name], document);
  if (!isObject(template)) return [];
  const metadata = objectOf(document["metadata"]);
  const name = textOf(metadata["name"]);
  const space = textOf(metadata["namespace"]) || namespace;
  return [
    {
      path: [...at, ...place],
      objectPath: at,
      object: `${kind} ${space}/${name || textOf(metadata["generateName"])}`,
      namespace: space,
      template,
      pod: place.length === 0 ? template : podOf(template, kind, name, space),
    },
  ];
}

/** With the owner that a pod of it will have, from which the workload's name comes. */
function podOf(template: JsonObject, kind: string, name: string, namespace: string): JsonObject {
  const owner = { apiVersion: "", kind, name, uid: "", controller: true };
  const metadata = { ...objectOf(template["metadata"]), namespace, ownerReferences: [owner] };
  return { ...template, metadata };
}

/** The template that would make `pod`, the other way round. */
export function templateOf({ path, template }: PodTemplate, pod: JsonObject): JsonObject {
  if (path.length === 0 || pod["kind"] === "Pod") return pod;
  const { namespace, ownerReferences, ...rest } = objectOf(pod["metadata"]);
  const given = objectOf(template["metadata"]);
  return { ...pod, metadata: { ...rest, ...kept("namespace", given), ...kept("ownerReferences", given) } };
}

function kept(name: string, given: JsonObject): JsonObject {
  const value = given[name];
  return value === undefined ? {} : { [name]: value };
}
