/**
 * What two sidecars agree upon by `OPAQUE_STREAMS_ALPN`: frames of HTTP/2 in which each stream is an opaque connection. The
 * caller's HEADERS open it, those of the called side say that it stands; DATA are its bytes, END_STREAM is the end of one
 * direction, RST_STREAM of both (docs/decisions/0030-opaque-streams.md).
 */
import { DEFAULT_HTTP2 } from "../../../model/http.ts";
import type { Http2ConnectionOptions } from "./connection.ts";
import type { Outbox } from "./outbox.ts";
import { ErrorCode, FrameFlag, FrameType } from "./protocol.ts";

/** As many connections are cut together when their shared one breaks, and share what TCP grants it. */
const STREAMS = 256;
/** What may wait for a reader that stands still, and for one that has been fast so far. */
const FIRST_WINDOW = 256 * 1024;
const LARGEST_WINDOW = 4 * 1024 * 1024;

/** For either side. */
export const OPAQUE_OPTIONS: Http2ConnectionOptions = {
  http2: {
    ...DEFAULT_HTTP2,
    maxConcurrentStreams: STREAMS,
    initialStreamWindowSize: LARGEST_WINDOW,
    // All streams together can't use it up: who does not read holds up nobody else.
    initialConnectionWindowSize: STREAMS * LARGEST_WINDOW,
    streamErrorOnInvalidMessage: true,
    keepalive: { intervalMs: 60_000, timeoutMs: 20_000, intervalJitterPercent: 15, idleIntervalMs: 0 },
  },
  firstWindow: FIRST_WINDOW,
  maxHeadBytes: 1024,
  maxFields: 100,
};

/** Of RST_STREAM. */
export const OpaqueEnd = {
  /** Both directions are over, and nothing of what was sent is missing. */
  closed: ErrorCode.noError,
  /** The connection was broken off: a reset on its way, or bytes that can't be delivered (RFC 9113, section 8.5). */
  broken: ErrorCode.connectError,
  /** Not taken, and nothing has come of it. */
  refused: ErrorCode.refusedStream,
  /** Given up before it stood. */
  givenUp: ErrorCode.cancel,
} as const;

/** A head is a section of fields as in HTTP/1, of which there are none yet. */
const NO_FIELDS = "\r\n";

/** Opens a stream, or says that it stands. */
export function writeOpaqueHead(outbox: Outbox, streamId: number): void {
  const { buf, at } = outbox.frame(FrameType.headers, FrameFlag.endHeaders, streamId, NO_FIELDS.length);
  buf.latin1Write(NO_FIELDS, at);
}
