import assert from "node:assert/strict";
import { test } from "node:test";
import { Http2ProtocolOptionsSchema } from "../generated/envoy/config/core/v3/protocol_pb.js";
import { DEFAULT_HTTP2, type Http2Options } from "../model/http.ts";
import { decodeHttp2, encodeHttp2 } from "./http2-options.ts";
import type { Decoded } from "./place.ts";
import type { Json } from "./testing/bootstrap-json.ts";
import { accepted, decodeJson, refused } from "./testing/decode-json.ts";

const decode = (json: Json, streamErrors?: boolean): Decoded<Http2Options> =>
  decodeJson(Http2ProtocolOptionsSchema, json, (message, at) => decodeHttp2(message, at, streamErrors));

test("what is not given has Envoy's defaults", () => {
  assert.deepEqual(accepted(decode({})).value, {
    hpackTableSize: 4096,
    maxConcurrentStreams: 1024,
    initialStreamWindowSize: 16_777_216,
    initialConnectionWindowSize: 25_165_824,
    allowConnect: false,
    maxOutboundFrames: 10_000,
    maxOutboundControlFrames: 1000,
    maxConsecutiveInboundFramesWithEmptyPayload: 1,
    maxInboundPriorityFramesPerStream: 100,
    maxInboundWindowUpdateFramesPerDataFrameSent: 10,
    streamResetBurst: 1000,
    streamResetRate: 33,
    streamErrorOnInvalidMessage: false,
    keepalive: null,
  });
});

test("a bucket without a bottom survives", () => {
  const { value } = accepted(decode({ stream_reset_burst: "18446744073709551615", stream_reset_rate: 0 }));
  assert.equal(value.streamResetBurst, Number.MAX_SAFE_INTEGER);
  assert.equal(value.streamResetRate, 0);
  assert.equal(encodeHttp2(value).streamResetBurst, BigInt(Number.MAX_SAFE_INTEGER));
});

test("keepalive has a jitter of 15 % and no pings unless a time is given", () => {
  assert.deepEqual(accepted(decode({ connection_keepalive: { timeout: "2s" } })).value.keepalive, {
    intervalMs: 0,
    timeoutMs: 2000,
    intervalJitterPercent: 15,
    idleIntervalMs: 0,
  });
});

const MALFORMED: readonly [string, Json, boolean | undefined, boolean][] = [
  ["nothing", {}, undefined, false],
  ["the connection manager", {}, true, true],
  ["the options' own override", { override_stream_error_on_invalid_http_message: false }, true, false],
  ["the deprecated switch", { stream_error_on_invalid_http_messaging: true }, undefined, true],
  ["the manager over the deprecated switch", { stream_error_on_invalid_http_messaging: true }, false, false],
];

for (const [who, json, manager, expected] of MALFORMED) {
  test(`whether a malformed message ends only its stream is said by: ${who}`, () => {
    assert.equal(accepted(decode(json, manager)).value.streamErrorOnInvalidMessage, expected);
  });
}

test("limits that are Envoy's defaults are left to it", () => {
  const { hpackTableSize, maxOutboundFrames, streamResetBurst, maxConcurrentStreams } = encodeHttp2(DEFAULT_HTTP2);
  assert.deepEqual([hpackTableSize, maxOutboundFrames, streamResetBurst], [undefined, undefined, undefined]);
  assert.equal(maxConcurrentStreams, 1024);
  assert.equal(encodeHttp2({ ...DEFAULT_HTTP2, maxOutboundFrames: 5 }).maxOutboundFrames, 5);
});

const REFUSED: readonly [Json, string][] = [
  [{ max_concurrent_streams: 0 }, "max_concurrent_streams: must be from 1 to 2147483647, got 0"],
  [{ max_concurrent_streams: 2147483648 }, "max_concurrent_streams: must be from 1 to 2147483647, got 2147483648"],
  [{ initial_stream_window_size: 65534 }, "initial_stream_window_size: must be from 65535 to 2147483647, got 65534"],
  [
    { initial_connection_window_size: 2147483648 },
    "initial_connection_window_size: must be from 65535 to 2147483647, got 2147483648",
  ],
  [{ max_outbound_frames: 0 }, "max_outbound_frames: must be from 1 to 4294967295, got 0"],
  [{ max_outbound_control_frames: 0 }, "max_outbound_control_frames: must be from 1 to 4294967295, got 0"],
  [
    { max_inbound_window_update_frames_per_data_frame_sent: 0 },
    "max_inbound_window_update_frames_per_data_frame_sent: must be from 1 to 4294967295, got 0",
  ],
  [{ connection_keepalive: {} }, "connection_keepalive.timeout: is required"],
  [{ connection_keepalive: { timeout: "0s" } }, "connection_keepalive.timeout: must be at least 1 ms"],
  [
    { connection_keepalive: { timeout: "1s", interval: "0.0001s" } },
    "connection_keepalive.interval: must be at least 1 ms",
  ],
  [
    { connection_keepalive: { timeout: "1s", connection_idle_interval: "0s" } },
    "connection_keepalive.connection_idle_interval: must be at least 1 ms",
  ],
];

for (const [json, expected] of REFUSED) {
  test(`Envoy refuses ${JSON.stringify(json)}`, () => {
    assert.deepEqual(refused(decode(json)), [expected]);
  });
}
