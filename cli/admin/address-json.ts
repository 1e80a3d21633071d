/** Addresses as Envoy's admin pages write them in JSON. */
import type { JsonValue } from "../../model/bootstrap.ts";

/** `host:port`, `[host]:port` or a pipe's path as `core.v3.Address`. */
export function addressJson(address: string): JsonValue {
  const match = /^\[?([^\]]*?)\]?:(\d+)$/.exec(address);
  if (match === null) return { pipe: { path: address } };
  return { socket_address: { address: match[1] ?? "", port_value: Number(match[2]) } };
}
