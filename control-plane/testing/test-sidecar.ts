/**
 * A sidecar for tests: a scripted grpc-js client that behaves as Envoy does (subscribes to clusters and listeners, then
 * to the endpoints and routes that they name) and writes down what it was sent, in order.
 */
import { create, type JsonObject, type MessageInitShape } from "@bufbuild/protobuf";
import {
  type ChannelCredentials,
  Client,
  type ClientDuplexStream,
  credentials as grpcCredentials,
  type ServiceError,
} from "@grpc/grpc-js";
import {
  DeltaDiscoveryRequestSchema,
  type DeltaDiscoveryResponse,
  DiscoveryRequestSchema,
  type DiscoveryResponse,
} from "../../generated/envoy/service/discovery/v3/discovery_pb.js";
import { decodeResource, kindOf, type Resource, type ResourceKind, TYPE_URLS } from "../../xds/resources.ts";
import { adsServiceDefinition } from "../ads/service.ts";
import type { Workload } from "../mesh/workload.ts";
import { metadataOf } from "./workloads.ts";

/** One response, as the sidecar took it down. */
export interface Received {
  readonly kind: ResourceKind;
  readonly names: readonly string[];
  readonly removed: readonly string[];
}

interface KindState {
  version: string;
  nonce: string;
  wanted: Set<string>;
  /** Version (Delta) or decoded value's identity by name. */
  readonly held: Map<string, { readonly version: string; readonly resource: Resource }>;
}

export interface TestSidecarOptions {
  readonly variant: "sotw" | "delta";
  readonly workload: Workload;
  readonly credentials?: ChannelCredentials;
  /** Overrides of the node metadata. */
  readonly metadata?: JsonObject;
  /** Kinds whose responses are refused with this message. */
  readonly refuse?: Map<ResourceKind, string>;
  /** As Envoy: clusters are acknowledged once the endpoints of new ones are there. */
  readonly lateClusterAck?: boolean;
}

const WHOLE: readonly ResourceKind[] = ["cluster", "listener"];

export class TestSidecar {
  readonly received: Received[] = [];
  /** The resource that goes by another name, too. */
  readonly aliases = new Map<string, string>();
  /** Responses of all streams, also those that were refused. */
  responses = 0;
  readonly refuse: Map<ResourceKind, string>;
  /** Why the stream ended, once it has. */
  closed: ServiceError | "ended" | null = null;
  readonly #options: TestSidecarOptions;
  readonly #kinds = new Map<ResourceKind, KindState>();
  #client: Client | null = null;
  #call: ClientDuplexStream<never, never> | null = null;
  #lateAck: (() => void) | null = null;

  constructor(options: TestSidecarOptions) {
    this.#options = options;
    this.refuse = options.refuse ?? new Map();
  }

