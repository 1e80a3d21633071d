/** Arbitrary HTTP/2 options, which listeners and clusters share. */
import fc from "fast-check";
import type { Http2Options } from "../../model/http.ts";
import { durationMs, orNull, positiveMs, uint32 } from "./arbitrary-text.ts";

const window = fc.integer({ min: 65_535, max: 2 ** 31 - 1 });
const count = fc.oneof(uint32, fc.maxSafeNat());
const atLeastOne = uint32.map((value) => value || 1);

export const http2Options: fc.Arbitrary<Http2Options> = fc.record({
  hpackTableSize: uint32,
  maxConcurrentStreams: fc.integer({ min: 1, max: 2 ** 31 - 1 }),
  initialStreamWindowSize: window,
  initialConnectionWindowSize: window,
  allowConnect: fc.boolean(),
  maxOutboundFrames: atLeastOne,
  maxOutboundControlFrames: atLeastOne,
  maxConsecutiveInboundFramesWithEmptyPayload: uint32,
  maxInboundPriorityFramesPerStream: uint32,
  maxInboundWindowUpdateFramesPerDataFrameSent: atLeastOne,
  streamResetBurst: count,
  streamResetRate: count,
  streamErrorOnInvalidMessage: fc.boolean(),
  keepalive: orNull(
    fc.record({
      intervalMs: durationMs,
      timeoutMs: positiveMs,
      intervalJitterPercent: fc.integer({ min: 0, max: 100 }),
      idleIntervalMs: durationMs,
    }),
  ),
});
