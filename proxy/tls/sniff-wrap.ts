/** Turns an accepted socket whose first bytes have been looked at into a TLS server's socket, without losing a byte. */
import type { Socket } from "node:net";
import { TLSSocket, type TLSSocketOptions } from "node:tls";
import { releaseErrors } from "./connection.ts";

/**
 * Gives `head` (bytes already read from `socket`, or null) back and wraps. The caller has taken its own listeners off
 * the raw socket; the native handle is kept, so bytes do not pass through JavaScript twice.
 */
export function wrapSniffed(socket: Socket, head: Buffer | null, options: TLSSocketOptions): TLSSocket {
  // A flowing socket would emit these bytes to nobody.
  socket.pause();
  // Its errors surface on the wrapping socket; the raw one must only not throw for want of a listener.
  socket.on("error", () => undefined);
  if (head !== null && head.length > 0) socket.unshift(head);
  const secure = new TLSSocket(socket, { ...options, isServer: true });
  releaseErrors(secure);
  return secure;
}
