/** Leaves out of a snapshot whatever holds a private key: such a resource is useless, or dangerous, without it. */
import type { Cluster } from "../model/cluster.ts";
import type { Listener } from "../model/listener.ts";
import type { Snapshot } from "../model/snapshot.ts";
import type { DownstreamTls, UpstreamTls } from "../model/tls.ts";

/** `snapshot` without certificate secrets, and without listeners and clusters that have a certificate inline. */
export function withoutPrivateKeys(snapshot: Snapshot): Snapshot {
  return {
    ...snapshot,
    listeners: keep(snapshot.listeners, (listener) => !listenerHoldsKey(listener)),
    clusters: keep(snapshot.clusters, (cluster) => !clusterHoldsKey(cluster)),
    secrets: keep(snapshot.secrets, (secret) => secret.kind !== "certificate"),
  };
}

function keep<T>(map: ReadonlyMap<string, T>, accept: (value: T) => boolean): ReadonlyMap<string, T> {
  return new Map([...map].filter(([, value]) => accept(value)));
}

function listenerHoldsKey(listener: Listener): boolean {
  return [...listener.filterChains, listener.defaultFilterChain].some((chain) => holdsKey(chain?.tls));
}

function clusterHoldsKey(cluster: Cluster): boolean {
  return holdsKey(cluster.tls) || cluster.tlsMatches.some((match) => holdsKey(match.tls));
}

function holdsKey(tls: DownstreamTls | UpstreamTls | null | undefined): boolean {
  return tls?.certificates.some((certificate) => certificate.kind === "inline") ?? false;
}
