import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import type { FilterChain, Listener } from "../../model/listener.ts";
import { type ConnectionFacts, compileFilterChains, needsClientHello } from "./filter-chain-match.ts";
import { filterChain as chain } from "./testing/inbound-subject.ts";

type Match = FilterChain["match"];

function listener(chains: readonly FilterChain[], fallback: FilterChain | null = null): Listener {
  // Only the chains are looked at.
  return { filterChains: chains, defaultFilterChain: fallback } as unknown as Listener;
}

const PLAIN: ConnectionFacts = {
  destinationAddress: "10.0.0.1",
  destinationPort: 80,
  sourceAddress: "192.168.1.5",
  sourcePort: 40_000,
  serverName: "",
  transportProtocol: "raw_buffer",
  applicationProtocols: [],
};

/** Name of the chain that takes the connection. */
function taken(chains: readonly FilterChain[], facts: Partial<ConnectionFacts>, fallback?: FilterChain): string | null {
  return compileFilterChains(listener(chains, fallback ?? null), ({ name }) => name)({ ...PLAIN, ...facts });
}

const cidr = (text: string): { address: string; prefixLength: number } => {
  const [address = "", length] = text.split("/");
  return { address, prefixLength: Number(length) };
};

describe("Envoy's specificity rules", () => {
  test("a chain without criteria takes what no other does, the default chain the rest", () => {
    const chains = [chain("port", { destinationPort: 443 })];
    assert.equal(taken(chains, {}), null);
    assert.equal(taken(chains, {}, chain("default", {})), "default");
    assert.equal(taken([...chains, chain("any", {})], {}, chain("default", {})), "any");
    assert.equal(taken([...chains, chain("any", {})], { destinationPort: 443 }), "port");
  });

  test("destination ranges: the longest prefix", () => {
    const chains = ["0.0.0.0/0", "10.0.0.0/8", "10.0.0.0/24", "10.0.0.1/32", "::/0", "fd00::/8"].map((range) =>
      chain(range, { prefixRanges: [cidr(range)] }),
    );
    assert.equal(taken(chains, {}), "10.0.0.1/32");
    assert.equal(taken(chains, { destinationAddress: "10.0.0.2" }), "10.0.0.0/24");
    assert.equal(taken(chains, { destinationAddress: "10.9.0.2" }), "10.0.0.0/8");
    assert.equal(taken(chains, { destinationAddress: "11.0.0.1" }), "0.0.0.0/0");
    assert.equal(taken(chains, { destinationAddress: "fd00::1" }), "fd00::/8");
    assert.equal(taken(chains, { destinationAddress: "2001:db8::1" }), "::/0");
    const several = [chain("wide", { prefixRanges: [cidr("10.0.0.0/16")] })];
    several.push(chain("two", { prefixRanges: [cidr("172.16.0.0/12"), cidr("10.0.0.0/20")] }));
    assert.equal(taken(several, {}), "two");
  });

  test("server names: exact before longer wildcards before shorter ones before none", () => {
    const chains = ["a.b.test", "*.b.test", "*.test"].map((name) => chain(name, { serverNames: [name] }));
    chains.push(chain("none", {}));
    const tls = { transportProtocol: "tls" } as const;
    assert.equal(taken(chains, { ...tls, serverName: "a.b.test" }), "a.b.test");
    assert.equal(taken(chains, { ...tls, serverName: "c.b.test" }), "*.b.test");
    assert.equal(taken(chains, { ...tls, serverName: "d.c.b.test" }), "*.b.test");
    assert.equal(taken(chains, { ...tls, serverName: "b.test" }), "*.test");
    assert.equal(taken(chains, { ...tls, serverName: "test" }), "none");
    assert.equal(taken(chains, { ...tls, serverName: "xa.b.testx" }), "none");
    assert.equal(taken(chains, tls), "none");
  });

  test("application protocols: the client's favourite, not the listener's order", () => {
    const chains = [
      chain("1.1", { applicationProtocols: ["http/1.1", "http/1.0"] }),
      chain("h2", { applicationProtocols: ["h2"] }),
      chain("none", {}),
    ];
    assert.equal(taken(chains, { applicationProtocols: ["h2", "http/1.1"] }), "h2");
    assert.equal(taken(chains, { applicationProtocols: ["http/1.0", "h2"] }), "1.1");
    assert.equal(taken(chains, { applicationProtocols: ["spdy/3"] }), "none");
    assert.equal(taken(chains, {}), "none");
  });

  test("transport protocol, source type, source range and source port", () => {
    assert.equal(
      taken([chain("any", {}), chain("tls", { transportProtocol: "tls" })], { transportProtocol: "tls" }),
      "tls",
    );
    const types = [
      chain("local", { sourceType: "same_ip_or_loopback" }),
      chain("external", { sourceType: "external" }),
      chain("any", {}),
    ];
    assert.equal(taken(types, { sourceAddress: "127.0.0.9" }), "local");
    assert.equal(taken(types, { sourceAddress: "10.0.0.1" }), "local");
    assert.equal(taken(types, { sourceAddress: "10.0.0.2" }), "external");
    const ranges = [
      chain("wide", { sourcePrefixRanges: [cidr("192.168.0.0/16")] }),
      chain("narrow", { sourcePrefixRanges: [cidr("192.168.1.0/24")] }),
      chain("port", { sourcePrefixRanges: [cidr("192.168.1.0/24")], sourcePorts: [40_000] }),
    ];
    assert.equal(taken(ranges, {}), "port");
    assert.equal(taken(ranges, { sourcePort: 1 }), "narrow");
    assert.equal(taken(ranges, { sourceAddress: "192.168.2.5" }), "wide");
  });

  test("an earlier criterion decides, and there is no way back from it", () => {
    const chains = [
      chain("port", { destinationPort: 80, serverNames: ["a.test"] }),
      chain("name", { serverNames: ["b.test"] }),
    ];
    // The port is matched by the first chain alone, whose name then fails.
    assert.equal(taken(chains, { serverName: "b.test" }, chain("default", {})), "default");
    assert.equal(taken(chains, { serverName: "b.test", destinationPort: 81 }), "name");
    const later = [
      chain("exact", { serverNames: ["a.test"], transportProtocol: "tls", applicationProtocols: ["h2"] }),
      chain("wild", { serverNames: ["*.test"] }),
    ];
    assert.equal(taken(later, { serverName: "a.test", transportProtocol: "tls" }), null);
  });

  test("a peer without an address (gone already, or on a pipe) matches no range", () => {
    const chains = [chain("range", { sourcePrefixRanges: [cidr("0.0.0.0/0")] }), chain("any", {})];
    assert.equal(taken(chains, { sourceAddress: "", destinationAddress: "" }), "any");
  });
});

