/** The end of a filter chain: what takes an accepted connection over, whatever it speaks. */
import type { Socket } from "node:net";
import type { ConnectionInfo, StreamInfo } from "../../telemetry/stream-info.ts";

/** A connection that was taken over. */
export interface ServedConnection {
  readonly socket: Socket;
  /** What it speaks: `HTTP/2`; "" while that is not known. Absent: bytes. */
  readonly protocol?: string;
  /** Ends when nothing is under way; `graceMs` is for what may be on its way already. */
  drain(graceMs: number): void;
}

/**
 * A connection has ended. `stream`: what is known of it, where it was one stream of bytes; the listener's access log has it
 * before the terminal's own.
 */
export type ConnectionClosed = (stream?: StreamInfo) => void;

export interface Terminal {
  /**
   * Takes over a connection whose filters have let it pass. `socket` is the TLS socket where there is TLS; `head` are bytes
   * that were read before, null for none. `onClosed` is called once, never from inside this call.
   */
  serve(socket: Socket, head: Buffer | null, info: ConnectionInfo, onClosed: () => void): ServedConnection;
  /** The rules of its chain have refused a connection: the terminal's access log has it, too. Absent: it has requests only. */
  denied?(stream: StreamInfo): void;
  /** Opaque bytes can be listened for from the server's side before the client has said anything; null for HTTP. */
  readonly opaque: OpaqueTerminal | null;
}

export interface OpaqueTerminal {
  /**
   * Begins the upstream connection for a client that is silent so far, without reading from it. `onServerSpoke` is called
   * at most once, never from inside this call: the server's bytes are held until `commit`.
   */
  listen(socket: Socket, info: ConnectionInfo, onServerSpoke: () => void): OpaqueAttempt;
}

/** Exactly one of its methods is called, once. */
export interface OpaqueAttempt {
  /** The connection is opaque: both directions flow from here on, as with `Terminal.serve`. */
  commit(head: Buffer | null, onClosed: ConnectionClosed): ServedConnection;
  /** It is something else, or gone: what was opened is closed and leaves no line in the access log. */
  abandon(): void;
}
