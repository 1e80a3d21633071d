/** What carries one side of an opaque connection: a socket of its own, or a stream of a connection that is shared. */
import type { Socket } from "node:net";

export interface ByteEnd {
  /** The socket that it is, or that carries it. */
  readonly socket: Socket;
  /** Nothing goes or comes any more. */
  readonly destroyed: boolean;
  /** It was broken off: not all of its bytes have come. */
  readonly broken: boolean;
  /** The peer's last byte and its end were handed on, or there was nothing before the end. */
  readonly ended: boolean;
  /** What was written waits to leave. */
  readonly waiting: boolean;
  /** What is given to `write` is the caller's again when it returns. */
  readonly copies: boolean;
  /** It is a stream: while it takes bytes in, others may be read. */
  readonly shared: boolean;
  /** What it hands on lies where the next read of another lands, which a write to a stream may bring about. */
  readonly fleeting: boolean;
  /** Behind a piece of at least so many bytes there is mostly another. */
  readonly fullPiece: number;
  /** Gives `onBytes` what comes, valid until it returns, and tells of the end. Nothing comes before this is called. */
  read(onBytes: (bytes: Buffer) => void, onEnd: () => void): void;
  pause(): void;
  resume(): void;
  /** Takes bytes; `onWritten` may be called when there is room again, and is if `waiting` was true when this returned. */
  write(bytes: Buffer, onWritten: () => void): void;
  /** Ends our direction behind what was written; the other one goes on. */
  end(): void;
  /** Ends both directions at once. */
  destroy(): void;
  /** Ends both directions once what was written has left. */
  destroySoon(): void;
  /** Ends both at once, so that the peer knows the connection for broken off. */
  reset(): void;
  /** Calls back once when it is closed, never from inside a call. */
  watch(onClosed: () => void): void;
}