/** Envoy's search as its documentation tells it: criterion after criterion, each keeping the most specific. */
function naive(chains: readonly FilterChain[], facts: ConnectionFacts): string | null {
  const scores: ((match: Match) => number | null)[] = [
    ({ destinationPort }) => (destinationPort === null ? 0 : destinationPort === facts.destinationPort ? 1 : null),
    ({ serverNames }) => {
      if (serverNames.length === 0) return 0;
      const fitting = serverNames.filter((name) =>
        name.startsWith("*.")
          ? facts.serverName.endsWith(name.slice(1)) && facts.serverName !== name.slice(1)
          : name === facts.serverName,
      );
      return fitting.length === 0
        ? null
        : Math.max(...fitting.map((name) => (name.startsWith("*") ? name.length : 999)));
    },
    ({ transportProtocol }) =>
      transportProtocol === "" ? 0 : transportProtocol === facts.transportProtocol ? 1 : null,
    ({ applicationProtocols }) => {
      if (applicationProtocols.length === 0) return 0;
      const at = facts.applicationProtocols.findIndex((name) => applicationProtocols.includes(name));
      return at < 0 ? null : 100 - at;
    },
    ({ sourcePorts }) => (sourcePorts.length === 0 ? 0 : sourcePorts.includes(facts.sourcePort) ? 1 : null),
  ];
  let left = [...chains];
  for (const score of scores) {
    const scored = left.map((one) => ({ one, score: score(one.match) })).filter((item) => item.score !== null);
    const best = Math.max(...scored.map((item) => item.score as number));
    left = scored.filter((item) => item.score === best).map((item) => item.one);
  }
  return left[0]?.name ?? null;
}

test("any chains and any connection: as a naive search finds it", () => {
  const some = <T>(...values: T[]): fc.Arbitrary<T[]> => fc.subarray(values, { maxLength: 2 });
  const match = fc.record({
    destinationPort: fc.constantFrom(null, null, 80, 81),
    serverNames: some("a.test", "*.test", "*.a.test", "b.a.test"),
    transportProtocol: fc.constantFrom("" as const, "tls" as const, "raw_buffer" as const),
    applicationProtocols: some("h2", "http/1.1", "istio"),
    sourcePorts: some(1, 2),
  });
  const facts = fc.record({
    destinationPort: fc.constantFrom(80, 81, 82),
    serverName: fc.constantFrom("", "a.test", "b.a.test", "c.b.a.test", "test"),
    transportProtocol: fc.constantFrom("tls" as const, "raw_buffer" as const),
    applicationProtocols: fc.shuffledSubarray(["h2", "http/1.1", "istio"]),
    sourcePort: fc.constantFrom(1, 2, 3),
  });
  fc.assert(
    fc.property(fc.array(match, { minLength: 1, maxLength: 6 }), facts, (matches, some) => {
      const chains = matches.map((one, i) => chain(`chain ${i}`, one));
      assert.equal(taken(chains, some), naive(chains, { ...PLAIN, ...some }));
    }),
    { numRuns: 2000 },
  );
});

test("a ClientHello is waited for only where a chain asks what it says", () => {
  assert.ok(!needsClientHello(listener([chain("a", {}), chain("b", { destinationPort: 1, sourcePorts: [1] })])));
  for (const match of [
    { serverNames: ["a"] },
    { applicationProtocols: ["h2"] },
    { transportProtocol: "tls" },
  ] satisfies Partial<Match>[]) {
    assert.ok(needsClientHello(listener([chain("a", {}), chain("b", match)])));
  }
});
