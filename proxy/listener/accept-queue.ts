/**
 * Ends a listening socket without losing who has come already. Connections whose handshake the kernel has done wait to be
 * accepted; when the socket is closed the kernel resets them, although their clients may have sent a request. So before it
 * is closed its queue is made as short as can be (a client that finds it full is not answered, tries again a second later,
 * and then finds the port closed), and those that wait are accepted. Linux only, and where `koffi` is loaded already for
 * interception: elsewhere a socket is closed as any server's is.
 */
import type { Server } from "node:net";
import { descriptorOf, type SocketOptions } from "./socket-options.ts";

const IPPROTO_TCP = 6;
const TCP_INFO = 11;
/** In `struct tcp_info`, of a listening socket: how many connections wait to be accepted. */
const TCPI_UNACKED_OFFSET = 24;

/** Each accepts a connection at least, if one waits: far more than any queue holds, where somebody's count is wrong. */
const MOST_TURNS = 100_000;

/**
 * Calls `close` once nobody waits any more: at once, from inside this call, where nobody does or where it can't be known.
 * Returns whether it was called.
 */
export function emptyAcceptQueue(server: Server, options: SocketOptions | null, close: () => void): boolean {
  const fd = descriptorOf(server);
  if (fd === null || options === null || !options.listen(fd, 0)) {
    close();
    return true;
  }
  let turns = 0;
  const look = (): boolean => {
    // Somebody else may have closed it, and its number may be another's by now.
    if (descriptorOf(server) === fd && turns++ < MOST_TURNS && waiting(fd, options) > 0) {
      setImmediate(look);
      return false;
    }
    close();
    return true;
  };
  return look();
}

function waiting(fd: number, options: SocketOptions): number {
  const info = Buffer.alloc(TCPI_UNACKED_OFFSET + 4);
  if (!options.get(fd, IPPROTO_TCP, TCP_INFO, info)) return 0;
  return new Uint32Array(info.buffer, info.byteOffset + TCPI_UNACKED_OFFSET, 1)[0] ?? 0;
}
