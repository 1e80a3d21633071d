/** Which requests are internal (`internal_address_config`): their callers' addresses are the mesh's own. */
import { compileCidr, parseIp } from "../../core/ip.ts";
import type { Cidr } from "../../model/address.ts";
import type { HttpConnectionManager } from "../../model/http.ts";
import type { StreamInfo } from "../../telemetry/stream-info.ts";
import type { RequestHead } from "../http/message.ts";
import { lastAddress } from "./forwarded.ts";

export type InternalTest = (request: RequestHead, info: StreamInfo) => boolean;

type Options = Pick<HttpConnectionManager, "internalAddresses" | "useRemoteAddress" | "xffNumTrustedHops">;

/** What Envoy takes where the configuration is there but names no ranges. */
const PRIVATE: readonly Cidr[] = [
  { address: "10.0.0.0", prefixLength: 8 },
  { address: "172.16.0.0", prefixLength: 12 },
  { address: "192.168.0.0", prefixLength: 16 },
  { address: "127.0.0.1", prefixLength: 32 },
  { address: "fd00::", prefixLength: 8 },
  { address: "::1", prefixLength: 128 },
];

/**
 * null: no request is. As in Envoy, a request is internal only if it came through no other proxy: the first proxy wants no
 * `x-forwarded-for`, a later one an `x-forwarded-for` of one address.
 */
export function compileInternal(options: Options): InternalTest | null {
  const { internalAddresses, useRemoteAddress, xffNumTrustedHops: hops } = options;
  if (internalAddresses === undefined) return null;
  const { cidrs, unixSockets } = internalAddresses;
  const ranges = (cidrs.length === 0 ? PRIVATE : cidrs).map(compileCidr);
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