  /** Opens a stream; what is held from an earlier one is offered, as the protocol wants it. */
  connect(address: string): void {
    const { method, variant } = { method: this.#method, variant: this.#options.variant };
    this.closed = null;
    this.#client = new Client(address, this.#options.credentials ?? grpcCredentials.createInsecure(), {
      "grpc.use_local_subchannel_pool": 1,
      // Addresses are no server names (RFC 6066, section 3).
      "grpc.ssl_target_name_override": "localhost",
    });
    const call = this.#client.makeBidiStreamRequest(
      method.path,
      method.requestSerialize as (value: never) => Buffer,
      method.responseDeserialize as (bytes: Buffer) => never,
    );
    this.#call = call;
    call.on("data", (message: DeltaDiscoveryResponse | DiscoveryResponse) => {
      this.responses++;
      if (variant === "delta") this.#takeDelta(message as DeltaDiscoveryResponse);
      else this.#takeSotw(message as DiscoveryResponse);
    });
    call.on("error", (error: ServiceError) => {
      this.closed ??= error;
    });
    call.on("end", () => {
      this.closed ??= "ended";
    });
    for (const kind of WHOLE) this.#open(kind);
    for (const [kind, { wanted }] of this.#kinds) if (wanted.size > 0) this.#open(kind);
  }

  /** The model values that are in force, by name. */
  held(kind: ResourceKind): ReadonlyMap<string, unknown> {
    return new Map([...this.#state(kind).held].map(([name, { resource }]) => [name, resource.value]));
  }

  /** Subscribes to further names by hand. */
  subscribe(kind: ResourceKind, names: readonly string[]): void {
    const state = this.#state(kind);
    const known = WHOLE.includes(kind) || state.wanted.size > 0;
    for (const name of names) state.wanted.add(name);
    if (!known) this.#open(kind);
    else if (this.#options.variant === "sotw") this.#requestSotw(kind);
    else this.#requestDelta(kind, { resourceNamesSubscribe: [...names] });
  }

  /** Gives up names (Delta only). */
  unsubscribe(kind: ResourceKind, names: readonly string[]): void {
    for (const name of names) this.#state(kind).wanted.delete(name);
    this.#requestDelta(kind, { resourceNamesUnsubscribe: [...names] });
  }

  /** Says goodbye: ends its half of the stream. */
  leave(): void {
    this.#call?.end();
  }

  /** Breaks the connection without a word. */
  disconnect(): void {
    this.#call?.cancel();
    this.#client?.close();
  }

  get #method() {
    const { streamAggregatedResources, deltaAggregatedResources } = adsServiceDefinition;
    return this.#options.variant === "sotw" ? streamAggregatedResources : deltaAggregatedResources;
  }

  #state(kind: ResourceKind): KindState {
    let state = this.#kinds.get(kind);
    if (!state) this.#kinds.set(kind, (state = { version: "", nonce: "", wanted: new Set(), held: new Map() }));
    return state;
  }

  #node() {
    const { workload, metadata } = this.#options;
    return { id: workload.id, cluster: workload.service, metadata: metadata ?? metadataOf(workload) };
  }

  #open(kind: ResourceKind): void {
    const state = this.#state(kind);
    state.nonce = "";
    if (this.#options.variant === "sotw") {
      this.#requestSotw(kind);
      return;
    }
    this.#requestDelta(kind, {
      node: this.#node(),
      resourceNamesSubscribe: [...state.wanted],
      initialResourceVersions: Object.fromEntries([...state.held].map(([name, { version }]) => [name, version])),
    });
  }

  #requestSotw(kind: ResourceKind, error: string | null = null): void {
    const { version, nonce, wanted } = this.#state(kind);
    this.#write(
      create(DiscoveryRequestSchema, {
        node: this.#node(),
        typeUrl: TYPE_URLS[kind],
        versionInfo: version,
        responseNonce: nonce,
        resourceNames: WHOLE.includes(kind) ? [] : [...wanted],
        ...(error === null ? {} : { errorDetail: { code: 3, message: error } }),
      }),
    );
  }

  #requestDelta(kind: ResourceKind, parts: MessageInitShape<typeof DeltaDiscoveryRequestSchema>): void {
    this.#write(create(DeltaDiscoveryRequestSchema, { ...parts, typeUrl: TYPE_URLS[kind] } as typeof parts));
  }

  #write(message: unknown): void {
    this.#call?.write(message as never);
  }

  #takeDelta(message: DeltaDiscoveryResponse): void {
    const kind = kindOf(message.typeUrl);
    if (!kind) throw new Error(`unexpected type ${message.typeUrl}`);
    const names = message.resources.map(({ name }) => name);
    this.received.push({ kind, names, removed: message.removedResources });
    const refusal = this.refuse.get(kind);
    if (refusal !== undefined) {
      this.#requestDelta(kind, { responseNonce: message.nonce, errorDetail: { code: 3, message: refusal } });
      return;
    }
    const state = this.#state(kind);
    for (const { name, version, resource, aliases } of message.resources) {
      for (const alias of aliases) this.aliases.set(alias, name);
      if (resource) state.held.set(name, { version, resource: decoded(message.typeUrl, resource) });
    }
    for (const name of message.removedResources) state.held.delete(name);
    this.#acknowledge(kind, () => this.#requestDelta(kind, { responseNonce: message.nonce }));
  }

  #takeSotw(message: DiscoveryResponse): void {
    const kind = kindOf(message.typeUrl);
    if (!kind) throw new Error(`unexpected type ${message.typeUrl}`);
    const resources = message.resources.map((resource) => decoded(message.typeUrl, resource));
    const names = resources.map(({ name }) => name);
    const state = this.#state(kind);
    const removed = WHOLE.includes(kind) ? [...state.held.keys()].filter((name) => !names.includes(name)) : [];
    this.received.push({ kind, names, removed });
    state.nonce = message.nonce;
    const refusal = this.refuse.get(kind);
    if (refusal !== undefined) {
      this.#requestSotw(kind, refusal);
      return;
    }
    for (const resource of resources) state.held.set(resource.name, { version: "", resource });
    for (const name of removed) state.held.delete(name);
    state.version = message.versionInfo;
    this.#acknowledge(kind, () => this.#requestSotw(kind));
  }

  /** Answers, after having asked for what the new resources refer to. */
  #acknowledge(kind: ResourceKind, acknowledge: () => void): void {
    if (kind === "endpoint") {
      acknowledge();
      this.#lateAck?.();
      this.#lateAck = null;
      return;
    }
    const dependent = kind === "cluster" ? "endpoint" : "route";
    const missing = this.#referencesOf(kind).filter((name) => !this.#state(dependent).wanted.has(name));
    if (kind === "cluster" && this.#options.lateClusterAck && missing.length > 0) this.#lateAck = acknowledge;
    else acknowledge();
    if (WHOLE.includes(kind) && missing.length > 0) {
      const known = this.#state(dependent).wanted.size > 0;
      for (const name of missing) this.#state(dependent).wanted.add(name);
      if (!known) this.#open(dependent);
      else if (this.#options.variant === "sotw") this.#requestSotw(dependent);
      else this.#requestDelta(dependent, { resourceNamesSubscribe: missing });
    }
  }

  #referencesOf(kind: ResourceKind): string[] {
    return [...this.#state(kind).held.values()].flatMap(({ resource }) => {
      if (resource.kind === "cluster") {
        const { discovery } = resource.value;
        return discovery.kind === "eds" ? [discovery.serviceName] : [];
      }
      if (resource.kind !== "listener") return [];
      return resource.value.filterChains.flatMap(({ filters }) =>
        filters.flatMap((filter) =>
          filter.kind === "http_connection_manager" && filter.config.routes.kind === "rds"
            ? [filter.config.routes.name]
            : [],
        ),
      );
    });
  }
}

function decoded(typeUrl: string, any: Parameters<typeof decodeResource>[1]): Resource {
  const result = decodeResource(typeUrl, any, { readFile: () => new Uint8Array(), environment: {} });
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  return result.value;
}
