/** Whole objects to and from a Kubernetes API, as tests want them: where a kind is found the API server is asked. */
import { type ApiCall, ApiError, type Json, type JsonObject } from "../../control-plane/kubernetes/api.ts";
import { nameOf } from "../../control-plane/kubernetes/decode.ts";
import type { HttpApi } from "../../control-plane/kubernetes/http-api.ts";
import { objectAt, objectsAt } from "../../control-plane/kubernetes/objects/fields.ts";

type Method = ApiCall["method"];

/** What an object is found by. */
export interface KubeRef {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly namespace?: string;
}

export const TYPES = {
  merge: "application/merge-patch+json",
  json: "application/json-patch+json",
  apply: "application/apply-patch+yaml",
} as const;

export class KubeClient {
  readonly api: HttpApi;
  readonly #plurals = new Map<string, string>();

  constructor(api: HttpApi) {
    this.api = api;
  }

  /** Rejects with an `ApiError` where the answer is none of 2xx. */
  async call(method: Method, path: string, body?: unknown, contentType?: string): Promise<JsonObject> {
    const call = {
      method,
      path,
      ...(body === undefined ? {} : { body: body as Json }),
      ...(contentType === undefined ? {} : { contentType }),
    };
    return (await this.api.call(call, AbortSignal.timeout(30_000))) as JsonObject;
  }

  /** HTTP's status of a call: 200 where it was good. */
  async status(method: Method, path: string, body?: unknown, contentType?: string): Promise<number> {
    try {
      await this.call(method, path, body, contentType);
      return 200;
    } catch (error) {
      if (error instanceof ApiError) return error.status;
      throw error;
    }
  }

  /** Resolves with the object as the API server has it. */
  async create(object: object, query = ""): Promise<JsonObject> {
    const { ref, body } = referred(object);
    return this.call("POST", `${await this.#collection(ref)}${query}`, body);
  }

  async get(ref: KubeRef): Promise<JsonObject> {
    return this.call("GET", await this.pathOf(ref));
  }

  /** Server-side apply: creates it or brings it up to date. */
  async apply(object: object, manager = "test"): Promise<JsonObject> {
    const { ref, body } = referred(object);
    return this.call("PATCH", `${await this.pathOf(ref)}?fieldManager=${manager}&force=true`, body, TYPES.apply);
  }

  async merge(ref: KubeRef, patch: object): Promise<JsonObject> {
    return this.call("PATCH", await this.pathOf(ref), patch, TYPES.merge);
  }

  async delete(ref: KubeRef): Promise<void> {
    await this.call("DELETE", `${await this.pathOf(ref)}?gracePeriodSeconds=0`);
  }

  /** Of an object; of its `status` with `/status` behind it. */
  async pathOf(ref: KubeRef): Promise<string> {
    return `${await this.#collection(ref)}/${ref.name}`;
  }

  /** A namespace with the account that pods have where they name none, which a controller makes in a cluster. */
  async namespace(name: string, labels: Readonly<Record<string, string>> = {}): Promise<void> {
    await this.create({ apiVersion: "v1", kind: "Namespace", metadata: { name, labels } });
    await this.serviceAccount(name, "default");
  }

  async serviceAccount(namespace: string, name: string): Promise<void> {
    await this.create({ apiVersion: "v1", kind: "ServiceAccount", metadata: { namespace, name } });
  }

  /** TokenRequest: a token of a service account, bound to a pod if one is given. */
  async token(namespace: string, account: string, request: TokenRequest = {}): Promise<string> {
    const { audiences = [], seconds = 3600, pod } = request;
    const bound = pod && { boundObjectRef: { apiVersion: "v1", kind: "Pod", ...pod } };
    const answer = await this.call("POST", `/api/v1/namespaces/${namespace}/serviceaccounts/${account}/token`, {
      apiVersion: "authentication.k8s.io/v1",
      kind: "TokenRequest",
      spec: { audiences, expirationSeconds: seconds, ...bound },
    });
    return String(objectAt(answer, "status")["token"]);
  }

  /** Where a kind is found, whether or not the object has a namespace. */
  async #collection({ apiVersion, kind, namespace }: KubeRef): Promise<string> {
    const group = apiVersion.includes("/") ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
    const known = `${group} ${kind}`;
    if (!this.#plurals.has(known)) {
      for (const { kind: found, name } of objectsAt(await this.call("GET", group), "resources"))
        if (!String(name).includes("/")) this.#plurals.set(`${group} ${found}`, String(name));
    }
    const plural = this.#plurals.get(known);
    if (plural === undefined) throw new Error(`the API server does not know ${kind} of ${apiVersion}`);
    return namespace === undefined ? `${group}/${plural}` : `${group}/namespaces/${namespace}/${plural}`;
  }
}

export interface TokenRequest {
  readonly audiences?: readonly string[];
  /** Kubernetes allows no less than 600. */
  readonly seconds?: number;
  readonly pod?: { readonly name: string; readonly uid: string };
}

export function refOf(object: JsonObject): KubeRef {
  const { name, namespace } = objectAt(object, "metadata");
  const place = typeof namespace === "string" ? { namespace } : {};
  return { apiVersion: String(object["apiVersion"]), kind: String(object["kind"]), name: String(name), ...place };
}

function referred(object: object): { readonly ref: KubeRef; readonly body: JsonObject } {
  const body = object as JsonObject;
  if (nameOf(body) === null && objectAt(body, "metadata")["generateName"] === undefined)
    throw new Error(`an object without a name: ${JSON.stringify(object)}`);
  return { ref: refOf(body), body };
}
