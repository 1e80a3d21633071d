/** Ending a connection with a reset, so that the peer knows it for one: a FIN would tell it that all bytes have come. */
import { Socket } from "node:net";
import { TLSSocket } from "node:tls";

/** Destroys the socket with an RST where the transport has one, else as `destroy` does. What waits to be written is lost. */
export function resetSocket(socket: Socket): void {
  try {
    rawSocket(socket).resetAndDestroy();
  } catch {
    // Pipes know no reset.
  }
  socket.destroy();
}

/** The TCP socket under a TLS socket. */
function rawSocket(socket: Socket): Socket {
  if (!(socket instanceof TLSSocket)) return socket;
  const { _parent: parent } = socket as TLSSocket & { readonly _parent?: unknown };
  return parent instanceof Socket ? parent : socket;
}
