/**
 * The ADS server: turns gRPC streams into sessions, registers their workloads, and after a change wakes only the
 * sessions that it concerns.
 */
import { type ServerDuplexStream, status, type UntypedServiceImplementation } from "@grpc/grpc-js";
import type { Clock, Timer } from "../../core/clock.ts";
import { formatProblem, messageOf } from "../../core/errors.ts";
import type { Logger } from "../../core/log.ts";
import type {
  DeltaDiscoveryRequest,
  DiscoveryRequest,
} from "../../generated/envoy/service/discovery/v3/discovery_pb.js";
import { kindOf, type ResourceKind } from "../../xds/resources.ts";
import type { ResourceCache } from "../cache.ts";
import type { CacheChange } from "../cache-change.ts";
import type { Workload } from "../mesh/workload.ts";
import { parseWorkload } from "../registry/metadata.ts";
import type { Registry } from "../registry/registry.ts";
import { type Peer, refusal } from "./authorize.ts";
import { delta } from "./delta.ts";
import { takeDeltaRequest, takeSotwRequest } from "./requests.ts";
import { deltaResponse, sotwResponse } from "./response-bytes.ts";
import { Session } from "./session.ts";
import { stateOfTheWorld } from "./state-of-the-world.ts";
import { Turns } from "./turns.ts";
import type { Response, Variant } from "./variant.ts";

/** What the server counts; see `metrics.ts`. */
export interface AdsObserver {
  connected(count: number): void;
  pushed(kind: ResourceKind, variant: Variant["name"], resources: number, removed: number): void;
  nacked(kind: ResourceKind): void;
  refused(): void;
}

export interface AdsServerOptions {
  readonly cache: ResourceCache;
  readonly registry: Registry;
  readonly trustDomain: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly observer: AdsObserver;
  /** What is known besides of a workload that is admitted. Default: nothing. */
  readonly describe?: (workload: Workload) => Workload;
  /** Changes within this time are sent together, ms. */
  readonly debounceMs?: number;
}

/** How long after the end of a stream's requests it is known whether the connection still stands, ms. */
const GOODBYE_MS = 20;

/** The peer of a call; given by whoever knows on which port it came. */
export type PeerOf = (call: ServerDuplexStream<unknown, unknown>) => Peer;

export class AdsServer {
  readonly #options: AdsServerOptions;
  readonly #sessions = new Map<string, Connection>();
  readonly #woken = new Set<Session>();
  readonly #turns: Turns;
  readonly #unsubscribe: () => void;
  #flushTimer: Timer | null = null;
  #closed = false;

  constructor(options: AdsServerOptions) {
    this.#options = options;
    this.#turns = new Turns(options.clock);
    this.#unsubscribe = options.cache.subscribe((change) => this.#wake(change));
  }

  /** Handlers for `adsServerDefinition`. */
  implementation(peerOf: PeerOf): UntypedServiceImplementation {
    return {
      streamAggregatedResources: (call: ServerDuplexStream<DiscoveryRequest, Buffer>) => {
        this.#serve(call, peerOf(call), stateOfTheWorld, takeSotwRequest, sotwResponse);
      },
      deltaAggregatedResources: (call: ServerDuplexStream<DeltaDiscoveryRequest, Buffer>) => {
        this.#serve(call, peerOf(call), delta, takeDeltaRequest, deltaResponse);
      },
    };
  }

