/**
 * One conversation with a control plane, over as many streams as it takes: connects, subscribes, acknowledges, and
 * after a broken stream waits (jittered, growing) and subscribes again with the versions held.
 */

import { type BackoffPolicy, backoffDelay } from "../../core/backoff.ts";
import type { Clock, Timer } from "../../core/clock.ts";
import { messageOf, type Problem } from "../../core/errors.ts";
import type { Logger } from "../../core/log.ts";
import type { Random } from "../../core/random.ts";
import { Slices } from "../../core/slices.ts";
import { kindOf, type ResourceKind } from "../../xds/resources.ts";
import type { XdsObserver } from "../observer.ts";
import { FACTS } from "../resources.ts";
import type { ResourceSource, SourceSink, SourceStatus } from "../source/source.ts";
import type { ResourceDecoder } from "./decoder.ts";
import type { StreamHandlers, XdsStream, XdsTransport } from "./transport.ts";
import type { Incoming, Variant } from "./variant.ts";

export interface SessionOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly observer: XdsObserver;
  readonly transport: XdsTransport;
  readonly variant: Variant;
  readonly decoder: ResourceDecoder;
  readonly sink: SourceSink;
  /** Envoy's defaults: 500 ms, 30 s. */
  readonly backoff: BackoffPolicy;
  /** A server that takes the stream but gives a newcomer no answer for this long is left, ms. */
  readonly stuckAfterMs: number;
}

export class AdsSession implements ResourceSource {
  readonly #o: SessionOptions;
  readonly #slices: Slices;
  #stream: XdsStream | null = null;
  #connectedAt: number | null = null;
  #answered = false;
  #attempt = 0;
  #timer: Timer | null = null;
  #stopped = true;
  #server = "";
  #lastError = "";
  #target = "";

  constructor(options: SessionOptions) {
    this.#o = options;
    this.#slices = new Slices(options.clock);
  }

  start(): void {
    this.#stopped = false;
    this.#connect();
  }

  close(): void {
    this.#stopped = true;
    this.#stream?.leave();
    this.#endStream();
    this.#timer?.cancel();
    this.#timer = null;
  }

  status(): SourceStatus {
    const connected = this.#connectedAt !== null;
    return { connected, target: this.#target, server: this.#server, lastError: connected ? "" : this.#lastError };
  }

  want(kind: ResourceKind, names: ReadonlySet<string>): void {
    this.#send(this.#o.variant.want(kind, names));
  }

  ask(kind: ResourceKind, names: readonly string[], dropped: readonly string[]): void {
    this.#send(this.#o.variant.ask(kind, names, dropped));
  }

  #connect(): void {
    this.#timer = null;
    let stream: XdsStream | null = null;
    const current = (): boolean => stream !== null && this.#stream === stream;
    const handlers: StreamHandlers = {
      connected: () => {
        if (current()) this.#onConnected();
      },
      message: (bytes) => {
        if (current()) this.#onMessage(bytes, current);
      },
      closed: (reason) => {
        if (current()) this.#onClosed(reason);
      },
    };
    stream = this.#o.transport.open(handlers);
    this.#stream = stream;
    this.#target = this.#o.transport.target;
  }

  #onConnected(): void {
    this.#connectedAt = this.#o.clock.now();
    this.#answered = false;
    this.#o.observer.connected(this.#target);
    this.#o.log.info({ target: this.#target }, "connected to the control plane");
    this.#send(this.#o.variant.open());
    // A server that knows what we hold may rightly have nothing to say.
    if (!this.#o.variant.holdsAny) this.#watchForAnswer();
  }

  #watchForAnswer(): void {
    const ms = this.#o.stuckAfterMs;
    this.#timer = this.#o.clock.after(ms, () => {
      this.#timer = null;
      this.#fail(`it took the stream but has not answered for ${ms / 1000} s`);
    });
  }

  #onMessage(bytes: Uint8Array, current: () => boolean): void {
    this.#o.observer.bytes("received", bytes.byteLength);
    if (!this.#answered) {
      this.#answered = true;
      this.#attempt = 0;
      this.#timer?.cancel();
      this.#timer = null;
    }
    this.#slices.run(this.#handle(bytes, current));
  }

  *#handle(bytes: Uint8Array, current: () => boolean): Generator<void, void> {
    const { variant, decoder, log } = this.#o;
    let incoming: Incoming;
    try {
      incoming = variant.parse(bytes);
    } catch (error) {
      if (current()) this.#fail(`it sent something that is not a discovery response: ${messageOf(error)}`);
      return;
    }
    this.#server = incoming.server || this.#server;
    const kind = kindOf(incoming.typeUrl);
    const inventory = kind && variant.inventory(kind);
    if (!kind || !inventory) {
      log.warn({ typeUrl: incoming.typeUrl }, "the control plane sent a type that was not asked for: ignored");
      return;
    }
    const examined = yield* inventory.examine(incoming.items, decoder);
    // The stream broke meanwhile: the next one brings this again.
    if (!current()) return;
    const settled = variant.settle(kind, incoming, examined);
    this.#send([settled.reply]);
    this.#report(kind, incoming.version, settled.problems, settled.update.upserts.size);
    this.#o.sink.update(settled.update);
    if (settled.problems.length > 0) this.#o.sink.refused(kind, settled.refused, settled.problems);
  }

  #report(kind: ResourceKind, version: string, problems: readonly Problem[], changed: number): void {
    const { api } = FACTS[kind];
    if (problems.length === 0) {
      this.#o.observer.accepted(api, version, changed);
      this.#o.log.debug({ api, version, changed }, "took an update");
      return;
    }
    this.#o.observer.rejected(api, version, problems);
    this.#o.log.warn({ api, version, problems }, "refused an update: the last good configuration stays in force");
  }

  #fail(reason: string): void {
    this.#stream?.cancel();
    this.#onClosed(reason);
  }

  #onClosed(reason: string): void {
    const { clock, random, backoff, log, observer } = this.#o;
    // A long quiet stream was healthy too: a server need not say anything to a client that is up to date.
    if (this.#connectedAt !== null && clock.now() - this.#connectedAt >= backoff.maxMs) this.#attempt = 0;
    this.#endStream();
    this.#lastError = reason;
    const delay = backoffDelay(backoff, this.#attempt++, random);
    observer.disconnected(this.#target, reason);
    log.warn({ target: this.#target, reason, retryInMs: Math.round(delay) }, "lost the control plane");
    this.#timer?.cancel();
    this.#timer = clock.after(delay, () => this.#connect());
  }

  #endStream(): void {
    const stream = this.#stream;
    this.#stream = null;
    this.#connectedAt = null;
    this.#slices.clear();
    this.#o.variant.close();
    stream?.cancel();
  }

  #send(requests: readonly Uint8Array[]): void {
    if (this.#stopped) return;
    for (const request of requests) {
      this.#o.observer.bytes("sent", request.byteLength);
      this.#stream?.send(request);
    }
  }
}
