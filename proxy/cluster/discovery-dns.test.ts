import assert from "node:assert/strict";
import { test } from "node:test";
import { SimulatedClock } from "../../core/clock.ts";
import { formatAddress } from "../../model/address.ts";
import type { DnsOptions } from "../../model/cluster.ts";
import type { EndpointSet } from "../../model/endpoint.ts";
import { endpoint, endpointSet } from "../../test/support/clusters.ts";
import { DnsDiscovery } from "./discovery-dns.ts";
import { type DnsAnswer, systemResolver } from "./dns-resolver.ts";

const OPTIONS: DnsOptions = { refreshRateMs: 5000, respectTtl: false, lookupFamily: "v4_only" };

/** Answers by "host/family"; a string is an error. */
type Zone = Record<string, readonly (string | DnsAnswer)[] | string>;

function make(template: EndpointSet, zone: Zone, options: Partial<DnsOptions> = {}, firstOnly = false) {
  const clock = new SimulatedClock();
  const asked: string[] = [];
  const sets: string[][] = [];
  const failures: string[] = [];
  const dns = new DnsDiscovery(
    template,
    firstOnly,
    { ...OPTIONS, ...options },
    {
      clock,
      random: () => 0,
      resolver: async (host, family) => {
        asked.push(`${host}/${family}`);
        const found = zone[`${host}/${family}`] ?? [];
        if (typeof found === "string") throw new Error(found);
        return found.map((answer) => (typeof answer === "string" ? { address: answer, ttlS: null } : answer));
      },
      onEndpoints: (set) => {
        sets.push(set.localities.flatMap(({ endpoints }) => endpoints.map(({ address }) => formatAddress(address))));
      },
      onAttempt: (host, error) => {
        if (error !== "") failures.push(`${host}: ${error}`);
      },
    },
  );
  dns.start();
  return { dns, clock, asked, sets, failures, zone };
}

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("every address of every name is an endpoint; addresses stay as they are", async () => {
  const { sets } = make(endpointSet("a.test:80", "10.9.9.9:81", "b.test:82"), {
    "a.test/4": ["10.0.0.2", "10.0.0.1", "10.0.0.2"],
    "b.test/4": ["10.0.1.1"],
  });
  await settle();
  assert.deepEqual(sets, [["10.0.0.1:80", "10.0.0.2:80", "10.9.9.9:81", "10.0.1.1:82"]]);
});

test("endpoints are called by their name unless they have another host name", async () => {
  const template = endpointSet("a.test:80", endpoint("a.test:81", { hostname: "other" }));
  let hostnames: string[] = [];
  const dns = new DnsDiscovery(template, false, OPTIONS, {
    clock: new SimulatedClock(),
    random: () => 0,
    resolver: async () => [{ address: "10.0.0.1", ttlS: null }],
    onEndpoints: (set) => {
      hostnames = set.localities.flatMap(({ endpoints }) => endpoints.map(({ hostname }) => hostname));
    },
    onAttempt: () => {},
  });
  dns.start();
  await settle();
  assert.deepEqual(hostnames, ["a.test", "other"]);
  dns.close();
});

test("only addresses: known at once, nothing is asked", () => {
  const { sets, asked, clock } = make(endpointSet("10.0.0.1:80", "[::1]:80".replace(/[[\]]/g, "")), {});
  assert.equal(sets.length, 1);
  assert.deepEqual(asked, []);
  assert.equal(clock.pending, 0);
});

test("asks again at the refresh rate and tells only changes", async () => {
  const { sets, clock, asked, zone } = make(endpointSet("a.test:80"), { "a.test/4": ["10.0.0.1"] });
  await settle();
  clock.advance(5000);
  await settle();
  assert.equal(asked.length, 2);
  assert.equal(sets.length, 1);
  zone["a.test/4"] = ["10.0.0.1", "10.0.0.3"];
  clock.advance(5000);
  await settle();
  assert.deepEqual(sets.at(-1), ["10.0.0.1:80", "10.0.0.3:80"]);
});

test("a failure keeps the last result; an answer that there is no such name empties it", async () => {
  const { sets, clock, failures, zone } = make(endpointSet("a.test:80"), { "a.test/4": ["10.0.0.1"] });
  await settle();
  zone["a.test/4"] = "queryA ETIMEOUT a.test";
  clock.advance(5000);
  await settle();
  assert.deepEqual(failures, ["a.test: queryA ETIMEOUT a.test"]);
  assert.equal(sets.length, 1);
  zone["a.test/4"] = [];
  clock.advance(5000);
  await settle();
  assert.deepEqual(sets.at(-1), []);
});

