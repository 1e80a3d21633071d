/**
 * The connections that this process opens, known by both of their ends: one that is intercepted and comes back is a loop,
 * and would go round for ever.
 */
import type { Socket } from "node:net";
import { formatIp, parseIp, type SocketAddress } from "../../core/ip.ts";

/** A handle that can be asked for its address before the connection stands, which `Socket.localPort` can't. */
interface NamedHandle {
  getsockname(into: { address?: string; port?: number }): number;
}

export class OwnConnections {
  /** Nothing is kept while nothing is intercepted. */
  watching = false;
  /** Being opened, with the far end: the near end can be had when it is asked for. */
  readonly #opening = new Map<Socket, SocketAddress>();
  readonly #open = new Set<string>();

  /** How many connections are remembered. */
  get size(): number {
    return this.#opening.size + this.#open.size;
  }

  /** Remembers a connection that is being opened, until it is closed. */
  add(socket: Socket, { host, port }: SocketAddress): void {
    if (!this.watching) return;
    const far: SocketAddress = { host: canonical(host), port };
    let key = "";
    this.#opening.set(socket, far);
    socket.once("connect", () => {
      this.#opening.delete(socket);
      key = keyOf({ host: canonical(socket.localAddress ?? ""), port: socket.localPort ?? 0 }, far);
      this.#open.add(key);
    });
    socket.once("close", () => {
      this.#opening.delete(socket);
      this.#open.delete(key);
    });
  }

  /** Whether the connection from `near` to `far` is one of ours. Both are in their canonical form. */
  has(near: SocketAddress, far: SocketAddress): boolean {
    if (this.#open.has(keyOf(near, far))) return true;
    for (const [socket, end] of this.#opening) {
      if (end.port !== far.port || end.host !== far.host) continue;
      const from = nearEndOf(socket);
      if (from !== null && from.port === near.port && from.host === near.host) return true;
    }
    return false;
  }
}

function keyOf(near: SocketAddress, far: SocketAddress): string {
  return `${near.host} ${near.port} ${far.host} ${far.port}`;
}

function canonical(host: string): string {
  const ip = parseIp(host);
  return ip === null ? host : formatIp(ip);
}

function nearEndOf(socket: Socket): SocketAddress | null {
  const handle = (socket as { readonly _handle?: NamedHandle | null })._handle;
  if (!handle) return null;
  const into: { address?: string; port?: number } = {};
  if (handle.getsockname(into) !== 0 || into.address === undefined || into.port === undefined) return null;
  return { host: canonical(into.address), port: into.port };
}
