/** One running instance of a service and its sidecar, as it registers through its stream's node metadata. */

/** Where a sidecar without interception binds its outbound listeners. */
export type Loopback =
  /** One address per service port out of a range that is the sidecar's own. */
  | { readonly kind: "subnet"; readonly base: string; readonly prefixLength: number }
  /** Only one address to be had: one port per service port, counted from `firstPort`. */
  | { readonly kind: "single"; readonly host: string; readonly firstPort: number };

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
  readonly inboundPort: number;
  readonly outboundPort: number;
  readonly httpProxyPort: number;
  readonly loopback: Loopback;
  readonly labels: Readonly<Record<string, string>>;
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

/** Labels for selectors: the workload's own, and `app` and `app.kubernetes.io/name` from its service. */
export function selectableLabels(workload: Workload): Readonly<Record<string, string>> {
  return { app: workload.service, "app.kubernetes.io/name": workload.service, ...workload.labels };
}