test("nothing is told before each name has been answered for, well or badly", async () => {
  let answer: (answers: readonly DnsAnswer[]) => void = () => {};
  const sets: EndpointSet[] = [];
  const dns = new DnsDiscovery(endpointSet("a.test:80", "bad.test:80"), false, OPTIONS, {
    clock: new SimulatedClock(),
    random: () => 0,
    resolver: (host) =>
      host === "bad.test" ? Promise.reject(new Error("refused")) : new Promise((resolve) => (answer = resolve)),
    onEndpoints: (set) => sets.push(set),
    onAttempt: () => {},
  });
  dns.start();
  await settle();
  assert.equal(sets.length, 0);
  answer([{ address: "10.0.0.1", ttlS: null }]);
  await settle();
  assert.equal(sets.length, 1);
  dns.close();
});

test("families: one, the preferred with the other as a fallback, or all", async () => {
  const both: Zone = { "a.test/4": ["10.0.0.1"], "a.test/6": ["fd00::1"] };
  const only4: Zone = { "a.test/4": ["10.0.0.1"] };
  const addresses = async (zone: Zone, lookupFamily: DnsOptions["lookupFamily"]): Promise<string[] | undefined> => {
    const { sets } = make(endpointSet("a.test:80"), zone, { lookupFamily });
    await settle();
    return sets.at(-1);
  };
  assert.deepEqual(await addresses(both, "v4_only"), ["10.0.0.1:80"]);
  assert.deepEqual(await addresses(both, "v6_only"), ["[fd00::1]:80"]);
  assert.deepEqual(await addresses(only4, "v6_only"), []);
  assert.deepEqual(await addresses(both, "auto"), ["[fd00::1]:80"]);
  assert.deepEqual(await addresses(only4, "auto"), ["10.0.0.1:80"]);
  assert.deepEqual(await addresses({ "a.test/6": "SERVFAIL", "a.test/4": ["10.0.0.1"] }, "auto"), ["10.0.0.1:80"]);
  assert.deepEqual(await addresses(both, "v4_preferred"), ["10.0.0.1:80"]);
  assert.deepEqual(await addresses({ "a.test/6": ["fd00::1"] }, "v4_preferred"), ["[fd00::1]:80"]);
  assert.deepEqual(await addresses(both, "all"), ["10.0.0.1:80", "[fd00::1]:80"]);
});

test("a failure in one family is told if the other has no answer", async () => {
  const { failures } = make(endpointSet("a.test:80"), { "a.test/6": "SERVFAIL" }, { lookupFamily: "auto" });
  await settle();
  assert.deepEqual(failures, ["a.test: SERVFAIL"]);
});

test("respect_dns_ttl: asks again after the shortest TTL", async () => {
  const ttl = (address: string, ttlS: number): DnsAnswer => ({ address, ttlS });
  const zone: Zone = { "a.test/4": [ttl("10.0.0.1", 30), ttl("10.0.0.2", 7)] };
  const { clock, asked } = make(endpointSet("a.test:80"), zone, { respectTtl: true });
  await settle();
  clock.advance(6999);
  assert.equal(asked.length, 1);
  clock.advance(1);
  assert.equal(asked.length, 2);
  zone["a.test/4"] = [ttl("10.0.0.1", 0)];
  await settle();
  clock.advance(7000);
  await settle();
  clock.advance(5000);
  assert.equal(asked.length, 4, "a TTL of 0: the refresh rate");
});

test("LOGICAL_DNS: the first address only", async () => {
  const { sets } = make(endpointSet("a.test:80"), { "a.test/4": ["10.0.0.9", "10.0.0.1"] }, {}, true);
  await settle();
  assert.deepEqual(sets, [["10.0.0.9:80"]]);
});

test("closed, it asks and tells no more", async () => {
  const { dns, clock, sets } = make(endpointSet("a.test:80"), { "a.test/4": ["10.0.0.1"] });
  dns.close();
  await settle();
  assert.deepEqual(sets, []);
  assert.equal(clock.pending, 0);
});

test("the machine's resolver: addresses as they are, localhost, names that cannot exist", async () => {
  assert.deepEqual(await systemResolver("127.0.0.5", 4, false), [{ address: "127.0.0.5", ttlS: null }]);
  assert.deepEqual(await systemResolver("127.0.0.5", 6, false), []);
  assert.deepEqual(await systemResolver("localhost", 4, true), [{ address: "127.0.0.1", ttlS: null }]);
});
