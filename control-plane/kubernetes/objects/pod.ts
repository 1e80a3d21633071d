/** Kubernetes `Pod` (v1): whose it is and whether a sidecar stands in it. */
import { isIP } from "node:net";
import type { Pod } from "../../mesh/cluster.ts";
import { isObject, type Json, type JsonObject } from "../api.ts";
import { objectAt, objectsAt, textAt, textsAt } from "./fields.ts";

/**
 * What the injector leaves on a pod that it gave a sidecar, as an annotation (JSON) or a label. Where it made no rules
 * that lead calls to the sidecar, `interception` is "none" and `appPort` the port that this stands before; else
 * `includeInboundPorts` and `excludeInboundPorts` are the ports whose calls they lead there alone, or never do.
 */
export const SIDECAR_STATUS = "sidecar.outrigger.dev/status";

/** Phases from which no pod comes back; its addresses may be another's by now. */
const ENDED = ["Succeeded", "Failed"];

/** null: it has ended. */
export function readPod(object: JsonObject): Pod | null {
  const [metadata, spec, status] = [
    objectAt(object, "metadata"),
    objectAt(object, "spec"),
    objectAt(object, "status"),
  ] as const;
  if (ENDED.includes(textAt(status, "phase"))) return null;
  const labels = textsAt(metadata, "labels");
  const injected = textsAt(metadata, "annotations")[SIDECAR_STATUS] ?? labels[SIDECAR_STATUS] ?? "";
  const addresses = [textAt(status, "podIP"), ...objectsAt(status, "podIPs").map((entry) => textAt(entry, "ip"))];
  return {
    namespace: textAt(metadata, "namespace"),
    name: textAt(metadata, "name"),
    addresses: [...new Set(addresses)].filter((address) => isIP(address) !== 0),
    serviceAccount: textAt(spec, "serviceAccountName") || "default",
    labels,
    node: textAt(spec, "nodeName"),
    mesh: injected !== "",
    ...reachedPorts(injected),
    ports: namedPorts(spec),
  };
}

function reachedPorts(status: string): Pick<Pod, "onlyPort" | "includedPorts" | "excludedPorts"> {
  const { interception, appPort, includeInboundPorts, excludeInboundPorts } = jsonObject(status);
  return {
    onlyPort: interception === "none" && typeof appPort === "number" ? appPort : null,
    includedPorts: numbers(includeInboundPorts),
    excludedPorts: numbers(excludeInboundPorts) ?? [],
  };
}

function jsonObject(text: string): JsonObject {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : {};
  } catch {
    return {};
  }
}

function numbers(value: Json | undefined): readonly number[] | null {
  return Array.isArray(value) ? value.filter((one) => typeof one === "number") : null;
}

/** Of containers, and of init containers that stay (native sidecars); UDP has names of its own. */
function namedPorts(spec: JsonObject): Readonly<Record<string, number>> {
  const staying = objectsAt(spec, "initContainers").filter(
    (container) => textAt(container, "restartPolicy") === "Always",
  );
  const ports: Record<string, number> = {};
  for (const container of [...objectsAt(spec, "containers"), ...staying]) {
    for (const port of objectsAt(container, "ports")) {
      const { name, containerPort, protocol = "TCP" } = port;
      if (typeof name !== "string" || typeof containerPort !== "number" || protocol !== "TCP") continue;
      ports[name] ??= containerPort;
    }
  }
  return ports;
}
