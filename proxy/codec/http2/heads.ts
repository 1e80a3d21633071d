/**
 * How heads travel on a connection's streams. There are two ways: HPACK's header lists, which are HTTP/2's, and the text
 * of HTTP/1 as it is, which two Outrigger sidecars agree upon between them (docs/decisions/0025-multiplexed-hop.md).
 */
import type { HeaderMap } from "../../../core/header-map.ts";
import type { RequestHead, ResponseHead } from "../../http/message.ts";
import type { BodyKind } from "../stream.ts";

/** Reads the header blocks of requests, one at a time. */
export interface RequestReader {
  /** A `Malformed`. */
  readonly verdict: number;
  /** What is wrong, in words; "" if nothing is. */
  readonly detail: string;
  /** The `HeadError` of a head that came as text and can be answered; 0 for none. */
  readonly headError: number;
  /** -1: not given. */
  readonly contentLength: number;
  readonly expectContinue: boolean;
  readonly isUpgrade: boolean;
  /**
   * Begins a block: a head's, or with `head` null trailers'. Without `headers` it is read for its effect on the
   * connection's state only.
   */
  begin(headers: HeaderMap | null, head: RequestHead | null): void;
  /** Reads the whole block. False: the connection has to end with COMPRESSION_ERROR. */
  read(buf: Buffer, start: number, end: number): boolean;
  /** The block has come whole: the head is completed, or `detail` says why not. */
  finish(): void;
}

/** The same for responses. */
export interface ResponseReader {
  /** What is wrong with the message; "" if nothing is. */
  readonly problem: string;
  /** What is wrong is only that there is too much of it. */
  readonly excess: boolean;
  readonly contentLength: number;
  begin(headers: HeaderMap | null, head: ResponseHead | null): void;
  read(buf: Buffer, start: number, end: number): boolean;
  finish(): void;
}

/** Writes heads and trailers. Those that return an offset tell where their frame lies, -1 if END_STREAM can't be added. */
export interface HeadWriter {
  /** What responses of this connection's peer speak, for logs. */
  readonly protocol: string;
  /** The peer's SETTINGS_HEADER_TABLE_SIZE. */
  setTableSize(size: number): void;
  writeRequest(streamId: number, request: RequestHead, body: BodyKind, upgrading: boolean): number;
  writeResponse(streamId: number, head: ResponseHead): number;
  /** `100 Continue`. */
  writeContinue(streamId: number): void;
  writeTrailers(streamId: number, trailers: HeaderMap): void;
}
