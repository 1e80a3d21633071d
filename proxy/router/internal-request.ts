/** Which requests are internal (`internal_address_config`): their callers' addresses are the mesh's own. */
import { compileCidr, parseIp } from "../../core/ip.ts";
import type { HttpConnectionManager } from "../../model/http.ts";
import type { StreamInfo } from "../../telemetry/stream-info.ts";
import type { RequestHead } from "../http/message.ts";
import { lastAddress } from "./forwarded.ts";

export type InternalTest = (request: RequestHead, info: StreamInfo) => boolean;

type Options = Pick<HttpConnectionManager, "internalAddresses" | "useRemoteAddress" | "xffNumTrustedHops">;

/**
 * null: no request is. As in Envoy, a request is internal only if it came through no other proxy: the first proxy wants no
 * `x-forwarded-for`, a later one an `x-forwarded-for` of one address.
 */
export function compileInternal(options: Options): InternalTest | null {
  const { internalAddresses, useRemoteAddress, xffNumTrustedHops: hops } = options;
  if (internalAddresses === undefined) return null;
  const { cidrs, unixSockets } = internalAddresses;
  const ranges = cidrs.map(compileCidr);
  const isInternal = (address: string): boolean => {
    const ip = parseIp(address);
    return ip !== null && ranges.some((contains) => contains(ip));
  };
  return ({ headers }, { connection }) => {
    const forwardedFor = headers.get("x-forwarded-for");
    if (useRemoteAddress) {
      if (forwardedFor !== null) return false;
      return connection.remoteAddress === "" ? unixSockets : isInternal(connection.remoteAddress);
    }
    if (forwardedFor === null || forwardedFor.includes(",")) return false;
    const address = lastAddress(forwardedFor, hops);
    return address !== null && isInternal(address);
  };
}
