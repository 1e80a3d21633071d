/** Ending a connection with a reset, so that the peer knows it for one: a FIN would tell it that all bytes have come. */
import { Socket } from "node:net";
import { TLSSocket } from "node:tls";

/** Node's own fields: `resetAndDestroy` would half-close first, and takes no TLS socket. */
interface Internals {
  resetAndClosing?: boolean;
  readonly _parent?: Socket | null;
}

/** Destroys the socket with an RST where the platform lets it, else as `destroy` does. What waits to be written is lost. */
export function resetSocket(socket: Socket): void {
  const raw = rawSocket(socket) as Internals;
  if (raw.resetAndClosing === false) raw.resetAndClosing = true;
  socket.destroy();
}

/** The TCP socket under a TLS socket. */
function rawSocket(socket: Socket): Socket {
  if (!(socket instanceof TLSSocket)) return socket;
  const parent = (socket as unknown as Internals)._parent;
  return parent instanceof Socket ? parent : socket;
}
