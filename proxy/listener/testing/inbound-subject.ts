/** A listener over sockets that the test itself plays, in simulated time: who was served what, by which chain. */
import type { Socket } from "node:net";
import { Duplex } from "node:stream";
import { EventClock, SimulatedClock } from "../../../core/clock.ts";
import { TimerWheel } from "../../../core/timer-wheel.ts";
import { Flag } from "../../../model/flags.ts";
import type { FilterChain, FilterChainMatch, Listener } from "../../../model/listener.ts";
import type { ConnectionInfo, StreamInfo } from "../../../telemetry/stream-info.ts";
import { OwnConnections } from "../../endpoint/own-connections.ts";
import { InboundListener } from "../../inbound.ts";
import type { Interception } from "../../interception.ts";
import type { OnDemand } from "../../on-demand.ts";
import type { Arrival } from "../arrival.ts";
import type { CompiledFilterChain } from "../compile-chain.ts";
import type { ConnectionLog } from "../connection-log.ts";
import { DetectionMemory } from "../detection-memory.ts";
import { type Destination, NO_ORIGINAL_DESTINATION } from "../original-destination.ts";
import type { ConnectionClosed, OpaqueAttempt, ServedConnection, Terminal } from "../terminal.ts";

export const ANY_MATCH: FilterChainMatch = {
  destinationPort: null,
  prefixRanges: [],
  serverNames: [],
  transportProtocol: "",
  applicationProtocols: [],
  sourceType: "any",
  sourcePrefixRanges: [],
  sourcePorts: [],
};

export function filterChain(name: string, match: Partial<FilterChainMatch> = {}): FilterChain {
  return { name, match: { ...ANY_MATCH, ...match }, tls: null, transportSocketConnectTimeoutMs: 0, filters: [] };
}

export function listenerOf(fields: Partial<Listener> = {}): Listener {
  return {
    name: "l",
    address: { kind: "tcp", host: "127.0.0.1", port: 15_001 },
    statPrefix: "",
    bindToPort: true,
    trafficDirection: "unspecified",
    listenerFilters: [],
    listenerFiltersTimeoutMs: 0,
    continueOnListenerFiltersTimeout: false,
    filterChains: [filterChain("only")],
    defaultFilterChain: null,
    perConnectionBufferLimitBytes: 1 << 20,
    accessLogs: [],
    tcpBacklogSize: 128,
    reusePort: false,
    outrigger: null,
    ...fields,
  };
}

/** The near end of a connection whose far end the test plays. */
export class PlayedSocket extends Duplex {
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
  wasReset = false;

  constructor(from: Destination, to: Destination) {
    super({ allowHalfOpen: true });
    this.remoteAddress = from.host;
    this.remotePort = from.port;
    this.localAddress = to.host;
    this.localPort = to.port;
  }

  get asSocket(): Socket {
    return this as unknown as Socket;
  }

  /** The client says something. */
  say(bytes: Buffer | string): void {
    this.push(typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes);
  }

  /** The client has sent its last byte. */
  hangUp(): void {
    this.push(null);
  }

  resetAndDestroy(): this {
    this.wasReset = true;
    return this.destroy();
  }

  override _read(): void {}

  override _write(_chunk: Buffer, _encoding: string, done: () => void): void {
    done();
  }
}

/** What a chain's terminal was given. */
export interface Service {
  readonly chain: string;
  readonly info: ConnectionInfo;
  /** The server was called before the client had said anything. */
  readonly early: boolean;
  bytes: string;
  ended: boolean;
  drained: boolean;
  readonly close: ConnectionClosed;
}

export interface Attempt {
  readonly chain: string;
  state: "open" | "committed" | "abandoned";
  readonly serverSpeaks: () => void;
}

export interface SubjectOptions {
  /** Chains that end in an HTTP filter; the others carry opaque bytes. */
  readonly http?: readonly string[];
  /** Chains whose rules refuse every connection. */
  readonly denied?: readonly string[];
  readonly original?: (socket: Socket) => Destination | null;
  readonly handOver?: (arrival: Arrival) => boolean;
  readonly memory?: DetectionMemory;
  readonly own?: OwnConnections;
  readonly onDemand?: (subject: InboundSubject) => OnDemand;
}

