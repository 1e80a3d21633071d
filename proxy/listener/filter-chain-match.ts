/** Which filter chain takes a connection: Envoy's `FilterChainMatch`, criterion after criterion, most specific first. */
import { compileCidr, parseIp } from "../../core/ip.ts";
import type { Cidr } from "../../model/address.ts";
import type { FilterChain, Listener } from "../../model/listener.ts";

/** What is known of a connection before its chain is chosen. */
export interface ConnectionFacts {
  readonly destinationAddress: string;
  readonly destinationPort: number;
  readonly sourceAddress: string;
  readonly sourcePort: number;
  /** Lower case, "" for none. */
  readonly serverName: string;
  readonly transportProtocol: "raw_buffer" | "tls";
  readonly applicationProtocols: readonly string[];
}

/** How specific a chain's criterion is for a connection; a negative value means that it does not match. */
type Criterion = (facts: ConnectionFacts) => number;

interface CompiledChain<T> {
  readonly criteria: readonly Criterion[];
  readonly chain: T;
}

/** Compiles a listener's chains to a function; `T` is whatever the caller keeps for a chain. */
export function compileFilterChains<T>(
  listener: Listener,
  keep: (chain: FilterChain) => T,
): (facts: ConnectionFacts) => T | null {
  const compiled = listener.filterChains.map(
    (chain): CompiledChain<T> => ({ criteria: criteriaOf(chain), chain: keep(chain) }),
  );
  const fallback = listener.defaultFilterChain ? keep(listener.defaultFilterChain) : null;
  const only = compiled[0];
  if (compiled.length === 1 && only && only.criteria.length === 0) return () => only.chain;
  return (facts) => choose(compiled, facts) ?? fallback;
}

/** True if a chain can only be chosen after the ClientHello has been read. */
export function needsClientHello(listener: Listener): boolean {
  return listener.filterChains.some(
    ({ match }) =>
      match.serverNames.length > 0 || match.applicationProtocols.length > 0 || match.transportProtocol !== "",
  );
}

/**
 * Envoy goes through the criteria in a fixed order and at each keeps only the chains that match it best: a chain that
 * is better at an earlier criterion wins whatever the later ones say.
 */
function choose<T>(chains: readonly CompiledChain<T>[], facts: ConnectionFacts): T | null {
  let left = chains;
  for (let i = 0; i < CRITERIA.length && left.length > 0; i++) {
    let best = -1;
    let next: CompiledChain<T>[] = [];
    for (const chain of left) {
      const score = chain.criteria[i]?.(facts) ?? 0;
      if (score > best) {
        best = score;
        next = [chain];
      } else if (score === best && score >= 0) next.push(chain);
    }
    left = next;
  }
  return left[0]?.chain ?? null;
}

function criteriaOf(chain: FilterChain): Criterion[] {
  const criteria = CRITERIA.map((make) => make(chain));
  return criteria.some((criterion) => criterion !== any) ? criteria : [];
}

const any: Criterion = () => 0;

/** In Envoy's order. */
const CRITERIA: readonly ((chain: FilterChain) => Criterion)[] = [
  ({ match: { destinationPort } }) =>
    destinationPort === null ? any : (facts) => (facts.destinationPort === destinationPort ? 1 : -1),
  ({ match }) => rangeCriterion(match.prefixRanges, (facts) => facts.destinationAddress),
  ({ match: { serverNames } }) =>
    serverNames.length === 0 ? any : (facts) => serverNameScore(serverNames, facts.serverName),
  ({ match: { transportProtocol } }) =>
    transportProtocol === "" ? any : (facts) => (facts.transportProtocol === transportProtocol ? 1 : -1),
  ({ match: { applicationProtocols } }) =>
    applicationProtocols.length === 0
      ? any
      : (facts) => protocolScore(applicationProtocols, facts.applicationProtocols),
  ({ match: { sourceType } }) =>
    sourceType === "any" ? any : (facts) => ((sourceType === "same_ip_or_loopback") === isLocal(facts) ? 1 : -1),
  ({ match }) => rangeCriterion(match.sourcePrefixRanges, (facts) => facts.sourceAddress),
  ({ match: { sourcePorts } }) =>
    sourcePorts.length === 0 ? any : (facts) => (sourcePorts.includes(facts.sourcePort) ? 1 : -1),
];

/** The longest matching prefix wins; +1 so that even `/0` beats a chain without ranges. */
function rangeCriterion(ranges: readonly Cidr[], address: (facts: ConnectionFacts) => string): Criterion {
  if (ranges.length === 0) return any;
  const compiled = ranges.map((range) => ({ covers: compileCidr(range), score: range.prefixLength + 1 }));
  return (facts) => {
    // A peer that is gone already, or one on a pipe, has no address.
    const ip = parseIp(address(facts));
    if (ip === null) return -1;
    let best = -1;
    for (const { covers, score } of compiled) if (score > best && covers(ip)) best = score;
    return best;
  };
}

/** As in Envoy the client's order counts, not the listener's: its favourite scores highest. */
function protocolScore(names: readonly string[], offered: readonly string[]): number {
  const at = offered.findIndex((name) => names.includes(name));
  return at < 0 ? -1 : offered.length - at;
}

/** Exact names beat wildcards, longer wildcards shorter ones. */
function serverNameScore(names: readonly string[], serverName: string): number {
  let best = -1;
  for (const name of names) {
    if (name === serverName && name !== "") return 100_000;
    if (!name.startsWith("*.")) continue;
    const suffix = name.slice(1);
    if (serverName.endsWith(suffix) && serverName.length > suffix.length) best = Math.max(best, suffix.length);
  }
  return best;
}

function isLocal(facts: ConnectionFacts): boolean {
  return (
    facts.sourceAddress === facts.destinationAddress ||
    facts.sourceAddress.startsWith("127.") ||
    facts.sourceAddress === "::1"
  );
}
