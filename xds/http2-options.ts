/** `core.v3.Http2ProtocolOptions`, on either side, with Envoy's defaults. */
import { create } from "@bufbuild/protobuf";
import {
  type Http2ProtocolOptions,
  Http2ProtocolOptionsSchema,
} from "../generated/envoy/config/core/v3/protocol_pb.js";
import type { Http2Options } from "../model/http.ts";
import type { Place } from "./place.ts";

/** Envoy's defaults since 1.36 (before: 2^31-1 streams and windows of 256 MiB). */
export const DEFAULT_HTTP2: Http2Options = {
  maxConcurrentStreams: 1024,
  initialStreamWindowSize: 16 * 1024 * 1024,
  initialConnectionWindowSize: 24 * 1024 * 1024,
  allowConnect: false,
};

const MAX_STREAMS = 2 ** 31 - 1;
/** RFC 9113 section 6.9.2 gives the lower bound, section 6.9.1 the upper. */
const MIN_WINDOW = 65_535;
const MAX_WINDOW = 2 ** 31 - 1;

export function decodeHttp2(message: Http2ProtocolOptions, at: Place): Http2Options {
  const options: Http2Options = {
    maxConcurrentStreams: message.maxConcurrentStreams ?? DEFAULT_HTTP2.maxConcurrentStreams,
    initialStreamWindowSize: message.initialStreamWindowSize ?? DEFAULT_HTTP2.initialStreamWindowSize,
    initialConnectionWindowSize: message.initialConnectionWindowSize ?? DEFAULT_HTTP2.initialConnectionWindowSize,
    allowConnect: message.allowConnect,
  };
  inRange(options.maxConcurrentStreams, 1, MAX_STREAMS, at.field("max_concurrent_streams"));
  inRange(options.initialStreamWindowSize, MIN_WINDOW, MAX_WINDOW, at.field("initial_stream_window_size"));
  inRange(options.initialConnectionWindowSize, MIN_WINDOW, MAX_WINDOW, at.field("initial_connection_window_size"));
  return options;
}

function inRange(value: number, min: number, max: number, at: Place): void {
  if (value < min || value > max) at.error(`must be from ${min} to ${max}, got ${value}`);
}

export function encodeHttp2(options: Http2Options): Http2ProtocolOptions {
  return create(Http2ProtocolOptionsSchema, {
    maxConcurrentStreams: options.maxConcurrentStreams,
    initialStreamWindowSize: options.initialStreamWindowSize,
    initialConnectionWindowSize: options.initialConnectionWindowSize,
    allowConnect: options.allowConnect,
  });
}
