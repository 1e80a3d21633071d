/** Where control planes are asked what their sidecars have: at their status ports, in a cluster through its API server. */
import { readFileSync } from "node:fs";
import type { AppliedReport } from "../../control-plane/applied/report.ts";
import {
  ApiError,
  isObject,
  type Json,
  type JsonObject,
  type KubernetesApi,
} from "../../control-plane/kubernetes/api.ts";
import { collectionsOf, SOURCE_KINDS } from "../../control-plane/kubernetes/kinds.ts";
import { objectAt, objectsAt, textAt } from "../../control-plane/kubernetes/objects/fields.ts";
import { UserError } from "../../core/errors.ts";
import { type ControlPlaneRecord, controlPlaneRecordFile } from "../state-home.ts";
import type { ObjectName } from "./object-name.ts";

/** One control plane that can be asked. */
export interface ControlPlaneDoor {
  /** For people. */
  readonly name: string;
  /** Asks for `/applied`. Rejects where there is no answer, or none that makes sense. */
  ask(query: URLSearchParams, signal: AbortSignal): Promise<AppliedReport>;
}

export interface ControlPlanes {
  /** Those that there are now. */
  find(signal: AbortSignal): Promise<readonly ControlPlaneDoor[]>;
  /** The object's generation at the source of configuration; null: it has none, or only the control planes know. */
  generation(object: ObjectName, signal: AbortSignal): Promise<number | null>;
}

/** At these addresses (`host:port`). */
export function controlPlanesAt(addresses: readonly string[]): ControlPlanes {
  const doors = addresses.map((address) => ({
    name: address,
    async ask(query: URLSearchParams, signal: AbortSignal) {
      const answer = await fetch(`http://${address}/applied?${query}`, { signal });
      return readReport(await answer.json().catch(() => null));
    },
  }));
  return { find: async () => doors, generation: async () => null };
}

/** The one that has last run on this machine. Throws a `UserError` where none has. */
export function localControlPlane(stateDir: string): ControlPlanes {
  const file = controlPlaneRecordFile(stateDir);
  try {
    const { status } = JSON.parse(readFileSync(file, "utf8")) as ControlPlaneRecord;
    return controlPlanesAt([status]);
  } catch {
    throw new UserError(
      `which control plane? None has run here (there is no ${file}): name one by --control-plane, or a cluster by KUBECONFIG`,
      2,
    );
  }
}

/** The chart's labels. */
const PODS = "app.kubernetes.io/name=outrigger,app.kubernetes.io/component=control-plane";
const STATUS_PORT = 15_014;

/** Those that are pods of a cluster: each is asked through the API server's proxy (`pods/proxy`, verb `get`). */
export function controlPlanesIn(api: Pick<KubernetesApi, "call">, namespace: string): ControlPlanes {
  const pods = `/api/v1/namespaces/${namespace}/pods`;
  return {
    async find(signal) {
      const path = `${pods}?labelSelector=${encodeURIComponent(PODS)}`;
      const list = await api.call({ method: "GET", path }, signal);
      return objectsAt(isObject(list) ? list : {}, "items").flatMap((pod): readonly ControlPlaneDoor[] => {
        const { name, deletionTimestamp } = objectAt(pod, "metadata");
        if (textAt(objectAt(pod, "status"), "phase") !== "Running" || deletionTimestamp) return [];
        const proxy = `${pods}/${String(name)}:${statusPortOf(pod)}/proxy/applied`;
        return [
          {
            name: `${namespace}/${String(name)}`,
            ask: async (query, asked) =>
              readReport(await api.call({ method: "GET", path: `${proxy}?${query}` }, asked)),
          },
        ];
      });
    },
    async generation({ kind, namespace: of, name }, signal) {
      for (const { path } of collectionsOf(SOURCE_KINDS[kind])) {
        const plural = path.lastIndexOf("/");
        const own = `${path.slice(0, plural)}/namespaces/${of}${path.slice(plural)}/${name}`;
        const object = await api.call({ method: "GET", path: own }, signal).catch(nullIfUnknown);
        if (!isObject(object)) continue;
        const { generation } = objectAt(object, "metadata");
        return typeof generation === "number" ? generation : null;
      }
      throw new UserError(`the cluster has no ${kind} ${of}/${name}`);
    },
  };
}

function statusPortOf(pod: JsonObject): number {
  const ports = objectsAt(objectAt(pod, "spec"), "containers").flatMap((container) => objectsAt(container, "ports"));
  const port = ports.find((one) => textAt(one, "name").includes("status"))?.["containerPort"];
  return typeof port === "number" ? port : STATUS_PORT;
}

function nullIfUnknown(error: unknown): Json {
  if (error instanceof ApiError && error.status === 404) return null;
  throw error;
}

function readReport(answer: unknown): AppliedReport {
  const report = answer as Partial<AppliedReport & { readonly error: string }> | null;
  if (typeof report?.error === "string") throw new Error(report.error);
  if (typeof report?.state !== "string" || !Array.isArray(report.workloads)) {
    throw new Error("its answer makes no sense: is it a control plane's status port?");
  }
  return report as AppliedReport;
}
