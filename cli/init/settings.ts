/**
 * What is intercepted, in the terms of the Kubernetes annotations that mesh users know (`includeOutboundIPRanges` and
 * so on), read from the command line: whatever gets past here can be written into a rule as it is.
 */
import { InvalidArgumentError } from "commander";
import { UserError } from "../../core/errors.ts";
import { formatIp, parseIp } from "../../core/ip.ts";

export type Family = 4 | 6;
export const FAMILIES: readonly Family[] = [4, 6];

/** Addresses of one family, `10.0.0.0/8`. */
export interface AddressRange {
  readonly family: Family;
  readonly text: string;
}

/** `all` is the annotation's `*`. */
export type Some<T> = "all" | readonly T[];

export interface Direction {
  readonly includePorts: Some<number>;
  readonly excludePorts: readonly number[];
  /** Of the destination where the connection is outbound, of the source where it is inbound. */
  readonly includeRanges: Some<AddressRange>;
  readonly excludeRanges: readonly AddressRange[];
}

export type InboundMode = "redirect" | "tproxy";

export interface Interception {
  readonly inboundMode: InboundMode;
  /** Where the sidecar takes outbound and inbound connections. */
  readonly outboundPort: number;
  readonly inboundPort: number;
  /** Whose connections are the sidecar's own; at least one of both lists is not empty. */
  readonly proxyUids: readonly number[];
  readonly proxyGids: readonly number[];
  /** A connection is intercepted if its port and its source are included. */
  readonly inbound: Direction;
  /** A connection is intercepted if its port or its destination is included. */
  readonly outbound: Direction;
  /** Connections that come in or go out by these are left alone. */
  readonly excludeInterfaces: readonly string[];
}

/** The flags of the command, parsed one by one. */
export interface InterceptionFlags {
  readonly inboundMode: InboundMode;
  readonly outboundPort: number;
  readonly inboundPort: number;
  readonly proxyUid?: readonly number[];
  readonly proxyGid?: readonly number[];
  readonly includeInboundPorts: Some<number>;
  readonly excludeInboundPorts: readonly number[];
  readonly includeInboundIpRanges: Some<AddressRange>;
  readonly excludeInboundIpRanges: readonly AddressRange[];
  readonly includeOutboundPorts: readonly number[];
  readonly excludeOutboundPorts: readonly number[];
  readonly includeOutboundIpRanges: Some<AddressRange>;
  readonly excludeOutboundIpRanges: readonly AddressRange[];
  readonly excludeInterfaces: readonly string[];
}

/** The user and group that meshes run sidecars as, where nothing else is said. */
const PROXY_ID = 1337;

/** Throws a UserError (exit code 2) where flags contradict each other. */
export function interceptionOf(flags: InterceptionFlags): Interception {
  if (flags.outboundPort === flags.inboundPort) {
    throw new UserError(`--outbound-port and --inbound-port are both ${flags.inboundPort}: they must differ`, 2);
  }
  const own = flags.proxyUid === undefined && flags.proxyGid === undefined ? [PROXY_ID] : [];
  const proxyUids = flags.proxyUid ?? own;
  const proxyGids = flags.proxyGid ?? own;
  if (proxyUids.length === 0 && proxyGids.length === 0) {
    throw new UserError(
      "--proxy-uid and --proxy-gid name nobody: without a user or group of its own the sidecar would intercept itself",
      2,
    );
  }
  return {
    inboundMode: flags.inboundMode,
    outboundPort: flags.outboundPort,
    inboundPort: flags.inboundPort,
    proxyUids,
    proxyGids,
    inbound: {
      includePorts: flags.includeInboundPorts,
      excludePorts: flags.excludeInboundPorts,
      includeRanges: flags.includeInboundIpRanges,
      excludeRanges: flags.excludeInboundIpRanges,
    },
    outbound: {
      includePorts: flags.includeOutboundPorts,
      excludePorts: flags.excludeOutboundPorts,
      includeRanges: flags.includeOutboundIpRanges,
      excludeRanges: flags.excludeOutboundIpRanges,
    },
    excludeInterfaces: flags.excludeInterfaces,
  };
}

/** `8080`. Throws InvalidArgumentError, as all parsers below do; commander adds the option's name and value. */
export function port(text: string): number {
  return integer(text.trim(), 1, 65_535, "is no port (1 to 65535)");
}

/** `80,8080`, or nothing. */
export function ports(text: string): readonly number[] {
  return items(text).map(port);
}

/** `*`, or as `ports`. */
export function somePorts(text: string): Some<number> {
  return text.trim() === "*" ? "all" : ports(text);
}

/** `1337`, or several. Numbers only: a name means another number in every container. */
export function ids(text: string): readonly number[] {
  return items(text).map((item) => integer(item, 0, 0xffff_fffe, "is no numeric id"));
}

/** `10.0.0.0/8,fd00::/8`; an address alone is a range of one. */
export function ranges(text: string): readonly AddressRange[] {
  return items(text).map(range);
}

/** `*`, or as `ranges`. */
export function someRanges(text: string): Some<AddressRange> {
  return text.trim() === "*" ? "all" : ranges(text);
}

/** `eth1,docker0`; a trailing `+` stands for any ending, as in iptables. */
export function interfaces(text: string): readonly string[] {
  const names = items(text);
  for (const name of names) {
    // Linux's longest name has 15 characters; a leading dash would be read as an option of the rule.
    if (!/^\w[\w.@-]{0,14}\+?$/.test(name) || name.length > 15) {
      throw new InvalidArgumentError(`"${name}" is no name of a network interface.`);
    }
  }
  return names;
}

function range(text: string): AddressRange {
  const [address = "", prefix, ...rest] = text.split("/");
  const ip = address.includes("%") ? null : parseIp(address);
  if (ip === null || rest.length > 0) {
    throw new InvalidArgumentError(`"${text}" is no address range (10.0.0.0/8, fd00::/8).`);
  }
  const family = ip.length === 2 ? 4 : 6;
  const longest = family === 4 ? 32 : 128;
  const length = prefix === undefined ? longest : integer(prefix, 0, longest, `of "${text}" is no prefix length`);
  return { family, text: `${formatIp(ip)}/${length}` };
}

function items(text: string): readonly string[] {
  if (text.trim() === "") return [];
  return text.split(",").map((item) => item.trim());
}

function integer(text: string, least: number, most: number, what: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < least || value > most) throw new InvalidArgumentError(`"${text}" ${what}.`);
  return value;
}
