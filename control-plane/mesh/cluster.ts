/** What a cluster knows of the mesh's workloads, whether or not their sidecars have spoken yet. */

export interface Cluster {
  /** By `namespace/name`; pods that have ended are not among them. */
  readonly pods: ReadonlyMap<string, Pod>;
  /** Zone by node. */
  readonly zones: ReadonlyMap<string, string>;
  /** `namespace/name` of each. */
  readonly serviceAccounts: ReadonlySet<string>;
  readonly reach: Reach;
}

/** By namespace, which namespaces its sidecars are told of; one that is not listed is told of all. */
export type Reach = ReadonlyMap<string, ReadonlySet<string>>;

export interface Pod {
  readonly namespace: string;
  readonly name: string;
  /** IPv4 and IPv6; empty until it has any. */
  readonly addresses: readonly string[];
  readonly serviceAccount: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly node: string;
  /** Whether a sidecar was injected: it answers with mutual TLS, and plaintext may be refused. */
  readonly mesh: boolean;
  /**
   * Without rules that lead calls to its sidecar: the one port of its application that this stands before, at its own
   * inbound port. null: calls to any port come to it.
   */
  readonly onlyPort: number | null;
  /** Its rules lead calls to these ports alone to its sidecar; null: those to any. */
  readonly includedPorts: readonly number[] | null;
  /** Calls to these come to its application itself. */
  readonly excludedPorts: readonly number[];
  /** Ports that its containers give a name to. */
  readonly ports: Readonly<Record<string, number>>;
}

export function podKey(namespace: string, name: string): string {
  return `${namespace}/${name}`;
}
