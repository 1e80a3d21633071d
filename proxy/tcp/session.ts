/** One opaque connection: from an accepted socket to its end, with the upstream connection that belongs to it alone. */
import type { Socket } from "node:net";
import { WheelTimer } from "../../core/timer-wheel.ts";
import { Flag } from "../../model/flags.ts";
import type { FormatContext } from "../../telemetry/format/context.ts";
import { type AccessLogType, type ConnectionInfo, StreamInfo } from "../../telemetry/stream-info.ts";
import type { TcpRecorder } from "../../telemetry/tcp-metrics.ts";
import { owned } from "../codec/blocks.ts";
import type { ByteEnd } from "../codec/byte-end.ts";
import { NO_REQUEST } from "../listener/connection-log.ts";
import type { ConnectionClosed, OpaqueAttempt, ServedConnection } from "../listener/terminal.ts";
import { newRequestId } from "../router/request-id.ts";
import { HTTP2, looksLikeHttp2 } from "../sniff/http-version.ts";
import { type TcpFailure, tcpFailures } from "./failures.ts";
import { Pump, type PumpOwner } from "./pump.ts";
import type { TcpRuntime } from "./runtime.ts";
import { TcpUpstream, type UpstreamOwner } from "./upstream.ts";

/** A connection of which one end is gone, and whose other end takes nothing, is cut after this where there is no idle timeout, ms. */
const LINGER_MS = 60_000;

export class TcpSession implements ServedConnection, OpaqueAttempt, PumpOwner, UpstreamOwner {
  readonly #runtime: TcpRuntime;
  readonly #caller: ByteEnd;
  readonly #info: StreamInfo;
  readonly #upstream: TcpUpstream;
  #recorder: TcpRecorder | null = null;
  #remote: ByteEnd | null = null;
  #toUpstream: Pump | null = null;
  #toCaller: Pump | null = null;
  /** null: not committed yet. */
  #onClosed: ConnectionClosed | null = null;
  /** What the caller sent before it was handed over. */
  #head: Buffer | null = null;
  /** No upstream was to be had, or it ended, while the connection was only listened to. */
  #failed = false;
  /** Ends that are open. */
  #open = 1;
  #onServerSpoke: (() => void) | null = null;
  #lastMoved = 0;
  readonly #idle = new WheelTimer(() => this.#onIdle());
  #maxDuration: WheelTimer | null = null;
  #interval: WheelTimer | null = null;

  constructor(runtime: TcpRuntime, caller: ByteEnd, connection: ConnectionInfo) {
    this.#runtime = runtime;
    this.#caller = caller;
    const { clock } = runtime;
    const info = new StreamInfo(connection);
    info.startTime = clock.wallTime();
    info.startedAt = clock.now();
    this.#info = info;
    this.#upstream = new TcpUpstream(runtime, info, this);
    this.#upstream.start();
  }

  get socket(): Socket {
    return this.#caller.socket;
  }

  /** Tells when the server speaks before the caller does. */
  listen(onServerSpoke: () => void): void {
    this.#onServerSpoke = onServerSpoke;
  }

