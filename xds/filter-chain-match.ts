/** Which connections a filter chain is for: `listener.v3.FilterChainMatch`. */
import { create } from "@bufbuild/protobuf";
import { formatIp, parseIp } from "../core/ip.ts";
import {
  FilterChainMatch_ConnectionSourceTypeSchema,
  type FilterChainMatch as FilterChainMatchMessage,
  FilterChainMatchSchema,
  FilterChainMatch_ConnectionSourceType as SourceType,
} from "../generated/envoy/config/listener/v3/listener_components_pb.js";
import type { Cidr } from "../model/address.ts";
import type { FilterChain, FilterChainMatch } from "../model/listener.ts";
import { decodeCidr, encodeCidr } from "./address.ts";
import type { Place } from "./place.ts";
import { numberOf, wordOf } from "./values.ts";

const MAX_PORT = 65_535;

const SOURCES = {
  [SourceType.ANY]: "any",
  [SourceType.SAME_IP_OR_LOOPBACK]: "same_ip_or_loopback",
  [SourceType.EXTERNAL]: "external",
} as const;

/** Without a message: every connection. */
export function decodeFilterChainMatch(given: FilterChainMatchMessage | undefined, at: Place): FilterChainMatch {
  const message = given ?? create(FilterChainMatchSchema);
  if (message.destinationPort !== undefined) checkPort(message.destinationPort, at.field("destination_port"));
  message.sourcePorts.forEach((port, i) => {
    checkPort(port, at.item("source_ports", i));
  });
  return {
    destinationPort: message.destinationPort ?? null,
    prefixRanges: message.prefixRanges.map((range, i) => decodeCidr(range, at.item("prefix_ranges", i))),
    serverNames: message.serverNames.map((name, i) => decodeServerName(name, at.item("server_names", i))),
    transportProtocol: message.transportProtocol,
    applicationProtocols: [...message.applicationProtocols],
    sourceType:
      wordOf(FilterChainMatch_ConnectionSourceTypeSchema, message.sourceType, SOURCES, at.field("source_type")) ??
      "any",
    sourcePrefixRanges: decodeSources(message, at),
    sourcePorts: [...message.sourcePorts],
  };
}

/** Without PROXY protocol a connection's source is its direct source: either field says the same. */
function decodeSources(message: FilterChainMatchMessage, at: Place): readonly Cidr[] {
  const direct = message.directSourcePrefixRanges;
  if (direct.length > 0 && message.sourcePrefixRanges.length > 0) {
    at.field("direct_source_prefix_ranges").error("is not supported together with source_prefix_ranges");
  }
  const [name, ranges] =
    direct.length > 0
      ? (["direct_source_prefix_ranges", direct] as const)
      : (["source_prefix_ranges", message.sourcePrefixRanges] as const);
  return ranges.map((range, i) => decodeCidr(range, at.item(name, i)));
}

function checkPort(port: number, at: Place): void {
  if (port < 1 || port > MAX_PORT) at.error(`must be from 1 to ${MAX_PORT}, got ${port}`);
}

function decodeServerName(name: string, at: Place): string {
  if (name.includes("*") && !name.startsWith("*.")) {
    at.error("a wildcard must be the whole first label, as in *.example.com");
  }
  return name.toLowerCase();
}

/** undefined: every connection. */
export function encodeFilterChainMatch(match: FilterChainMatch): FilterChainMatchMessage | undefined {
  const message = create(FilterChainMatchSchema, {
    prefixRanges: match.prefixRanges.map(encodeCidr),
    serverNames: [...match.serverNames],
    transportProtocol: match.transportProtocol,
    applicationProtocols: [...match.applicationProtocols],
    sourceType: numberOf(SOURCES, match.sourceType),
    sourcePrefixRanges: match.sourcePrefixRanges.map(encodeCidr),
    sourcePorts: [...match.sourcePorts],
  });
  if (match.destinationPort !== null) message.destinationPort = match.destinationPort;
  return criteriaOf(match).every((values) => values.length === 1 && values[0] === "") ? undefined : message;
}

/**
 * Reports chains that the same connection would match alike: Envoy chooses by criterion in a fixed order, so no two
 * chains may share a value in each of them.
 */
export function checkOverlap(chains: readonly FilterChain[], at: Place): void {
  const owners = new Map<string, number>();
  chains.forEach((chain, i) => {
    for (const key of combinations(criteriaOf(chain.match))) {
      const owner = owners.get(key);
      if (owner === undefined) owners.set(key, i);
      else {
        const other = owner === i ? "itself" : nameOf(chains, owner);
        at.item("filter_chains", i).field("filter_chain_match").error(`matches the same connections as ${other}`);
        return;
      }
    }
  });
}

function nameOf(chains: readonly FilterChain[], index: number): string {
  const name = chains[index]?.name;
  return name ? `filter chain ${JSON.stringify(name)}` : `filter_chains[${index}]`;
}

/** The values of each criterion; one empty value where any will do. */
function criteriaOf(match: FilterChainMatch): string[][] {
  const orAny = (values: readonly string[]): string[] => (values.length > 0 ? [...values] : [""]);
  return [
    [match.destinationPort === null ? "" : String(match.destinationPort)],
    orAny(match.prefixRanges.map(masked)),
    orAny(match.serverNames),
    [match.transportProtocol],
    orAny(match.applicationProtocols),
    [match.sourceType === "any" ? "" : match.sourceType],
    orAny(match.sourcePrefixRanges.map(masked)),
    orAny(match.sourcePorts.map(String)),
  ];
}

function* combinations(criteria: readonly (readonly string[])[], prefix = ""): Generator<string> {
  const [first, ...rest] = criteria;
  if (!first) {
    yield prefix;
    return;
  }
  for (const value of first) yield* combinations(rest, `${prefix}\0${value}`);
}

/** The range with its host bits cleared: `10.0.0.1/8` and `10.0.0.2/8` are the same. */
function masked({ address, prefixLength }: Cidr): string {
  const ip = parseIp(address);
  if (!ip) return `${address}/${prefixLength}`;
  const network = ip.map((group, i) => {
    const bits = Math.max(0, Math.min(16, prefixLength - i * 16));
    return group & (0xffff << (16 - bits)) & 0xffff;
  });
  return `${formatIp(network)}/${prefixLength}`;
}