  /** The live sessions by node id. */
  sessions(): readonly Session[] {
    return [...this.#sessions.values()].map(({ session }) => session);
  }

  /** Ends all streams; their workloads stay registered. */
  close(): void {
    this.#closed = true;
    this.#unsubscribe();
    this.#flushTimer?.cancel();
    for (const { session, end } of this.#sessions.values()) {
      session.close();
      end(status.UNAVAILABLE, "the control plane is stopping");
    }
    this.#sessions.clear();
  }

  #serve<Request extends AnyRequest>(
    call: ServerDuplexStream<Request, Buffer>,
    peer: Peer,
    variant: Variant,
    take: (session: Session, kind: ResourceKind, request: Request) => void,
    encode: (kind: ResourceKind, response: Response, nonce: string) => Buffer,
  ): void {
    let session: Session | null = null;
    let ended = false;
    const end = (code: status, details: string): void => {
      if (ended) return;
      ended = true;
      call.emit("error", { code, details });
    };
    let goodbye: Timer | null = null;
    const leave = (clean: boolean): void => {
      ended = true;
      goodbye?.cancel();
      if (session) this.#leave(session, clean);
      session = null;
    };
    const onRequest = (request: Request): void => {
      if (ended) return;
      if (session === null) {
        const admitted = this.#admit(request, peer);
        if (typeof admitted === "string") {
          this.#options.observer.refused();
          this.#options.log.warn({ peer: peer.address }, `sidecar refused: ${admitted}`);
          end(peer.secure ? status.PERMISSION_DENIED : status.INVALID_ARGUMENT, admitted);
          return;
        }
        session = this.#open(admitted, variant, end, (kind, response, nonce) => {
          if (!ended) call.write(encode(kind, response, nonce));
        });
      }
      const kind = kindOf(request.typeUrl);
      if (kind === undefined) {
        this.#options.log.warn(
          { node: session.nodeId, type: request.typeUrl },
          "a type was asked for that is not served",
        );
        return;
      }
      take(session, kind, request);
      session.pump();
    };
    call.on("data", (request: Request) => {
      try {
        onRequest(request);
      } catch (error) {
        // A fault of ours must cost one stream, not the mesh its control plane.
        this.#options.log.error({ peer: peer.address, error: messageOf(error) }, "a request could not be served");
        end(status.INTERNAL, "the control plane could not serve this request: its log says why");
      }
    });
    call.on("end", () => {
      // A broken connection ends the stream too, and says a moment later that it was no goodbye.
      goodbye = this.#options.clock.after(GOODBYE_MS, () => {
        leave(true);
        call.end();
      });
    });
    call.on("cancelled", () => leave(false));
    call.on("error", () => leave(false));
  }

  /** The workload of a stream's first request, or why it is refused. */
  #admit(request: AnyRequest, peer: Peer): Workload | string {
    if (this.#closed) return "the control plane is stopping";
    if (!request.node) return "the first request of a stream needs a node";
    const parsed = parseWorkload(request.node.id, request.node.metadata ?? {});
    if (!parsed.ok) return parsed.problems.map(formatProblem).join("; ");
    const { trustDomain, describe } = this.#options;
    return refusal(peer, parsed.workload, trustDomain) ?? (describe ? describe(parsed.workload) : parsed.workload);
  }

  #open(workload: Workload, variant: Variant, end: Connection["end"], send: SendResponse): Session {
    const { cache, registry, clock, log, observer } = this.#options;
    const previous = this.#sessions.get(workload.id);
    const session = new Session({
      nodeId: workload.id,
      cache,
      variant,
      clock,
      turns: this.#turns,
      send: (kind, response, nonce) => {
        observer.pushed(kind, variant.name, response.resources.length, response.removed.length);
        send(kind, response, nonce);
      },
      onAck: (kind) => {
        if (kind === "listener") registry.ready(workload.id, session);
      },
      onNack: (kind, nack, names) => {
        observer.nacked(kind);
        log.error(
          { node: workload.id, kind, names: names.slice(0, 10) },
          `configuration refused by a sidecar: ${nack.message}`,
        );
      },
    });
    this.#sessions.set(workload.id, { session, end });
    previous?.session.close();
    previous?.end(status.ABORTED, "this sidecar has opened a newer stream");
    cache.addNode(workload);
    registry.join(workload, session);
    observer.connected(this.#sessions.size);
    return session;
  }

  #leave(session: Session, clean: boolean): void {
    session.close();
    this.#woken.delete(session);
    if (this.#closed || this.#sessions.get(session.nodeId)?.session !== session) return;
    this.#sessions.delete(session.nodeId);
    this.#options.cache.removeNode(session.nodeId);
    this.#options.registry.leave(session.nodeId, session, clean);
    this.#options.observer.connected(this.#sessions.size);
  }

  /** Marks what the change means to each session; those that it concerns are served together in a moment. */
  #wake({ shared, nodes }: CacheChange): void {
    for (const { session } of this.#sessions.values()) {
      const own = nodes.get(session.nodeId);
      const touched = session.touch(shared);
      if ((own && session.touch(own)) || touched) this.#woken.add(session);
    }
    if (this.#woken.size === 0) return;
    this.#flushTimer ??= this.#options.clock.after(this.#options.debounceMs ?? 10, () => {
      this.#flushTimer = null;
      const woken = [...this.#woken];
      this.#woken.clear();
      for (const session of woken) session.pump();
    });
  }
}

interface Connection {
  readonly session: Session;
  readonly end: (code: status, details: string) => void;
}

type SendResponse = (kind: ResourceKind, response: Response, nonce: string) => void;
type AnyRequest = Pick<DiscoveryRequest, "node" | "typeUrl"> & Pick<DeltaDiscoveryRequest, "node" | "typeUrl">;
