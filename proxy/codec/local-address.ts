/** Which addresses a connection has, of this machine's and of its peer's. */
import type { Socket } from "node:net";

/** `host:port`, an IPv6 host in brackets; "" on a pipe. Asks the system: keep the answer. */
export function localAddressOf({ localAddress, localPort }: Socket): string {
  return placeOf(localAddress, localPort);
}

/** As `localAddressOf`, of the other end. */
export function remoteAddressOf({ remoteAddress, remotePort }: Socket): string {
  return placeOf(remoteAddress, remotePort);
}

function placeOf(host: string | undefined, port: number | undefined): string {
  if (host === undefined) return "";
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