  commit(head: Buffer | null, onClosed: ConnectionClosed): ServedConnection {
    const { stats, config, wheel } = this.#runtime;
    // Nothing is read before there is somewhere to put it.
    this.#caller.pause();
    this.#onServerSpoke = null;
    this.#onClosed = onClosed;
    if (head !== null && head.length > 0) this.#head = owned(head);
    stats.downstream_cx_total++;
    stats.downstream_cx_active++;
    this.#recorder = this.#runtime.recorder(this.#info, this.#upstream.name);
    this.#recorder.opened();
    this.#caller.watch(() => this.#onEndClosed(this.#caller));
    if (config.maxDownstreamConnectionDurationMs > 0) {
      this.#maxDuration = wheel.after(config.maxDownstreamConnectionDurationMs, () => {
        stats.max_downstream_connection_duration++;
        this.#cut(tcpFailures.maxDuration);
      });
    }
    if (config.logIntervalMs > 0) {
      this.#interval = new WheelTimer(() => this.#onInterval());
      wheel.arm(this.#interval, config.logIntervalMs);
    }
    if (this.#failed) queueMicrotask(() => this.#closeCaller());
    else if (this.#remote !== null) this.#join(this.#remote);
    return this;
  }

  abandon(): void {
    this.#onServerSpoke = null;
    this.#toCaller?.abandon();
    this.#upstream.release();
    this.#remote?.destroy();
  }

  /** Bytes have no natural end to wait for: the connection lives until the drain's deadline. */
  drain(): void {}

  onUpstream(remote: ByteEnd): void {
    this.#remote = remote;
    this.#open++;
    remote.watch(() => this.#onEndClosed(remote));
    if (this.#onClosed !== null) this.#join(remote);
    else {
      this.#toCaller = new Pump(remote, this);
      this.#toCaller.read();
    }
  }

  onNoUpstream(): void {
    this.#failed = true;
    if (this.#onClosed !== null) this.#caller.destroy();
  }

  onHeld(): void {
    const tell = this.#onServerSpoke;
    this.#onServerSpoke = null;
    tell?.();
  }

  onMoved(pump: Pump, bytes: Buffer): void {
    const { clock, stats } = this.#runtime;
    clock.refresh();
    this.#lastMoved = clock.now();
    const { length } = bytes;
    const info = this.#info;
    const upstream = this.#upstream.cluster?.stats;
    if (pump === this.#toUpstream) {
      if (info.bytesReceived === 0) this.#lookForHttp2(bytes);
      info.bytesReceived += length;
      stats.downstream_cx_rx_bytes_total += length;
      if (this.#recorder !== null) this.#recorder.received.value += length;
      if (upstream !== undefined) upstream.upstream_cx_tx_bytes_total += length;
    } else {
      info.bytesSent += length;
      stats.downstream_cx_tx_bytes_total += length;
      if (this.#recorder !== null) this.#recorder.sent.value += length;
      if (upstream !== undefined) upstream.upstream_cx_rx_bytes_total += length;
    }
  }

  onEnd(pump: Pump): void {
    this.#runtime.clock.refresh();
    this.#lastMoved = this.#runtime.clock.now();
    const other = pump === this.#toUpstream ? this.#remote : this.#caller;
    if (pump.from.destroyed) other?.destroySoon();
  }

  /** Joins the two ends: both directions flow from here on. */
  #join(remote: ByteEnd): void {
    const { config, wheel, clock } = this.#runtime;
    this.#lastMoved = clock.now();
    if (config.idleTimeoutMs > 0) wheel.arm(this.#idle, config.idleTimeoutMs);
    if (config.logOnConnected) this.#log("TcpUpstreamConnected");
    const up = new Pump(this.#caller, this);
    const listened = this.#toCaller;
    const down = listened ?? new Pump(remote, this);
    this.#toUpstream = up;
    this.#toCaller = down;
    const head = this.#head;
    this.#head = null;
    up.connect(remote, head);
    up.read();
    down.connect(this.#caller, null);
    if (listened === null) down.read();
  }

  /** Notices what would be carried better by an HTTP filter: calls of HTTP/2 are not balanced, retried or measured here. */
  #lookForHttp2(bytes: Buffer): void {
    if (looksLikeHttp2(bytes) !== HTTP2) return;
    this.#runtime.stats.http2_preface_total++;
    this.#recorder?.carriesHttp2();
    this.#runtime.onHttp2(this.#info.cluster);
  }

  #onEndClosed(end: ByteEnd): void {
    const { clock, config, wheel } = this.#runtime;
    clock.refresh();
    // A reset below closes the other one at once: the last to close is not the last to be told.
    const last = --this.#open === 0;
    const onClosed = this.#onClosed;
    if (onClosed === null) {
      // Nobody but a listener knows the server yet, and its end is not the caller's: that may be about to speak TLS.
      this.#failed = true;
      return;
    }
    const isCaller = end === this.#caller;
    const other = isCaller ? this.#remote : this.#caller;
    const { broken } = end;
    if (broken && !isCaller) this.#info.flags |= Flag.UR;
    if (other !== null && !other.destroyed) {
      const pump = isCaller ? this.#toUpstream : this.#toCaller;
      // After its end what it sent is still on its way to the other side, which must get it.
      if (broken && pump?.ended !== true) other.reset();
      else {
        // What the pump still holds was not written yet: it ends the other side behind that, in `onEnd`.
        if (pump?.holds !== true) other.destroySoon();
        if (config.idleTimeoutMs === 0) wheel.arm(this.#idle, LINGER_MS);
      }
    }
    if (last) this.#finish(onClosed);
    else if (isCaller && this.#remote === null) this.#upstream.release();
  }

  /** Nothing was to be had for the caller, or its server has broken off before it was known to be the caller's. */
  #closeCaller(): void {
    if (this.#remote?.broken) {
      this.#info.flags |= Flag.UR;
      this.#caller.reset();
    } else this.#caller.destroy();
  }

  #onIdle(): void {
    const { wheel, clock, config, stats } = this.#runtime;
    const left = this.#lastMoved + (config.idleTimeoutMs || LINGER_MS) - clock.now();
    if (left > 1) {
      wheel.arm(this.#idle, left);
      return;
    }
    stats.idle_timeout++;
    this.#cut(tcpFailures.idle);
  }

  #onInterval(): void {
    this.#log("TcpPeriodic");
    if (this.#interval !== null) this.#runtime.wheel.arm(this.#interval, this.#runtime.config.logIntervalMs);
  }

  #cut(failure: TcpFailure): void {
    this.#info.flags |= failure.flags;
    this.#info.explanation = failure.sentence;
    this.#caller.destroy();
    if (this.#remote === null) this.#upstream.release();
    else this.#remote.destroy();
  }

  #finish(onClosed: ConnectionClosed): void {
    const { wheel, stats, clock } = this.#runtime;
    wheel.cancel(this.#idle);
    if (this.#maxDuration !== null) wheel.cancel(this.#maxDuration);
    if (this.#interval !== null) wheel.cancel(this.#interval);
    this.#toUpstream?.abandon();
    this.#toCaller?.abandon();
    this.#upstream.release();
    stats.downstream_cx_active--;
    const info = this.#info;
    info.endedAt = clock.now();
    this.#recorder?.closed(info.flags, info.endedAt - info.startedAt);
    if (this.#runtime.isLogged && info.streamId === "") info.streamId = newRequestId();
    onClosed(info);
    this.#log("TcpConnectionEnd");
  }

  #log(type: AccessLogType): void {
    const { accessLogs, clock } = this.#runtime;
    if (accessLogs.length === 0) return;
    const info = this.#info;
    info.logType = type;
    if (info.streamId === "") info.streamId = newRequestId();
    if (type !== "TcpConnectionEnd") info.endedAt = clock.now();
    const context: FormatContext = { info, request: NO_REQUEST, responseHeaders: null, responseTrailers: null };
    for (const log of accessLogs) log(context);
  }
}
