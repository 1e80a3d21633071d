/**
 * The way in: from an accepted socket to requests. Only the order of the stages stands here: sniff, filter chain,
 * TLS, network filters, terminal filter.
 */
import type { Socket } from "node:net";
import type { EventClock } from "../core/clock.ts";
import type { TimerWheel, WheelTimer } from "../core/timer-wheel.ts";
import type { Listener } from "../model/listener.ts";
import type { ConnectionInfo, ConnectionTls } from "../telemetry/stream-info.ts";
import { nextConnectionId } from "./codec/connection-id.ts";
import type { CompiledFilterChain } from "./listener/compile-chain.ts";
import { type ConnectionFacts, compileFilterChains, needsClientHello } from "./listener/filter-chain-match.ts";
import type { ServedConnection } from "./listener/terminal.ts";
import { MORE, NOT_TLS, readClientHello } from "./sniff/client-hello.ts";
import { acceptTls, type ClientHelloInfo } from "./tls/accept.ts";
import type { TlsFailure } from "./tls/failure.ts";

/** What is counted about connections. */
export interface ConnectionObserver {
  onOpened(listener: string): void;
  onClosed(listener: string): void;
  onNoFilterChain(listener: string): void;
  onTlsFailure(listener: string, failure: TlsFailure, remoteAddress: string): void;
  onTlsAccepted(listener: string, tls: ConnectionTls): void;
  onDenied(listener: string, explanation: string): void;
}

export interface InboundDeps {
  readonly clock: EventClock;
  readonly wheel: TimerWheel;
  readonly observer: ConnectionObserver;
}

const NO_HELLO: ClientHelloInfo = { serverName: "", alpn: [] };

/** The accepting side of one version of a listener's configuration, with the connections that follow it. */
export class InboundListener {
  readonly #listener: Listener;
  readonly #deps: InboundDeps;
  readonly #match: (facts: ConnectionFacts) => CompiledFilterChain | null;
  readonly #sniffs: boolean;
  readonly #connections = new Set<ServedConnection>();
  /** Sockets that have not yet shown what they speak. */
  readonly #sniffing = new Set<Socket>();
  /** Handshakes under way, as the ways to give them up. */
  readonly #handshakes = new Set<(reason: string) => void>();
  #draining = false;
  #drainGraceMs = 0;

  constructor(
    listener: Listener,
    compile: (chain: Listener["filterChains"][number]) => CompiledFilterChain,
    deps: InboundDeps,
  ) {
    this.#listener = listener;
    this.#deps = deps;
    this.#match = compileFilterChains(listener, compile);
    this.#sniffs =
      needsClientHello(listener) ||
      listener.filterChains.some(({ tls }) => tls !== null && (tls.alpn.length > 0 || tls.certificates.length > 1));
  }

  get connections(): number {
    return this.#connections.size;
  }

  /** All that was accepted and is open, what speaks no HTTP yet included. */
  get open(): number {
    return this.#connections.size + this.#handshakes.size + this.#sniffing.size;
  }

