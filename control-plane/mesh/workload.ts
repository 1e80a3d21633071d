/** One running instance of a service and its sidecar, as it registers through its stream's node metadata. */

/** Where a sidecar without interception binds its outbound listeners. */
export type Loopback =
  /** One address per service port out of a range that is the sidecar's own. */
  | { readonly kind: "subnet"; readonly base: string; readonly prefixLength: number }
  /** Only one address to be had: one port per service port, counted from `firstPort`. */
  | { readonly kind: "single"; readonly host: string; readonly firstPort: number };

/** How a sidecar gets its application's connections without its application's addresses being changed. */
export interface Interception {
  /**
   * `redirect` and `tproxy`: peers call the application's own ports, and rules lead them to the inbound listener. `none`:
   * peers call the inbound listener itself.
   */
  readonly inbound: "redirect" | "tproxy" | "none";
  /** Path of the network namespace that the application and the outbound listeners are in; "": the sidecar's own. */
  readonly networkNamespace: string;
  /** Whether there are IPv6 addresses: without, not even ::1 can be listened at. */
  readonly ipv6: boolean;
}

/** A plaintext health probe that passes a port which else takes mutual TLS alone: `GET path`. */
export interface HealthProbe {
  readonly port: number;
  readonly path: string;
}

export interface Workload {
  /** The node's id: one per running sidecar. */
  readonly id: string;
  readonly service: string;
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly trustDomain: string;
  /** Where the application listens, in plaintext. */
  readonly appAddress: string;
  readonly appPort: number;
  /** Where peers reach the sidecar's inbound listener. */
  readonly address: string;
  /** Further addresses of the same place, which only who has intercepted peers can have. */
  readonly addresses: readonly string[];
  readonly inboundPort: number;
  readonly outboundPort: number;
  readonly httpProxyPort: number;
  /** null: the sidecar has interception. */
  readonly loopback: Loopback | null;
  /** null: the sidecar has loopback addresses. */
  readonly interception: Interception | null;
  /** Its sidecar asks for services that it was not told of, where it is let. */
  readonly onDemand?: true;
  readonly probes: readonly HealthProbe[];
  readonly labels: Readonly<Record<string, string>>;
  /** Name of its pod, which is behind those services alone that select it; null: it is none of a cluster's. */
  readonly pod: string | null;
  /** Ports of its pod that have a name. */
  readonly namedPorts: Readonly<Record<string, number>>;
}

/** A workload and what the control plane knows of it. */
export interface Registration {
  readonly workload: Workload;
  /**
   * Port of the service where no manifest gives one: the application's port of the first workload that registered, kept
   * for those that follow, so that a second instance on another port does not move the service.
   */
  readonly servicePort: number;
  /** Whether peers may be sent here: its inbound listener is in force and it has not left. */
  readonly serving: boolean;
}

/** Labels for selectors: a pod's own; of another workload also `app` and `app.kubernetes.io/name` from its service. */
export function selectableLabels(
  workload: Pick<Workload, "service" | "labels" | "pod">,
): Readonly<Record<string, string>> {
  if (workload.pod !== null) return workload.labels;
  return { app: workload.service, "app.kubernetes.io/name": workload.service, ...workload.labels };
}

/** Whether peers call the application's own ports, each of which may be another service's. */
export function isInterceptedInbound({ interception }: Workload): boolean {
  return interception !== null && interception.inbound !== "none";
}