export class InboundSubject {
  readonly clock = new SimulatedClock();
  readonly wheel = new TimerWheel(this.clock);
  readonly services: Service[] = [];
  readonly attempts: Attempt[] = [];
  readonly refused: { readonly reason: string; readonly explanation: string }[] = [];
  readonly detected: string[] = [];
  /** Lines of the listener's access log: `no filter chain`, `unserved`, `served`, each with the connection. */
  readonly logged: { readonly what: string; readonly info: ConnectionInfo }[] = [];
  readonly inForce = new Map<string, boolean>();
  readonly inbound: InboundListener;
  readonly #options: SubjectOptions;

  constructor(listener: Listener, options: SubjectOptions = {}) {
    this.#options = options;
    const log = (what: string) => (info: ConnectionInfo) => void this.logged.push({ what, info });
    const interception = {
      original: options.original === undefined ? NO_ORIGINAL_DESTINATION : { of: options.original },
      own: options.own ?? new OwnConnections(),
      memory: options.memory ?? new DetectionMemory(),
      handOver: (arrival: Arrival) => options.handOver?.(arrival) ?? false,
    } as unknown as Interception;
    this.inbound = new InboundListener(listener, (chain) => this.#compile(chain), {
      clock: new EventClock(this.clock),
      wheel: this.wheel,
      observer: {
        onOpened() {},
        onClosed() {},
        onRefused: (_, reason, explanation) => void this.refused.push({ reason, explanation }),
        onDetected: (_, outcome) => void this.detected.push(outcome),
        onTlsFailure() {},
        onTlsAccepted() {},
        onDenied: (_, explanation) => void this.refused.push({ reason: "denied", explanation }),
      },
      interception,
      onDemand: options.onDemand?.(this) ?? null,
      log: {
        begin: (info: ConnectionInfo) => () => log("served")(info),
        write: ({ connection, flags }: StreamInfo) =>
          log(flags === Flag.NR ? "no filter chain" : "unserved")(connection),
      } as unknown as ConnectionLog,
    });
  }

  /** A connection that arrives at the listener. */
  connect(
    from: Destination = { host: "10.0.0.1", port: 40_000 },
    to: Destination = { host: "127.0.0.1", port: 15_001 },
  ): PlayedSocket {
    const socket = new PlayedSocket(from, to);
    this.inbound.accept(socket.asSocket);
    return socket;
  }

  #compile({ name, tls }: FilterChain): CompiledFilterChain {
    const { inForce } = this;
    return {
      name,
      tls: null,
      readsHello: tls !== null,
      handshakeTimeoutMs: 0,
      check: () =>
        this.#options.denied?.includes(name) ? { allowed: false, details: "", explanation: "not you" } : null,
      terminal: this.#terminal(name),
      get inForce() {
        return inForce.get(name) ?? true;
      },
    };
  }

  #terminal(chain: string): Terminal {
    const serve = (
      socket: Socket,
      head: Buffer | null,
      info: ConnectionInfo,
      close: ConnectionClosed,
      early: boolean,
    ): ServedConnection => {
      const service: Service = {
        chain,
        info,
        early,
        bytes: head?.toString("latin1") ?? "",
        ended: socket.readableEnded,
        drained: false,
        close,
      };
      this.services.push(service);
      socket.on("data", (bytes: Buffer) => {
        service.bytes += bytes.toString("latin1");
      });
      socket.on("end", () => {
        service.ended = true;
      });
      socket.resume();
      return { socket, drain: () => void (service.drained = true) };
    };
    return {
      serve: (socket, head, info, close) => serve(socket, head, info, close, false),
      opaque: this.#options.http?.includes(chain)
        ? null
        : {
            listen: (socket, info, serverSpeaks): OpaqueAttempt => {
              const attempt: Attempt = { chain, state: "open", serverSpeaks };
              this.attempts.push(attempt);
              // As the TCP proxy does, so that nothing is read before there is somewhere to put it.
              socket.pause();
              const settle = (state: "committed" | "abandoned"): void => {
                if (attempt.state !== "open") throw new Error(`the attempt is ${attempt.state} already`);
                attempt.state = state;
              };
              return {
                commit: (head, close) => {
                  settle("committed");
                  return serve(socket, head, info, close, true);
                },
                abandon: () => settle("abandoned"),
              };
            },
          },
    };
  }
}

/** Lets streams hand on what they hold. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
