/** The services of the mesh: those of manifests, and an implicit one for each workload whose service has none. */
import { type Manifest, positionOf } from "../manifest/parse.ts";
import { portProtocol } from "../manifest/port-protocol.ts";
import { planAddresses } from "./service-addresses.ts";
import { type Finding, type ServiceDefinition, type ServicePort, serviceKey } from "./state.ts";
import type { Registration, Workload } from "./workload.ts";

/** A service before it has its addresses. */
interface Unplaced {
  readonly definition: Omit<ServiceDefinition, "addresses">;
  readonly clusterIps: readonly string[];
}

/**
 * By `namespace/name`, sorted. `objects` are given older first, registrations in their order. `podsHaveNames`: workloads
 * are pods, which may give their ports names.
 */
export function defineServices(
  objects: readonly Manifest[],
  registrations: readonly Registration[],
  podsHaveNames: boolean,
  findings: Finding[],
): ReadonlyMap<string, ServiceDefinition> {
  const services = new Map<string, Unplaced>();
  for (const object of objects) {
    if (object.kind !== "Service") continue;
    const { metadata, spec } = object.value;
    for (const { port, targetPort } of spec.ports.length > 1 && !podsHaveNames ? spec.ports : []) {
      if (typeof targetPort !== "string") continue;
      const message = `port ${port} has a name as its targetPort ("${targetPort}"): workloads that register have numbers alone, and none of them serves it`;
      findings.push({ key: object.key, source: positionOf(object), message });
    }
    services.set(serviceKey(metadata.namespace, metadata.name), {
      clusterIps: spec.clusterIPs.length > 0 ? spec.clusterIPs : [spec.clusterIP],
      definition: {
        name: metadata.name,
        namespace: metadata.namespace,
        ports: spec.ports.map(({ name, port, targetPort, appProtocol }) => ({
          name,
          port,
          targetPort: targetPort ?? port,
          protocol: portProtocol(name, appProtocol),
        })),
        selector: spec.selector === null || Object.keys(spec.selector).length === 0 ? null : spec.selector,
        headless: spec.clusterIP === "None" || spec.clusterIPs.includes("None"),
        source: positionOf(object),
      },
    });
  }
  for (const { workload, servicePort } of registrations) {
    const key = serviceKey(workload.namespace, workload.service);
    if (services.has(key)) continue;
    services.set(key, {
      clusterIps: [],
      definition: {
        name: workload.service,
        namespace: workload.namespace,
        ports: [{ ...undeclared(workload), port: servicePort, targetPort: servicePort }],
        selector: null,
        headless: false,
        source: "",
      },
    });
  }
  const plan = planAddresses([...services].map(([key, { clusterIps }]) => ({ key, clusterIps })));
  for (const { key, address, owner } of plan.conflicts) {
    findings.push({
      key: `Service/${key}`,
      source: services.get(key)?.definition.source ?? "",
      message: `clusterIP ${address} is that of Service ${owner}: intercepted callers find this one at ${plan.addresses.get(key)?.join(", ")}`,
    });
  }
  return new Map(
    [...services]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, { definition }]) => [key, { ...definition, addresses: plan.addresses.get(key) ?? [] }]),
  );
}

/**
 * What a port is that nobody declared, by the first workload that registered for it. One whose callers give addresses of
 * the mesh to HTTP clients speaks HTTP; with interception anything may come.
 */
export function undeclared({ interception }: Workload): Pick<ServicePort, "name" | "protocol"> {
  return interception === null ? { name: "http", protocol: "any" } : { name: "", protocol: "detected" };
}
