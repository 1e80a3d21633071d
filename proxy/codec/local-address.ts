/** Which of a machine's addresses a connection leaves from. */
import type { Socket } from "node:net";

/** `host:port`, an IPv6 host in brackets; "" on a pipe. Asks the system: keep the answer. */
export function localAddressOf({ localAddress: host, localPort: port }: Socket): string {
  if (host === undefined) return "";
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
