/** Makes the streams that a bootstrap names. Loaded only where there is one: everything gRPC hangs on this module. */
import type { Clock } from "../core/clock.ts";
import type { Logger } from "../core/log.ts";
import type { Random } from "../core/random.ts";
import type { Bootstrap, GrpcConfigSource } from "../model/bootstrap.ts";
import type { Cluster } from "../model/cluster.ts";
import type { ResourceKind } from "../xds/resources.ts";
import type { ResourceDecoder } from "./ads/decoder.ts";
import { Delta } from "./ads/delta.ts";
import { type GrpcTarget, GrpcTransport } from "./ads/grpc-transport.ts";
import { AdsSession } from "./ads/session.ts";
import { StateOfTheWorld } from "./ads/state-of-the-world.ts";
import { clusterTargets, type SecretLookup } from "./connect.ts";
import type { XdsObserver } from "./observer.ts";
import { FACTS } from "./resources.ts";
import type { ResourceSource, SourceSink } from "./source/source.ts";

export interface StreamOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly version: string;
  readonly bootstrap: Bootstrap;
  readonly observer: XdsObserver;
  readonly decoder: ResourceDecoder;
  readonly sink: SourceSink;
  readonly clusterOf: (name: string) => Cluster | undefined;
  readonly secretOf: SecretLookup;
  /** In the place of the clusters that `ads_config` names. */
  readonly adsTargets?: readonly GrpcTarget[];
}

/** Envoy's defaults for a stream that breaks. */
const BACKOFF = { baseMs: 500, maxMs: 30_000 };
const CONNECT_TIMEOUT_MS = 5000;
const STUCK_AFTER_MS = 30_000;

const ADS_METHODS = { state_of_the_world: "StreamAggregatedResources", delta: "DeltaAggregatedResources" };

/** The aggregated stream that `config` describes. */
export function adsSource(options: StreamOptions, config: GrpcConfigSource): ResourceSource {
  const method = `/envoy.service.discovery.v3.AggregatedDiscoveryService/${ADS_METHODS[config.variant]}`;
  const { adsTargets } = options;
  return session(options, config, method, adsTargets && (() => adsTargets));
}

/** A stream of one kind to the service that is for it alone. */
export function singleSource(options: StreamOptions, kind: ResourceKind, config: GrpcConfigSource): ResourceSource {
  return session(options, config, singleMethod(kind, config));
}

function session(
  options: StreamOptions,
  config: GrpcConfigSource,
  method: string,
  targets = (): readonly GrpcTarget[] => targetsOf(options, config),
): AdsSession {
  const { bootstrap, clock, version } = options;
  const transport = new GrpcTransport({
    clock,
    targets,
    method,
    metadata: config.initialMetadata,
    connectTimeoutMs: CONNECT_TIMEOUT_MS,
  });
  const Variant = config.variant === "delta" ? Delta : StateOfTheWorld;
  const variant = new Variant(bootstrap.node, version);
  return new AdsSession({ ...options, transport, variant, backoff: BACKOFF, stuckAfterMs: STUCK_AFTER_MS });
}

/** Found anew for each attempt, in the snapshot in force or else among the static clusters. */
function targetsOf({ clusterOf, secretOf }: StreamOptions, config: GrpcConfigSource): GrpcTarget[] {
  return config.clusters.flatMap((name) => {
    const cluster = clusterOf(name);
    if (!cluster) throw new Error(`there is no cluster ${JSON.stringify(name)}`);
    return clusterTargets(cluster, secretOf);
  });
}

function singleMethod(kind: ResourceKind, { variant }: GrpcConfigSource): string {
  const { name, delta, stateOfTheWorld } = FACTS[kind].service;
  return `/${name}/${variant === "delta" ? delta : stateOfTheWorld}`;
}
