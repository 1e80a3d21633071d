/** Where a request came from: an address that a trusted `x-forwarded-for` gives, else the connection's peer. */
import type { StreamInfo } from "../../telemetry/stream-info.ts";
import { portStart } from "./virtual-hosts.ts";

/** The caller's IP address, without port or brackets. */
export function remoteHost(info: StreamInfo): string {
  const address = info.downstreamAddress;
  if (address === "") return info.connection.remoteAddress;
  const colon = portStart(address);
  const host = colon < 0 ? address : address.slice(0, colon);
  return host.startsWith("[") ? host.slice(1, -1) : host;
}
