/**
 * A sidecar that costs little: the delta stream of a real one (a TLS connection with its certificate, all clusters and
 * listeners, the endpoints and routes of all that it is told of), which looks into no resource.
 */
import { create, fromBinary, type JsonObject, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { type ChannelCredentials, Client, type ClientDuplexStream } from "@grpc/grpc-js";
import {
  DeltaDiscoveryRequestSchema,
  type DeltaDiscoveryResponse,
  DeltaDiscoveryResponseSchema,
} from "../../generated/envoy/service/discovery/v3/discovery_pb.js";
import { kindOf, type ResourceKind, TYPE_URLS } from "../../xds/resources.ts";
import type { SidecarPlace } from "./content.ts";

const METHOD = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";
const AGAIN_MS = 500;

/** Of one sidecar or several. */
export interface Tally {
  bytes: number;
  resources: number;
  lastAt: number;
  readonly errors: string[];
}

export interface SidecarOptions {
  readonly place: SidecarPlace;
  readonly target: string;
  readonly credentials: ChannelCredentials;
  readonly tally: Tally;
  readonly now: () => number;
  /** Endpoints of these clusters have come. */
  readonly onEndpoints: (sidecar: BenchSidecar, clusters: readonly string[]) => void;
}

export class BenchSidecar {
  readonly #o: SidecarOptions;
  /** Versions by name. */
  readonly #held: Readonly<Record<ResourceKind, Map<string, string>>> = {
    cluster: new Map(),
    endpoint: new Map(),
    listener: new Map(),
    route: new Map(),
    secret: new Map(),
  };
  #opened = new Set<ResourceKind>();
  #call: ClientDuplexStream<Buffer, Buffer> | null = null;

  constructor(options: SidecarOptions) {
    this.#o = options;
    this.#connect();
  }

  /** Whether it has endpoints and routes of all that it was told of, and has been told of something. */
  get served(): boolean {
    const { cluster, endpoint, listener, route } = this.#held;
    return (
      listener.size > 0 &&
      [...cluster.keys()].every((name) => !isOutbound(name) || endpoint.has(name)) &&
      [...listener.keys()].every((name) => !isOutbound(name) || route.has(routesOf(name)))
    );
  }

  knows(cluster: string): boolean {
    return this.#held.cluster.has(cluster);
  }

  #connect(): void {
    const client = new Client(this.#o.target, this.#o.credentials, {
      "grpc.use_local_subchannel_pool": 1,
      "grpc.max_receive_message_length": -1,
      "grpc.ssl_target_name_override": "localhost",
    });
    const plain = (bytes: Buffer): Buffer => bytes;
    const call = client.makeBidiStreamRequest<Buffer, Buffer>(METHOD, plain, plain);
    this.#call = call;
    this.#opened = new Set();
    call.on("data", (bytes: Buffer) => this.#take(bytes));
    call.on("end", () => call.end());
    call.on("error", ({ message }) => {
      this.#o.tally.errors.push(message);
      client.close();
      setTimeout(() => this.#connect(), AGAIN_MS).unref();
    });
    this.#request("cluster", {});
    this.#request("listener", {});
    for (const kind of ["endpoint", "route"] as const) {
      if (this.#held[kind].size > 0) this.#request(kind, { resourceNamesSubscribe: [...this.#held[kind].keys()] });
    }
  }

  #request(kind: ResourceKind, parts: MessageInitShape<typeof DeltaDiscoveryRequestSchema>): void {
    const first = !this.#opened.has(kind);
    const introduces = this.#opened.size === 0;
    this.#opened.add(kind);
    const request = create(DeltaDiscoveryRequestSchema, {
      ...parts,
      typeUrl: TYPE_URLS[kind],
      ...(introduces && { node: this.#node() }),
      ...(first && { initialResourceVersions: Object.fromEntries(this.#held[kind]) }),
    } as MessageInitShape<typeof DeltaDiscoveryRequestSchema>);
    this.#call?.write(Buffer.from(toBinary(DeltaDiscoveryRequestSchema, request)));
  }

  #node(): { id: string; cluster: string; metadata: JsonObject } {
    const { namespace, service, serviceAccount, address } = this.#o.place;
    const interception = { inbound: "redirect", networkNamespace: "", ipv6: false };
    const metadata = { service, namespace, serviceAccount, appPort: 8080, address, interception };
    return { id: `${service}.${namespace}~${address}`, cluster: service, metadata: { OUTRIGGER: metadata } };
  }

  #take(bytes: Buffer): void {
    const { tally, now } = this.#o;
    tally.bytes += bytes.byteLength;
    tally.lastAt = now();
    const response: DeltaDiscoveryResponse = fromBinary(DeltaDiscoveryResponseSchema, bytes);
    const kind = kindOf(response.typeUrl);
    if (kind === undefined) return;
    const held = this.#held[kind];
    const fresh: string[] = [];
    for (const { name, version } of response.resources) {
      if (!held.has(name)) fresh.push(name);
      held.set(name, version);
    }
    for (const name of response.removedResources) held.delete(name);
    tally.resources += response.resources.length;
    this.#request(kind, { responseNonce: response.nonce });
    const wanted = fresh.filter(isOutbound);
    if (kind === "cluster" && wanted.length > 0) this.#request("endpoint", { resourceNamesSubscribe: wanted });
    if (kind === "listener" && wanted.length > 0) {
      this.#request("route", { resourceNamesSubscribe: wanted.map(routesOf) });
    }
    if (kind === "endpoint") {
      this.#o.onEndpoints(
        this,
        response.resources.map(({ name }) => name),
      );
    }
  }
}

function isOutbound(name: string): boolean {
  return name.startsWith("outbound|");
}

/** `outbound|80||stock.default` → `stock.default:80`. */
function routesOf(listener: string): string {
  const [, port, , service] = listener.split("|");
  return `${service}:${port}`;
}
