/**
 * What the API server asks (AdmissionReview, `admission.k8s.io/v1`) and what it is answered: a patch, or that the pod
 * may be as it is. A pod is only refused for what it asks for itself; whatever else is wrong lets it be.
 */

import { isObject, type JsonObject, type JsonValue, objectOf, objectsOf, textOf } from "../json.ts";
import { injectPod } from "./inject-pod.ts";
import { jsonPatch } from "./json-patch.ts";
import type { InjectorSettings } from "./settings.ts";
import { injectionWanted } from "./wanted.ts";

const API_VERSION = "admission.k8s.io/v1";
/** Kubernetes passes no more on, and less of all together. */
const LONGEST_WARNING = 256;
const MOST_WARNINGS = 10;

/** Not what an API server sends; safe to tell whoever did. */
export class MalformedReview extends Error {
  constructor(message: string) {
    super(message);
    this.name = "MalformedReview";
  }
}

/** A pod that was to have a sidecar and has none: material for an event (`events.k8s.io/v1`) at its owner. */
export interface InjectionEvent {
  readonly namespace: string;
  /** What the event is about: the pod's controller, else the pod. A pod that is being made has no uid yet. */
  readonly regarding: {
    readonly apiVersion: string;
    readonly kind: string;
    readonly name: string;
    readonly uid: string;
  };
  readonly reason: string;
  readonly message: string;
}

export type AdmissionOutcome = "injected" | "unchanged" | "not-wanted" | "refused" | "invalid";

export interface Answer {
  /** The AdmissionReview to send. */
  readonly review: JsonObject;
  readonly outcome: AdmissionOutcome;
  /** null: nothing to tell, or only tried (`dryRun`). */
  readonly event: InjectionEvent | null;
  /** The namespace that is about to have a pod with a sidecar; null: none, or only tried. */
  readonly injectedInto: string | null;
}

export interface AdmissionContext {
  readonly settings: InjectorSettings;
  /**
   * The Namespace object; null where it cannot be had. Then a pod counts as asked for by its namespace, since the
   * webhook's own selectors let only such pods come here.
   */
  readonly namespace: (name: string) => Promise<JsonObject | null>;
}

/** Answers a review. Rejects with a MalformedReview for what is none. */
export async function answerReview(review: JsonValue, { settings, namespace }: AdmissionContext): Promise<Answer> {
  const request = requestOf(review);
  const uid = textOf(request["uid"]);
  const pod = podOf(request);
  const letBe = (outcome: AdmissionOutcome): Answer => answer(uid, { allowed: true }, outcome);
  if (pod === null) return letBe("not-wanted");
  const place = textOf(request["namespace"]) || textOf(objectOf(pod["metadata"])["namespace"]);
  const home = (await namespace(place).catch(unreadable)) ?? asked(place);
  if (!injectionWanted(pod, home, settings.ignoredNamespaces).wanted) return letBe("not-wanted");
  const dryRun = request["dryRun"] === true;
  const result = injectPod(pod, home, settings);
  switch (result.kind) {
    case "injected": {
      const patch = jsonPatch(pod, result.pod);
      const warnings = result.warnings.map((text) => `outrigger: ${text}`);
      const response = { allowed: true, ...warned(warnings), ...(patch.length > 0 && patched(patch)) };
      const injectedInto = dryRun ? null : place;
      return { ...answer(uid, response, patch.length > 0 ? "injected" : "unchanged"), injectedInto };
    }
    case "kept":
      return letBe("unchanged");
    case "refused": {
      const { reason, message } = result;
      const response = { allowed: true, ...warned([`outrigger: no sidecar: ${message}`]) };
      const event = dryRun ? null : eventOf(pod, place, reason, message);
      return { ...answer(uid, response, "refused"), event };
    }
    case "invalid": {
      const message = `outrigger cannot inject its sidecar as the pod asks: ${result.problems.join("; ")}`;
      const status = { code: 400, reason: "BadRequest", message };
      return answer(uid, { allowed: false, status }, "invalid");
    }
  }
}

function requestOf(review: JsonValue): JsonObject {
  if (!isObject(review)) throw new MalformedReview("not a JSON object");
  const { apiVersion, kind, request } = review;
  if (kind !== "AdmissionReview" || apiVersion !== API_VERSION) {
    throw new MalformedReview(
      `expected an AdmissionReview of ${API_VERSION}, not ${JSON.stringify(kind)} of ${JSON.stringify(apiVersion)}`,
    );
  }
  if (!isObject(request)) throw new MalformedReview("the AdmissionReview has no request");
  if (textOf(request["uid"]) === "") throw new MalformedReview("the request has no uid");
  return request;
}

/** The pod that is about to be made; null: the request is about something else, which is none of our business. */
function podOf(request: JsonObject): JsonObject | null {
  const { operation, subResource = "", object } = request;
  const resource = objectOf(request["resource"]);
  const isPod = resource["group"] === "" && resource["resource"] === "pods" && subResource === "";
  if (!isPod || operation !== "CREATE" || !isObject(object)) return null;
  return objectsOf(objectOf(object["spec"])["containers"]).length > 0 ? object : null;
}

function asked(name: string): JsonObject {
  return { metadata: { name, labels: { "outrigger.dev/inject": "enabled" } } };
}

function unreadable(): null {
  return null;
}

function answer(uid: string, response: JsonObject, outcome: AdmissionOutcome): Answer {
  const review = { apiVersion: API_VERSION, kind: "AdmissionReview", response: { uid, ...response } };
  return { review, outcome, event: null, injectedInto: null };
}

function patched(patch: ReturnType<typeof jsonPatch>): JsonObject {
  return { patchType: "JSONPatch", patch: Buffer.from(JSON.stringify(patch)).toString("base64") };
}

function warned(warnings: readonly string[]): JsonObject {
  if (warnings.length === 0) return {};
  return { warnings: warnings.slice(0, MOST_WARNINGS).map((text) => text.slice(0, LONGEST_WARNING)) };
}

function eventOf(pod: JsonObject, namespace: string, reason: string, message: string): InjectionEvent {
  const metadata = objectOf(pod["metadata"]);
  const owners = objectsOf(metadata["ownerReferences"]);
  const owner = owners.find(({ controller }) => controller === true);
  const { apiVersion, kind, name, uid } = owner ?? { ...metadata, apiVersion: "v1", kind: "Pod" };
  const regarding = {
    apiVersion: textOf(apiVersion),
    kind: textOf(kind),
    name: textOf(name) || textOf(metadata["generateName"]),
    uid: textOf(uid),
  };
  return { namespace, regarding, reason: `Sidecar${reason}`, message };
}
