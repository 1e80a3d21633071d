/**
 * The way in: from an accepted socket to what serves it. Only the order of the stages stands here: listener filters and
 * detection, another listener where the connection was going there, filter chain, TLS, network filters, terminal filter.
 */
import type { Socket } from "node:net";
import type { EventClock } from "../core/clock.ts";
import type { TimerWheel } from "../core/timer-wheel.ts";
import { formatAddress } from "../model/address.ts";
import { Flag } from "../model/flags.ts";
import type { Listener } from "../model/listener.ts";
import type { ConnectionInfo, ConnectionTls, StreamInfo } from "../telemetry/stream-info.ts";
import type { Interception } from "./interception.ts";
import { Arrival } from "./listener/arrival.ts";
import type { CompiledFilterChain } from "./listener/compile-chain.ts";
import { type ConnectionLog, streamOf, type Unserved } from "./listener/connection-log.ts";
import { Detection, type DetectionOutcome } from "./listener/detection.ts";
import { compileFilterChains } from "./listener/filter-chain-match.ts";
import { Handshakes } from "./listener/handshakes.ts";
import { Intake, type IntakeEnd, type IntakeOwner, runSteps } from "./listener/intake.ts";
import { compileListenerFilters, inspectTls, type ListenerStep } from "./listener/listener-filters.ts";
import { type Refusal, type RefusalReason, refusals } from "./listener/refusal.ts";
import { ServedConnections } from "./listener/served-connections.ts";
import { type OpaqueWay, ServerWatch } from "./listener/server-watch.ts";
import type { ConnectionClosed, ServedConnection } from "./listener/terminal.ts";
import { compileVirtualGuard, type VirtualGuard } from "./listener/virtual-guard.ts";
import type { OnDemand } from "./on-demand.ts";
import { TlsFailure } from "./tls/failure.ts";

/** What is counted about connections. */
export interface ConnectionObserver {
  onOpened(listener: string): void;
  onClosed(listener: string): void;
  /** A connection that no filter chain served; `explanation` is for operators. */
  onRefused(listener: string, reason: RefusalReason, explanation: string, remoteAddress: string): void;
  onDetected(listener: string, outcome: DetectionOutcome): void;
  onTlsFailure(listener: string, failure: TlsFailure, remoteAddress: string): void;
  onTlsAccepted(listener: string, tls: ConnectionTls): void;
  onDenied(listener: string, explanation: string): void;
}

export interface InboundDeps {
  readonly clock: EventClock;
  readonly wheel: TimerWheel;
  readonly observer: ConnectionObserver;
  readonly interception: Interception;
  /** null: there is nobody to ask for what is called and not known. */
  readonly onDemand: OnDemand | null;
  /** null: the listener keeps none. */
  readonly log: ConnectionLog | null;
}

const HELLO_STEP: readonly ListenerStep[] = [inspectTls];

/** The accepting side of one version of a listener's configuration, with the connections that follow it. */
export class InboundListener implements IntakeOwner {
  readonly #listener: Listener;
  readonly #deps: InboundDeps;
  readonly #match: (arrival: Arrival) => CompiledFilterChain | null;
  readonly #steps: readonly ListenerStep[];
  readonly #guard: VirtualGuard | null;
  readonly #detection: Detection | null;
  /** The application sees its callers' own addresses (TPROXY), but for those of this machine: that would be a loop. */
  readonly #keepsSource: boolean;
  /** The default chain: a listener for what the mesh does not know refuses what comes to it. */
  #fallback: CompiledFilterChain | null = null;
  readonly #connections = new ServedConnections();
  /** Connections that have not yet shown what they speak, and who listens to their servers meanwhile. */
  readonly #intakes = new Map<Intake, ServerWatch | null>();
  readonly #handshakes: Handshakes;
  /** null: what no other listener takes is served here at once. */
  readonly #onDemand: OnDemand | null;
  /** Connections that wait until it is known what they are for. */
  readonly #held = new Map<Arrival, () => void>();

