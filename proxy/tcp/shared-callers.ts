/** A connection of another sidecar whose streams are its callers' opaque connections: each is served as if it had come alone. */
import type { Socket } from "node:net";
import type { ConnectionInfo } from "../../telemetry/stream-info.ts";
import type { TcpStats } from "../../telemetry/tcp-stats.ts";
import { nextConnectionId } from "../codec/connection-id.ts";
import { OpaqueServerConnection, type OpaqueServerOwner } from "../codec/http2/opaque-server.ts";
import type { OpaqueStream } from "../codec/http2/opaque-stream.ts";
import type { ServedConnection } from "../listener/terminal.ts";
import type { TcpSource } from "./runtime.ts";
import { TcpSession } from "./session.ts";

export class SharedCallers implements ServedConnection, OpaqueServerOwner {
  readonly socket: Socket;
  readonly #source: TcpSource;
  readonly #info: ConnectionInfo;
  readonly #onClosed: () => void;
  readonly #stats: TcpStats;
  readonly #connection: OpaqueServerConnection;

  constructor(source: TcpSource, socket: Socket, head: Buffer | null, info: ConnectionInfo, onClosed: () => void) {
    this.socket = socket;
    this.#source = source;
    this.#info = info;
    this.#onClosed = onClosed;
    const { stats, sharedStats, clock, wheel, random } = source.runtime;
    this.#stats = stats;
    stats.shared_cx_total++;
    stats.shared_cx_active++;
    this.#connection = new OpaqueServerConnection(socket, this, sharedStats, { clock, wheel, random });
    if (head !== null) this.#connection.feed(head);
  }

  /** Rules that have changed are asked by a new connection, which a stream that is refused here goes to. */
  get takesStreams(): boolean {
    return this.#source.inForce;
  }

  /** Streams that are open live until the drain's deadline, as connections of their own do. */
  drain(graceMs: number): void {
    this.#connection.drain(this.#source.inForce ? graceMs : 0);
  }

  onStream(stream: OpaqueStream): void {
    const info = { ...this.#info, id: nextConnectionId() };
    new TcpSession(this.#source.runtime, stream, info).commit(null, ignore);
  }

  onClosed(): void {
    this.#stats.shared_cx_active--;
    this.#onClosed();
  }
}

function ignore(): void {}
