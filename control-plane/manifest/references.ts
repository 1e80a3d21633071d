/** References from one object to another, as Gateway API writes them (group, kind, name). */
import { dnsLabel, dnsSubdomain, portNumber } from "./scalars.ts";
import { among, checked, matching, object, optional, required, string, type ValueOf, withDefault } from "./schema.ts";

export const GATEWAY_GROUP = "gateway.networking.k8s.io";

const group = (allowed: readonly string[]) =>
  among(allowed, () => `expected ${allowed.map((g) => `"${g}"`).join(" or ")}`);

/** The name of a rule within its route, as Gateway API bounds its length (`SectionName`). */
const sectionName = matching(/^[!-~]+$/, 253, (value) => `"${value}" is not the name of a rule`);

/** The Service that a route belongs to (GAMMA); a Gateway is refused with the reason. */
export const parentRef = object({
  group: withDefault(
    string((value) =>
      value === "" || value === "core" ? null : `group "${value}" is not served: routes attach to a Service (group "")`,
    ),
    "",
  ),
  kind: required(
    string((value) => (value === "Service" ? null : `a route's parent must be a Service (GAMMA), not a ${value}`)),
  ),
  name: required(dnsLabel),
  namespace: optional(dnsLabel),
  port: optional(portNumber),
  sectionName: optional(string()),
});

export type ParentRef = ValueOf<typeof parentRef>;

const backendFields = {
  group: withDefault(string(), ""),
  kind: withDefault(string(), "Service"),
  name: required(dnsSubdomain),
  namespace: optional(dnsLabel),
  port: optional(portNumber),
} as const;

/** A Service and port to send requests to. What it names may not exist: that is the route's state, not its syntax. */
export const backendObjectReference = object(backendFields);

export type BackendReference = ValueOf<typeof backendObjectReference>;

export const BACKEND_FIELDS = backendFields;

const POLICY_TARGETS = ["Service", "HTTPRoute", "GRPCRoute"];

/** What a policy is attached to: a Service, a route, or (by `sectionName`) one of the route's named rules. */
export const policyTargetRef = checked(
  object({
    group: optional(group(["", "core", GATEWAY_GROUP])),
    kind: required(
      among(POLICY_TARGETS, (value) => `"${value}" cannot carry a policy yet: Service, HTTPRoute and GRPCRoute can`),
    ),
    name: required(dnsSubdomain),
    sectionName: optional(sectionName),
  }),
  (ref, complain) => {
    if (ref.kind === "Service" && ref.sectionName !== null) complain("only a route has named rules", "sectionName");
    const wanted = ref.kind === "Service" ? ["", "core"] : [GATEWAY_GROUP];
    if (ref.group !== null && !wanted.includes(ref.group))
      complain(`a ${ref.kind} is in group "${wanted[0]}"`, "group");
  },
  [
    {
      rule: "self.kind != 'Service' || !has(self.sectionName)",
      message: "only a route has named rules",
      field: "sectionName",
    },
    {
      rule: `!has(self.group) || (self.kind == 'Service' ? self.group in ['', 'core'] : self.group == '${GATEWAY_GROUP}')`,
      message: `a Service is in group "", a route in ${GATEWAY_GROUP}`,
      field: "group",
    },
  ],
);

export type PolicyTargetRef = ValueOf<typeof policyTargetRef>;

/** The workloads that a MeshPolicy is for: those behind a Service, or all of the policy's own namespace. */
export const workloadsTargetRef = object({
  group: optional(group(["", "core"])),
  kind: required(
    among(["Service", "Namespace"], () => "only a Service or the policy's own Namespace can be named here"),
  ),
  name: required(dnsLabel),
});

/** A Service whose workloads a policy protects. */
export const serviceTargetRef = object({
  group: optional(group(["", "core"])),
  kind: required(among(["Service"], () => "only a Service can be named here")),
  name: required(dnsLabel),
});
