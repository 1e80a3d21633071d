/** What will not be as a pod's owner may expect, though the pod has its sidecar. */
import { type JsonObject, objectOf, objectsOf, textOf } from "../json.ts";
import { OWN_PORTS, PROXY_ID } from "./names.ts";
import type { PodSettings } from "./pod-settings.ts";

const LOOPBACK_MODE =
  "loopback mode: only plain HTTP by http_proxy goes through the sidecar; all else leaves past it, and the program's " +
  "own port can be called past it: STRICT does not protect this pod";

/** How long Kubernetes waits where a pod does not say. */
const GRACE_S = 30;

/** `containers`: the program's, init containers included. */
export function podWarnings(
  pod: JsonObject,
  containers: readonly JsonObject[],
  settings: PodSettings,
): readonly string[] {
  const spec = objectOf(pod["spec"]);
  const warnings: string[] = [];
  if (settings.interception === "none") warnings.push(LOOPBACK_MODE);
  else warnings.push(...exempt(spec, containers, settings.interception === "tproxy" ? "runAsGroup" : "runAsUser"));
  for (const container of containers) {
    for (const { containerPort } of objectsOf(container["ports"])) {
      if (typeof containerPort === "number" && OWN_PORTS.has(containerPort)) {
        warnings.push(`container ${textOf(container["name"])}: port ${containerPort} is taken by the sidecar`);
      }
    }
  }
  if (spec["shareProcessNamespace"] === true) {
    warnings.push("shareProcessNamespace: root in any container can read the sidecar's private key from its memory");
  }
  const grace = spec["terminationGracePeriodSeconds"] ?? GRACE_S;
  if (typeof grace === "number" && settings.drainTimeS > grace) {
    warnings.push(`drain time ${settings.drainTimeS} s is longer than terminationGracePeriodSeconds (${grace})`);
  }
  return warnings;
}

/** Containers whose connections the rules take for the sidecar's own. */
function exempt(
  spec: JsonObject,
  containers: readonly JsonObject[],
  id: "runAsUser" | "runAsGroup",
): readonly string[] {
  const ofPod = objectOf(spec["securityContext"])[id];
  return containers.flatMap((container) => {
    const own = objectOf(container["securityContext"])[id] ?? ofPod;
    if (own !== PROXY_ID) return [];
    return [
      `container ${textOf(container["name"])} has ${id} ${PROXY_ID}, the sidecar's: its calls are not intercepted`,
    ];
  });
}
