/**
 * Tells a peer that keeps a connection busy with frames that cost it nothing from one that uses it. Limits are Envoy's
 * (`Http2ProtocolOptions`), and so are the sums that they are compared with.
 */
import type { EventClock } from "../../../core/clock.ts";
import type { Http2Options } from "../../../model/http.ts";
import type { Http2Stats } from "./stats.ts";
import { TokenBucket } from "./token-bucket.ts";

/** How fast the allowance for PING and SETTINGS comes back, frames a second. */
const CONTROL_PER_SECOND = 100;
/** Envoy's `overload.premature_reset_total_stream_count`: fewer streams than this prove nothing. */
const PREMATURE_RESET_STREAMS = 500;
/** CONTINUATION frames that one header block may have: enough for the largest block that Envoy takes. */
const MAX_CONTINUATIONS = 128;

export class FloodGuard {
  readonly #options: Http2Options;
  readonly #stats: Http2Stats;
  readonly #clock: EventClock;
  #emptyInRow = 0;
  #priorities = 0;
  #windowUpdates = 0;
  #continuations = 0;
  #prematureResets = 0;
  /** RST_STREAM frames that the peer may still send. */
  readonly #resets: TokenBucket;
  readonly #control: TokenBucket;
  /** Streams opened so far, by either side. */
  streams = 0;
  /** DATA frames that we sent. */
  dataSent = 0;

  constructor(options: Http2Options, stats: Http2Stats, clock: EventClock) {
    this.#options = options;
    this.#stats = stats;
    this.#clock = clock;
    const now = clock.now();
    this.#control = new TokenBucket(options.maxOutboundControlFrames, CONTROL_PER_SECOND, now);
    this.#resets = new TokenBucket(options.streamResetBurst, options.streamResetRate, now);
  }

  // Each returns what the peer did if that was too much, else "".

  /** HEADERS, CONTINUATION or DATA came; `empty`: without payload and without END_STREAM. */
  onPayload(empty: boolean): string {
    if (!empty) {
      this.#emptyInRow = 0;
      return "";
    }
    if (++this.#emptyInRow <= this.#options.maxConsecutiveInboundFramesWithEmptyPayload) return "";
    this.#stats.inbound_empty_frames_flood++;
    return "too many empty frames in a row";
  }

  onHeaders(): void {
    this.#continuations = 0;
    // Who asks for something may also ping.
    this.#control.add(2);
  }

  onContinuation(): string {
    if (++this.#continuations <= MAX_CONTINUATIONS) return "";
    this.#stats.header_overflow++;
    return "too many CONTINUATION frames";
  }

  /** The bytes of a header block are more than any head that is taken can need. */
  onLongBlock(): string {
    this.#stats.header_overflow++;
    return "a header block is too long";
  }

  onPriority(): string {
    if (++this.#priorities <= this.#options.maxInboundPriorityFramesPerStream * (1 + this.streams)) return "";
    this.#stats.inbound_priority_frames_flood++;
    return "too many PRIORITY frames";
  }

  onWindowUpdate(): string {
    const each = this.#options.maxInboundWindowUpdateFramesPerDataFrameSent;
    if (++this.#windowUpdates <= 5 + 2 * (this.streams + each * this.dataSent)) return "";
    this.#stats.inbound_window_update_frames_flood++;
    return "too many WINDOW_UPDATE frames";
  }

  /** A PING or SETTINGS came, which we have to answer. */
  onControl(): string {
    if (this.#control.take(this.#clock.now())) return "";
    this.#stats.outbound_control_flood++;
    return "too many PING and SETTINGS frames";
  }

  /** An RST_STREAM came: Envoy's `stream_reset_burst` and `stream_reset_rate`. */
  onReset(): string {
    if (this.#resets.take(this.#clock.now())) return "";
    this.#stats.premature_reset_flood++;
    return "streams are reset too fast";
  }

  /** A stream ended before it was answered: the peer reset it, or made us do so. */
  onPrematureReset(): string {
    this.#prematureResets++;
    if (this.#prematureResets < PREMATURE_RESET_STREAMS || this.#prematureResets * 2 <= this.streams) return "";
    this.#stats.premature_reset_flood++;
    return "too many streams were reset before they were answered";
  }

  /** Frames wait to be written: how many of all kinds. */
  onUnsent(frames: number): string {
    if (frames <= this.#options.maxOutboundFrames) return "";
    this.#stats.outbound_flood++;
    return "the peer does not read its answers";
  }
}
