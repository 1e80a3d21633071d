/** `core.v3.Http2ProtocolOptions`, on either side, with Envoy's defaults and bounds. */
import { create } from "@bufbuild/protobuf";
import {
  type Http2ProtocolOptions,
  Http2ProtocolOptionsSchema,
  type KeepaliveSettings,
  KeepaliveSettingsSchema,
} from "../generated/envoy/config/core/v3/protocol_pb.js";
import { DEFAULT_HTTP2, type Http2Options } from "../model/http.ts";
import type { Place } from "./place.ts";
import { duration, durationMs, percent, percentOf } from "./values.ts";

const MAX_UINT32 = 2 ** 32 - 1;
const MAX_STREAMS = 2 ** 31 - 1;
/** RFC 9113 section 6.9.2 gives the lower bound, section 6.9.1 the upper. */
const MIN_WINDOW = 65_535;
const MAX_WINDOW = 2 ** 31 - 1;
const KEEPALIVE_JITTER_PERCENT = 15;

/** Each number that may be set, with the least and the most that Envoy takes. */
const BOUNDS = {
  hpackTableSize: ["hpack_table_size", 0, MAX_UINT32],
  maxConcurrentStreams: ["max_concurrent_streams", 1, MAX_STREAMS],
  initialStreamWindowSize: ["initial_stream_window_size", MIN_WINDOW, MAX_WINDOW],
  initialConnectionWindowSize: ["initial_connection_window_size", MIN_WINDOW, MAX_WINDOW],
  maxOutboundFrames: ["max_outbound_frames", 1, MAX_UINT32],
  maxOutboundControlFrames: ["max_outbound_control_frames", 1, MAX_UINT32],
  maxConsecutiveInboundFramesWithEmptyPayload: ["max_consecutive_inbound_frames_with_empty_payload", 0, MAX_UINT32],
  maxInboundPriorityFramesPerStream: ["max_inbound_priority_frames_per_stream", 0, MAX_UINT32],
  maxInboundWindowUpdateFramesPerDataFrameSent: ["max_inbound_window_update_frames_per_data_frame_sent", 1, MAX_UINT32],
} as const;

const LIMITS = [
  "hpackTableSize",
  "maxOutboundFrames",
  "maxOutboundControlFrames",
  "maxConsecutiveInboundFramesWithEmptyPayload",
  "maxInboundPriorityFramesPerStream",
  "maxInboundWindowUpdateFramesPerDataFrameSent",
] as const;

/**
 * The options of a message; undefined is Envoy's defaults. `streamErrors` is what the connection manager says about
 * malformed messages, where the options themselves do not.
 */
export function decodeHttp2(
  message: Http2ProtocolOptions | undefined,
  at: Place,
  streamErrors?: boolean | undefined,
): Http2Options {
  if (!message) return { ...DEFAULT_HTTP2, streamErrorOnInvalidMessage: streamErrors ?? false };
  const number = (key: keyof typeof BOUNDS): number => {
    const [field, min, max] = BOUNDS[key];
    const value = message[key] ?? DEFAULT_HTTP2[key];
    if (value < min || value > max) at.field(field).error(`must be from ${min} to ${max}, got ${value}`);
    return value;
  };
  if (message.maxHeaderFieldSizeKb !== undefined) {
    at.field("max_header_field_size_kb").error("is not supported: heads are limited as a whole");
  }
  if (message.disallowObsText) at.field("disallow_obs_text").error("is not supported");
  return {
    hpackTableSize: number("hpackTableSize"),
    maxConcurrentStreams: number("maxConcurrentStreams"),
    initialStreamWindowSize: number("initialStreamWindowSize"),
    initialConnectionWindowSize: number("initialConnectionWindowSize"),
    allowConnect: message.allowConnect,
    maxOutboundFrames: number("maxOutboundFrames"),
    maxOutboundControlFrames: number("maxOutboundControlFrames"),
    maxConsecutiveInboundFramesWithEmptyPayload: number("maxConsecutiveInboundFramesWithEmptyPayload"),
    maxInboundPriorityFramesPerStream: number("maxInboundPriorityFramesPerStream"),
    maxInboundWindowUpdateFramesPerDataFrameSent: number("maxInboundWindowUpdateFramesPerDataFrameSent"),
    streamResetBurst: countOf(message.streamResetBurst, DEFAULT_HTTP2.streamResetBurst),
    streamResetRate: countOf(message.streamResetRate, DEFAULT_HTTP2.streamResetRate),
    streamErrorOnInvalidMessage:
      message.overrideStreamErrorOnInvalidHttpMessage ?? streamErrors ?? message.streamErrorOnInvalidHttpMessaging,
    keepalive: message.connectionKeepalive
      ? decodeKeepalive(message.connectionKeepalive, at.field("connection_keepalive"))
      : null,
  };
}

