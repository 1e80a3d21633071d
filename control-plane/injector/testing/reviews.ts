/** AdmissionReviews as an API server sends them, for tests. */
import { type JsonObject, type JsonValue, objectOf, textOf } from "../../json.ts";
import type { PatchOperation } from "../json-patch.ts";
import { applyPatch } from "./apply-patch.ts";

export function reviewOf(object: JsonValue, request: JsonObject = {}): JsonObject {
  return {
    apiVersion: "admission.k8s.io/v1",
    kind: "AdmissionReview",
    request: {
      uid: "b1c7",
      kind: { group: "", version: "v1", kind: "Pod" },
      resource: { group: "", version: "v1", resource: "pods" },
      name: "",
      namespace: "shop",
      operation: "CREATE",
      userInfo: { username: "system:serviceaccount:kube-system:replicaset-controller" },
      object,
      oldObject: null,
      dryRun: false,
      options: { apiVersion: "meta.k8s.io/v1", kind: "CreateOptions" },
      ...request,
    },
  };
}

export function responseOf(review: JsonValue): JsonObject {
  return objectOf(objectOf(review)["response"]);
}

/** What the API server makes of the object by a review's answer. */
export function patchedBy(review: JsonValue, object: JsonValue): JsonValue {
  const response = responseOf(review);
  if (response["patch"] === undefined) return object;
  const patch = Buffer.from(textOf(response["patch"]), "base64").toString();
  return applyPatch(object, JSON.parse(patch) as PatchOperation[]);
}
