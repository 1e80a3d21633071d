/** Kubernetes `EndpointSlice` (discovery.k8s.io/v1): addresses that stand behind a Service without registering. */
import { isIP } from "node:net";
import { objectMeta } from "./object-meta.ts";
import { portNumber } from "./scalars.ts";
import {
  boolean,
  checked,
  ignored,
  list,
  object,
  oneOf,
  optional,
  required,
  string,
  type ValueOf,
  withDefault,
} from "./schema.ts";

/** Label that names the Service (Kubernetes' own). */
export const SERVICE_NAME_LABEL = "kubernetes.io/service-name";

/**
 * Label of ours: the service account under which these endpoints present mesh certificates. Without it they are
 * outside of the mesh and are reached in plaintext.
 */
export const SERVICE_ACCOUNT_LABEL = "outrigger.dev/service-account";

/** `v1.ObjectReference`: whose address it is. */
const objectReference = object({
  kind: withDefault(string(), ""),
  namespace: withDefault(string(), ""),
  name: withDefault(string(), ""),
  uid: optional(ignored),
  apiVersion: optional(ignored),
  resourceVersion: optional(ignored),
  fieldPath: optional(ignored),
});

const endpoint = object({
  addresses: required(
    list(
      string((value) => (isIP(value) === 0 ? `"${value}" is not an IP address` : null)),
      1,
      100,
    ),
  ),
  conditions: optional(
    object({ ready: withDefault(boolean, true), serving: optional(boolean), terminating: withDefault(boolean, false) }),
  ),
  hostname: optional(string()),
  zone: withDefault(string(), ""),
  nodeName: optional(ignored),
  targetRef: optional(objectReference),
  hints: optional(ignored),
  deprecatedTopology: optional(ignored),
});

const port = object({
  name: withDefault(string(), ""),
  port: required(portNumber),
  protocol: withDefault(oneOf("TCP"), "TCP"),
  appProtocol: optional(string()),
});

export const endpointSliceSchema = checked(
  object({
    apiVersion: required(string()),
    kind: required(string()),
    metadata: required(objectMeta),
    addressType: required(oneOf("IPv4", "IPv6")),
    endpoints: required(list(endpoint, 0, 1000)),
    ports: required(list(port, 1, 100)),
  }),
  (slice, complain) => {
    if (slice.metadata.labels[SERVICE_NAME_LABEL] === undefined) {
      complain(`needs the label ${SERVICE_NAME_LABEL}, which names its Service`, "metadata");
    }
    const family = slice.addressType === "IPv4" ? 4 : 6;
    for (const { addresses } of slice.endpoints) {
      const other = addresses.find((address) => isIP(address) !== family);
      if (other !== undefined) complain(`"${other}" is not an ${slice.addressType} address`, "endpoints");
    }
  },
);

export type EndpointSliceManifest = ValueOf<typeof endpointSliceSchema>;