  constructor(
    listener: Listener,
    compile: (chain: Listener["filterChains"][number]) => CompiledFilterChain,
    deps: InboundDeps,
  ) {
    this.#listener = listener;
    this.#deps = deps;
    this.#match = compileFilterChains(listener, (chain) => {
      const compiled = compile(chain);
      if (chain === listener.defaultFilterChain) this.#fallback = compiled;
      return compiled;
    });
    this.#handshakes = new Handshakes(deps.clock, deps.wheel);
    const { original, own, memory } = deps.interception;
    this.#steps = compileListenerFilters(listener, original);
    this.#guard = compileVirtualGuard(listener, own);
    this.#keepsSource = listener.transparent === true && listener.outrigger?.virtual?.kind === "inbound";
    const asks = listener.outrigger?.virtual?.kind === "outbound" && listener.outrigger.onDemand !== undefined;
    this.#onDemand = asks ? deps.onDemand : null;
    const detection = listener.outrigger?.detection;
    this.#detection = detection === undefined ? null : new Detection(detection, listener, memory);
  }

  /** All that was accepted and is open, what speaks no HTTP yet included. */
  get open(): number {
    return this.#connections.size + this.#handshakes.size + this.#intakes.size + this.#held.size;
  }

  /** Connections of chains that are not in force any more, and those that may yet turn out to be. */
  get leaving(): number {
    const { leaving, hasDepartures } = this.#connections;
    return leaving + (hasDepartures ? this.#intakes.size + this.#handshakes.size + this.#held.size : 0);
  }

  readonly accept = (socket: Socket): void => {
    this.#deps.clock.refresh();
    socket.on("error", ignore);
    this.take(new Arrival(socket));
  };

  /** A new connection, accepted here or handed over by the listener that did. */
  take(arrival: Arrival): void {
    const steps = this.#steps;
    let at = 0;
    if (this.#guard !== null) {
      // Where the connection was going decides before what it says: nobody waits for a client's first byte in vain.
      at = runSteps(steps, 0, arrival);
      const refusal = this.#guard(arrival);
      if (refusal !== null) {
        this.#refuse(arrival, refusal);
        return;
      }
      if (this.#handOver(arrival)) return;
      if (this.#onDemand !== null && this.#hold(arrival, at, this.#onDemand)) return;
      if (this.#keepsSource) arrival.keepsSource = !this.#deps.interception.addresses.has(arrival.sourceAddress);
    } else if (steps.length > 0) at = runSteps(steps, 0, arrival);
    this.#proceed(arrival, at);
  }

  #proceed(arrival: Arrival, at: number): void {
    if (at === this.#steps.length) this.#identified(arrival, null);
    else this.#inspect(arrival, at);
  }

  /** Keeps a connection until it is known what is there that it was going to; false: it need not wait. */
  #hold(arrival: Arrival, at: number, onDemand: OnDemand): boolean {
    const { destinationAddress: host, destinationPort: port, socket } = arrival;
    const place = formatAddress({ kind: "tcp", host, port });
    const waiting = onDemand.hold(place, this.#listener.outrigger?.onDemand?.timeoutMs ?? 0, {
      retry: () => {
        if (!this.#handOver(arrival)) return false;
        this.#release(arrival);
        return true;
      },
      end: (why) => {
        this.#release(arrival);
        arrival.unanswered = why === "unanswered";
        this.#proceed(arrival, at);
      },
    });
    if (typeof waiting === "string") {
      arrival.unanswered = waiting === "unanswered";
      return false;
    }
    const onClose = (): void => {
      waiting.cancel();
      this.#release(arrival);
      this.#logUnserved(arrival.info(this.#listener.name, "", null));
    };
    socket.on("close", onClose);
    this.#held.set(arrival, onClose);
    return true;
  }

  #release(arrival: Arrival): void {
    const onClose = this.#held.get(arrival);
    if (onClose === undefined) return;
    this.#held.delete(arrival);
    arrival.socket.off("close", onClose);
  }

  /** Busy connections close after their response, idle ones after `graceMs` without a request. */
  drain(graceMs: number): void {
    this.#connections.drain(graceMs);
  }

  /** As `drain` for connections of chains that are not in force any more; what is open of them at `end` is cut. */
  drainLeaving(graceMs: number, end: number): void {
    this.#connections.drainLeaving(graceMs, end);
  }

  /** Cuts what was leaving and whose time is up. */
  sweep(now: number): void {
    this.#connections.sweep(now);
  }

  /** Cuts what is open. */
  close(): void {
    for (const [intake, watch] of this.#intakes) {
      watch?.take()?.abandon();
      intake.destroy();
    }
    this.#intakes.clear();
    // Each takes itself off the list when its socket has closed.
    for (const { socket } of this.#held.keys()) socket.destroy();
    this.#handshakes.close();
    this.#connections.close();
  }

  /** Reads until the listener's filters know enough. */
  #inspect(arrival: Arrival, at: number): void {
    const { wheel } = this.#deps;
    const intake = new Intake(arrival, this.#steps, at, this.#listener.listenerFiltersTimeoutMs, wheel, this);
    const watch =
      this.#detection === null
        ? null
        : new ServerWatch(
            arrival,
            this.#detection.silenceMs(arrival),
            wheel,
            () => this.#opaqueWay(arrival),
            () => intake.finish("server"),
          );
    this.#intakes.set(intake, watch);
  }

  /** Where a connection goes if nothing more is learned of it; null where that isn't to an opaque chain. */
  #opaqueWay(arrival: Arrival): OpaqueWay | null {
    const chain = this.#match(arrival);
    const terminal = chain?.terminal?.opaque;
    if (chain === null || chain.tls !== null || !terminal) return null;
    const info = arrival.info(this.#listener.name, chain.name, null);
    return chain.check(info) === null ? { chain, terminal, info } : null;
  }

  onIntake(intake: Intake, end: IntakeEnd): void {
    const { clock, observer } = this.#deps;
    clock.refresh();
    const { arrival } = intake;
    const watch = this.#intakes.get(intake) ?? null;
    this.#intakes.delete(intake);
    if (this.#detection !== null) {
      observer.onDetected(this.#listener.name, this.#detection.learn(arrival, end));
      this.#identified(arrival, watch);
    } else if (end === "end") {
      this.#cut(arrival);
      this.#logUnserved(arrival.info(this.#listener.name, "", null));
    } else if (end === "timeout" && !this.#listener.continueOnListenerFiltersTimeout) {
      this.#refuse(arrival, refusals.timeout(this.#listener));
    } else this.#identified(arrival, null);
  }

  onGone(intake: Intake): void {
    this.#intakes.get(intake)?.take()?.abandon();
    this.#intakes.delete(intake);
    this.#logUnserved(intake.arrival.info(this.#listener.name, "", null));
  }

  /** All that is to be known of the connection is known. */
  #identified(arrival: Arrival, watch: ServerWatch | null): void {
    if (this.#guard === null && this.#handOver(arrival)) return;
    const chain = this.#match(arrival);
    const attempt = watch?.take() ?? null;
    const way = watch?.way ?? null;
    if (attempt !== null && way !== null) {
      if (way.chain === chain && !arrival.socket.destroyed) {
        this.#tellUnknown(arrival, chain);
        // Nothing may come in between: who takes the connection over reads on by itself.
        arrival.socket.pause();
        this.#register(chain, way.info, (onClosed) => attempt.commit(arrival.head, onClosed));
        return;
      }
      attempt.abandon();
    }
    if (chain === null) {
      this.#refuse(arrival, this.#whyNoChain(arrival));
      return;
    }
    this.#tellUnknown(arrival, chain);
    if (chain.tls === null) this.#serve(arrival, arrival.socket, arrival.head, null, chain);
    else if (chain.readsHello && arrival.hello === null) this.#readHello(arrival, chain);
    else this.#handshake(arrival, chain);
  }

  #handOver(arrival: Arrival): boolean {
    return this.#listener.useOriginalDst === true && this.#deps.interception.handOver(arrival, this.#listener);
  }

  /** Reads the ClientHello for the handshake's sake, where no filter was asked to. */
  #readHello(arrival: Arrival, chain: CompiledFilterChain): void {
    const at = runSteps(HELLO_STEP, 0, arrival);
    if (at === HELLO_STEP.length) {
      this.#handshake(arrival, chain);
      return;
    }
    const limit = chain.handshakeTimeoutMs || this.#listener.listenerFiltersTimeoutMs;
    const intake = new Intake(arrival, HELLO_STEP, at, limit, this.#deps.wheel, {
      onIntake: (done, end) => {
        this.#intakes.delete(done);
        this.#deps.clock.refresh();
        if (end === "known") {
          this.#handshake(arrival, chain);
          return;
        }
        arrival.socket.destroy();
        const sentence = "the client ended before the TLS handshake, or took too long";
        this.#failed(arrival, chain, new TlsFailure("handshake", sentence), "");
      },
      onGone: (gone) => this.#intakes.delete(gone),
    });
    this.#intakes.set(intake, null);
  }

  #handshake(arrival: Arrival, chain: CompiledFilterChain): void {
    if (chain.tls === null) return;
    this.#handshakes.begin(arrival, chain.tls, chain.handshakeTimeoutMs, {
      onSecure: (secure, tls) => {
        this.#deps.observer.onTlsAccepted(this.#listener.name, tls);
        this.#serve(arrival, secure, null, tls, chain);
      },
      onFailed: (failure, termination) => this.#failed(arrival, chain, failure, termination),
    });
  }

  #failed(arrival: Arrival, chain: CompiledFilterChain, failure: TlsFailure, termination: string): void {
    const { name } = this.#listener;
    this.#deps.observer.onTlsFailure(name, failure, arrival.sourceAddress);
    this.#logUnserved(arrival.info(name, chain.name, null), { explanation: failure.message, termination });
  }

  #serve(
    arrival: Arrival,
    socket: Socket,
    head: Buffer | null,
    tls: ConnectionTls | null,
    chain: CompiledFilterChain,
  ): void {
    const { name } = this.#listener;
    const info = arrival.info(name, chain.name, tls);
    const denial = chain.check(info);
    if (denial !== null) {
      const { explanation, details } = denial;
      this.#deps.observer.onDenied(name, explanation);
      const stream = this.#logUnserved(info, { explanation, termination: details });
      chain.terminal?.denied?.(stream);
      socket.destroy();
      return;
    }
    const { terminal } = chain;
    if (terminal === null) {
      const { reason, explanation } = refusals.noFilters(chain.name);
      this.#deps.observer.onRefused(name, reason, explanation, arrival.sourceAddress);
      this.#logUnserved(info, { explanation });
      socket.destroy();
    } else this.#register(chain, info, (onClosed) => terminal.serve(socket, head, info, onClosed));
  }

  #register(
    chain: CompiledFilterChain,
    info: ConnectionInfo,
    begin: (onClosed: ConnectionClosed) => ServedConnection,
  ): void {
    const { name } = this.#listener;
    const { observer, log } = this.#deps;
    observer.onOpened(name);
    const logEnd = log === null ? null : log.begin(info);
    this.#connections.add(chain, begin, (stream, served) => {
      observer.onClosed(name);
      logEnd?.(stream, served);
    });
  }

  #whyNoChain(arrival: Arrival): Refusal {
    const { outrigger, filterChains } = this.#listener;
    const onlyTls =
      outrigger?.virtual?.kind === "inbound" &&
      arrival.transportProtocol === "raw_buffer" &&
      filterChains.some(
        ({ tls, match: { destinationPort } }) =>
          tls !== null && (destinationPort === null || destinationPort === arrival.destinationPort),
      );
    return onlyTls ? refusals.plaintext(arrival) : refusals.noFilterChain(arrival);
  }

  /** Says that a connection is refused which the chain for unknown destinations will end by itself. */
  #tellUnknown(arrival: Arrival, chain: CompiledFilterChain): void {
    const virtual = this.#listener.outrigger?.virtual;
    if (virtual?.kind !== "outbound" || !virtual.registryOnly || chain !== this.#fallback) return;
    const { reason, explanation } = arrival.unanswered ? refusals.unanswered(arrival) : refusals.registryOnly(arrival);
    this.#deps.observer.onRefused(this.#listener.name, reason, explanation, arrival.sourceAddress);
  }

  #refuse(arrival: Arrival, { reason, explanation }: Refusal): void {
    const { name } = this.#listener;
    this.#deps.observer.onRefused(name, reason, explanation, arrival.sourceAddress);
    const noChain = { flags: Flag.NR, details: "filter_chain_not_found", explanation };
    this.#logUnserved(arrival.info(name, "", null), reason === "timeout" ? { explanation } : noChain);
    this.#cut(arrival);
  }

  /** As from Envoy, a client whose bytes were looked at and not taken learns that by a reset. Pipes know none. */
  #cut({ socket, head, sourceAddress }: Arrival): void {
    if (head === null || sourceAddress === "") socket.destroy();
    else socket.resetAndDestroy();
  }

  #logUnserved(info: ConnectionInfo, why: Unserved = {}): StreamInfo {
    const stream = streamOf(info, this.#deps.clock, why);
    this.#deps.log?.write(stream);
    return stream;
  }
}

function ignore(): void {}
