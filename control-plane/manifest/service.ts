/** Kubernetes `Service` (v1): the name that callers use, its ports, and which workloads stand behind it. */
import { isIP } from "node:net";
import { isScalar } from "yaml";
import { objectMeta } from "./object-meta.ts";
import { type Place, type Read, resolved } from "./place.ts";
import { appProtocolProblem } from "./port-protocol.ts";
import { dnsLabel, portNumber } from "./scalars.ts";
import {
  checked,
  type Field,
  type Fields,
  ignored,
  list,
  object,
  oneOf,
  optional,
  refused,
  required,
  type Schema,
  string,
  stringMap,
  type ValueOf,
  withDefault,
} from "./schema.ts";
import { OPAQUE } from "./shape.ts";

/** A number, or the name of a workload's port. */
const targetPort: Schema<number | string> = {
  paths: [],
  shape: OPAQUE,
  read(place: Place): Read<number | string> {
    const node = resolved(place);
    return isScalar(node) && typeof node.value === "number" ? portNumber.read(place) : dnsLabel.read(place);
  },
};

const port = object({
  name: withDefault(dnsLabel, ""),
  port: required(portNumber),
  targetPort: optional(targetPort),
  protocol: withDefault(
    string((value) => (value === "TCP" ? null : `"${value}" is not carried: only TCP is`)),
    "TCP",
  ),
  appProtocol: optional(string(appProtocolProblem)),
  nodePort: optional(ignored),
});

/** Fields that Kubernetes defines and that make no difference to a mesh of sidecars. */
function inert<const N extends string>(...names: readonly N[]): { readonly [K in N]: Field<null> } {
  const fields: Record<string, Field<null>> = {};
  for (const name of names) fields[name] = optional(ignored);
  return fields as { readonly [K in N]: Field<null> };
}

const servicePorts = checked(list(port, 1, 100), (ports, complain) => {
  const seen = new Set<number>();
  for (const { port: value } of ports) {
    if (seen.has(value)) complain(`port ${value} is given twice`);
    seen.add(value);
  }
  const names = ports.map((p) => p.name);
  if (ports.length > 1 && names.includes("")) complain("every port needs a name where there are several");
  if (new Set(names).size !== names.length) complain("two ports have the same name");
});

/** An address, "None" for a headless service, or "" for whatever comes. */
const clusterIp = string((value) =>
  value === "" || value === "None" || isIP(value) !== 0 ? null : `"${value}" is neither an IP address nor None`,
);

const spec = object({
  ports: required(servicePorts),
  selector: optional(stringMap),
  type: withDefault(oneOf("ClusterIP", "NodePort", "LoadBalancer", "ExternalName"), "ClusterIP"),
  externalName: optional(refused("services of type ExternalName are not carried yet")),
  clusterIP: withDefault(clusterIp, ""),
  clusterIPs: withDefault(list(clusterIp, 1, 2), []),
  ...inert(
    "ipFamilies",
    "ipFamilyPolicy",
    "internalTrafficPolicy",
    "externalTrafficPolicy",
    "externalIPs",
    "sessionAffinity",
    "sessionAffinityConfig",
    "trafficDistribution",
    "publishNotReadyAddresses",
    "allocateLoadBalancerNodePorts",
    "healthCheckNodePort",
    "loadBalancerClass",
    "loadBalancerIP",
    "loadBalancerSourceRanges",
  ),
} satisfies Fields);

export const serviceSchema = checked(
  object({
    apiVersion: required(string()),
    kind: required(string()),
    metadata: required(objectMeta),
    spec: required(spec),
    status: optional(ignored),
  }),
  (service, complain) => {
    if (dnsLabelIsWrong(service.metadata.name)) complain("the name of a Service must be a DNS label", "metadata");
    if (service.spec.type === "ExternalName") complain("services of type ExternalName are not carried yet", "spec");
  },
);

function dnsLabelIsWrong(name: string): boolean {
  return name.includes(".") || name.length > 63;
}

export type ServiceManifest = ValueOf<typeof serviceSchema>;
