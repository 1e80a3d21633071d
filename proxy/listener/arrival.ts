/** A connection on its way to a filter chain, with what is known of it so far. */
import type { Socket } from "node:net";
import type { ConnectionInfo, ConnectionTls } from "../../telemetry/stream-info.ts";
import { nextConnectionId } from "../codec/connection-id.ts";
import type { ClientHelloInfo } from "../tls/accept.ts";
import type { ConnectionFacts } from "./filter-chain-match.ts";
import type { Destination } from "./original-destination.ts";

const NO_PROTOCOLS: readonly string[] = [];

export class Arrival implements ConnectionFacts {
  readonly socket: Socket;
  readonly sourceAddress: string;
  readonly sourcePort: number;
  /** Where the caller called: the socket's own address, unless another was restored. */
  destinationAddress: string;
  destinationPort: number;
  /** The address above is what the caller asked for before the connection was intercepted. */
  restored = false;
  /** Nobody has said in time whether the mesh knows that address. */
  unanswered = false;
  /** What is called for the connection is to see the caller's address. */
  keepsSource = false;
  /** The cluster whose endpoint has that address, "" where the balancer may choose. */
  pinned = "";
  transportProtocol: "raw_buffer" | "tls" = "raw_buffer";
  applicationProtocols: readonly string[] = NO_PROTOCOLS;
  /** What was read so far, null for nothing. */
  head: Buffer | null = null;
  /** null: not read, or not TLS. */
  hello: ClientHelloInfo | null = null;

  constructor(socket: Socket) {
    this.socket = socket;
    this.sourceAddress = plainAddress(socket.remoteAddress);
    this.sourcePort = socket.remotePort ?? 0;
    this.destinationAddress = plainAddress(socket.localAddress);
    this.destinationPort = socket.localPort ?? 0;
  }

  get serverName(): string {
    return this.hello?.serverName ?? "";
  }

  /** The kernel knows where the connection was going. */
  restore({ host, port }: Destination): void {
    this.destinationAddress = host;
    this.destinationPort = port;
    this.restored = true;
  }

  #direct(): NonNullable<ConnectionInfo["direct"]> {
    return { address: plainAddress(this.socket.localAddress), port: this.socket.localPort ?? 0 };
  }

  take(bytes: Buffer): void {
    this.head = this.head === null ? bytes : Buffer.concat([this.head, bytes]);
  }

  /** As logs, rules and clusters know the connection. `tls`: null before a handshake, and in plaintext. */
  info(listener: string, filterChain: string, tls: ConnectionTls | null): ConnectionInfo {
    return {
      id: nextConnectionId(),
      remoteAddress: this.sourceAddress,
      remotePort: this.sourcePort,
      localAddress: this.destinationAddress,
      localPort: this.destinationPort,
      tls,
      listener,
      filterChain,
      ...(this.restored ? { restored: true, direct: this.#direct() } : null),
      ...(this.keepsSource ? { keepsSource: true } : null),
      ...(this.pinned === "" ? null : { pinned: this.pinned }),
      ...(this.serverName === "" ? null : { serverName: this.serverName }),
    };
  }
}

/** `::ffff:10.0.0.1` is 10.0.0.1 to people and to rules. */
export function plainAddress(address: string | undefined): string {
  if (address === undefined) return "";
  return address.startsWith("::ffff:") ? address.slice(7) : address;
}