  readonly accept = (socket: Socket): void => {
    this.#deps.clock.refresh();
    socket.on("error", ignore);
    if (this.#sniffs) this.#sniff(socket);
    else this.#choose(socket, null, NO_HELLO, "raw_buffer");
  };

  /** Busy connections close after their response, idle ones after `graceMs` without a request. */
  drain(graceMs: number): void {
    this.#draining = true;
    this.#drainGraceMs = graceMs;
    for (const connection of this.#connections) connection.drain(graceMs);
  }

  /** Cuts what is open. */
  close(): void {
    this.#draining = true;
    for (const socket of this.#sniffing) socket.destroy();
    for (const giveUp of [...this.#handshakes]) giveUp("the listener was closed");
    for (const { socket } of this.#connections) socket.destroy();
  }

  /** Reads until the first bytes tell whether TLS is spoken, and to whom. */
  #sniff(socket: Socket): void {
    const { wheel } = this.#deps;
    let held: Buffer | null = null;
    let timer: WheelTimer | null = null;
    this.#sniffing.add(socket);
    const stop = (): void => {
      this.#sniffing.delete(socket);
      socket.removeListener("data", onData);
      socket.removeListener("end", onEnd);
      socket.removeListener("close", onClose);
      if (timer !== null) wheel.cancel(timer);
    };
    const onClose = (): void => stop();
    const onEnd = (): void => {
      stop();
      socket.destroy();
    };
    const onData = (chunk: Buffer): void => {
      held = held === null ? chunk : Buffer.concat([held, chunk]);
      const hello = readClientHello(held);
      if (hello === MORE) return;
      stop();
      if (hello === NOT_TLS) this.#choose(socket, held, NO_HELLO, "raw_buffer");
      else this.#choose(socket, held, hello, "tls");
    };
    const limit = this.#listener.listenerFiltersTimeoutMs;
    if (limit > 0) {
      timer = wheel.after(limit, () => {
        stop();
        if (this.#listener.continueOnListenerFiltersTimeout) this.#choose(socket, held, NO_HELLO, "raw_buffer");
        else socket.destroy();
      });
    }
    socket.on("data", onData);
    socket.on("end", onEnd);
    socket.on("close", onClose);
  }

  #choose(socket: Socket, head: Buffer | null, hello: ClientHelloInfo, transportProtocol: "raw_buffer" | "tls"): void {
    const { observer } = this.#deps;
    const chain = this.#match({
      destinationAddress: plainAddress(socket.localAddress),
      destinationPort: socket.localPort ?? 0,
      sourceAddress: plainAddress(socket.remoteAddress),
      sourcePort: socket.remotePort ?? 0,
      serverName: hello.serverName,
      transportProtocol,
      applicationProtocols: hello.alpn,
    });
    if (chain === null) {
      observer.onNoFilterChain(this.#listener.name);
      socket.destroy();
      return;
    }
    if (chain.tls === null) {
      this.#serve(socket, socket, head, null, chain);
      return;
    }
    const remote = socket.remoteAddress ?? "";
    let timer: WheelTimer | null = null;
    const done = (): void => {
      this.#handshakes.delete(giveUp);
      if (timer !== null) this.#deps.wheel.cancel(timer);
    };
    const giveUp = acceptTls(socket, head, hello, chain.tls, this.#deps.clock, {
      onAccepted: (secure, tls) => {
        this.#deps.clock.refresh();
        done();
        observer.onTlsAccepted(this.#listener.name, tls);
        this.#serve(socket, secure, null, tls, chain);
      },
      onFailed: (failure) => {
        done();
        observer.onTlsFailure(this.#listener.name, failure, remote);
      },
    });
    this.#handshakes.add(giveUp);
    const limit = chain.handshakeTimeoutMs;
    if (limit > 0) timer = this.#deps.wheel.after(limit, () => giveUp("the TLS handshake took too long"));
  }

  #serve(
    raw: Socket,
    socket: Socket,
    head: Buffer | null,
    tls: ConnectionTls | null,
    chain: CompiledFilterChain,
  ): void {
    const { name } = this.#listener;
    const { observer } = this.#deps;
    const info: ConnectionInfo = {
      id: nextConnectionId(),
      remoteAddress: plainAddress(raw.remoteAddress),
      remotePort: raw.remotePort ?? 0,
      localAddress: plainAddress(raw.localAddress),
      localPort: raw.localPort ?? 0,
      tls,
      listener: name,
      filterChain: chain.name,
    };
    const denied = chain.check(info);
    if (denied !== null) {
      observer.onDenied(name, denied);
      socket.destroy();
      return;
    }
    if (chain.terminal === null) {
      observer.onNoFilterChain(name);
      socket.destroy();
      return;
    }
    observer.onOpened(name);
    const served = chain.terminal.serve(socket, head, info, () => {
      this.#connections.delete(served);
      observer.onClosed(name);
    });
    this.#connections.add(served);
    // It was accepted before the drain: its first request is on its way, and closing at once would lose it.
    if (this.#draining) served.drain(this.#drainGraceMs);
  }
}

/** `::ffff:10.0.0.1` is 10.0.0.1 to people and to rules. */
function plainAddress(address: string | undefined): string {
  if (address === undefined) return "";
  return address.startsWith("::ffff:") ? address.slice(7) : address;
}

function ignore(): void {}
