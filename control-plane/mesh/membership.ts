/** Which workloads stand behind which services, and at which of their ports. */
import type { ServiceDefinition, ServicePort } from "./state.ts";
import { isInterceptedInbound, selectableLabels, type Workload } from "./workload.ts";

/** Whether a workload stands behind a service: it names it, or the service selects it by labels. */
export function isMember(definition: ServiceDefinition, workload: Workload): boolean {
  if (definition.namespace !== workload.namespace) return false;
  if (definition.name === workload.service) return true;
  if (definition.selector === null) return false;
  const labels = selectableLabels(workload);
  return Object.entries(definition.selector).every(([name, value]) => labels[name] === value);
}

/**
 * The application's port that calls to a service's port come to on `workload`, one of the service's; null: it does not
 * serve that port. A sidecar without intercepted peers stands before one port: a service's only port is that one, of
 * several a workload serves those that name it. With interception it is the `targetPort`, as in Kubernetes.
 */
export function servedAt(definition: ServiceDefinition, port: ServicePort, workload: Workload): number | null {
  const only = definition.ports.length === 1;
  if (!isInterceptedInbound(workload)) return only || port.targetPort === workload.appPort ? workload.appPort : null;
  if (definition.source !== "" && typeof port.targetPort === "number") return port.targetPort;
  return only ? workload.appPort : null;
}