/** What a double cannot hold exactly is no limit anyway. */
function countOf(value: bigint | undefined, fallback: number): number {
  return value === undefined ? fallback : Math.min(Number(value), Number.MAX_SAFE_INTEGER);
}

function decodeKeepalive(message: KeepaliveSettings, at: Place): Http2Options["keepalive"] {
  // Envoy takes no time shorter than 1 ms; where there is none, it does not ping.
  const atLeastOne = (value: KeepaliveSettings["interval"], place: Place): number => {
    const ms = durationMs(value, 0, place);
    if (value && ms < 1) place.error("must be at least 1 ms");
    return ms;
  };
  if (!message.timeout) at.field("timeout").error("is required");
  return {
    intervalMs: atLeastOne(message.interval, at.field("interval")),
    timeoutMs: atLeastOne(message.timeout, at.field("timeout")),
    intervalJitterPercent: percentOf(message.intervalJitter, KEEPALIVE_JITTER_PERCENT, at.field("interval_jitter")),
    idleIntervalMs: atLeastOne(message.connectionIdleInterval, at.field("connection_idle_interval")),
  };
}

/** Says what differs from Envoy's defaults, so that older Envoys take it, and what those once had other defaults for. */
export function encodeHttp2(options: Http2Options): Http2ProtocolOptions {
  const { streamResetBurst, streamResetRate, streamErrorOnInvalidMessage, keepalive } = options;
  const message = create(Http2ProtocolOptionsSchema, {
    maxConcurrentStreams: options.maxConcurrentStreams,
    initialStreamWindowSize: options.initialStreamWindowSize,
    initialConnectionWindowSize: options.initialConnectionWindowSize,
    allowConnect: options.allowConnect,
    // Without it the connection manager's switch would decide.
    overrideStreamErrorOnInvalidHttpMessage: streamErrorOnInvalidMessage,
  });
  for (const key of LIMITS) if (options[key] !== DEFAULT_HTTP2[key]) message[key] = options[key];
  if (streamResetBurst !== DEFAULT_HTTP2.streamResetBurst) message.streamResetBurst = BigInt(streamResetBurst);
  if (streamResetRate !== DEFAULT_HTTP2.streamResetRate) message.streamResetRate = BigInt(streamResetRate);
  if (keepalive) message.connectionKeepalive = encodeKeepalive(keepalive);
  return message;
}

function encodeKeepalive(keepalive: NonNullable<Http2Options["keepalive"]>): KeepaliveSettings {
  const { intervalMs, timeoutMs, intervalJitterPercent, idleIntervalMs } = keepalive;
  return create(KeepaliveSettingsSchema, {
    timeout: duration(timeoutMs),
    intervalJitter: percent(intervalJitterPercent),
    ...(intervalMs > 0 ? { interval: duration(intervalMs) } : {}),
    ...(idleIntervalMs > 0 ? { connectionIdleInterval: duration(idleIntervalMs) } : {}),
  });
}
