/** Which workloads stand behind which services, and at which of their ports. */
import type { ServiceDefinition, ServicePort } from "./state.ts";
import { isInterceptedInbound, selectableLabels, type Workload } from "./workload.ts";

/** What decides behind which services a workload stands. */
export type Member = Pick<Workload, "namespace" | "service" | "labels" | "pod">;

/** Whether a workload stands behind a service: the service selects it by labels, or it names it and is no pod. */
export function isMember(definition: ServiceDefinition, workload: Member): boolean {
  if (definition.namespace !== workload.namespace) return false;
  if (workload.pod === null && definition.name === workload.service) return true;
  if (definition.selector === null) return false;
  const labels = selectableLabels(workload);
  return Object.entries(definition.selector).every(([name, value]) => labels[name] === value);
}

/**
 * The application's port that calls to a service's port come to on `workload`, one of the service's; null: it does not
 * serve that port. A sidecar without intercepted peers stands before one port: a service's only port is that one, of
 * several a workload serves those that name it. With interception it is the `targetPort`, as in Kubernetes, where a pod
 * may give its number a name.
 */
export function servedAt(definition: ServiceDefinition, port: ServicePort, workload: Workload): number | null {
  const only = definition.ports.length === 1;
  if (!isInterceptedInbound(workload)) {
    const target = workload.namedPorts[port.targetPort] ?? port.targetPort;
    return (only && workload.pod === null) || target === workload.appPort ? workload.appPort : null;
  }
  if (definition.source !== "" && typeof port.targetPort === "number") return port.targetPort;
  if (workload.pod !== null) return workload.namedPorts[port.targetPort] ?? null;
  return only ? workload.appPort : null;
}
