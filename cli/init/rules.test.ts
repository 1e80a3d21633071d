import assert from "node:assert/strict";
import { test } from "node:test";
import { rulesFor } from "./rules.ts";
import { type Family, type InterceptionFlags, interceptionOf, ranges } from "./settings.ts";
import { FLAGS } from "./testing/flags.ts";

/** A chain's rules, without those that are always there. */
function chain(name: string, flags: Partial<InterceptionFlags>, family: Family = 4, table = "nat"): readonly string[] {
  const tables = rulesFor(interceptionOf({ ...FLAGS, proxyUid: [7], ...flags }), family);
  const rules = tables.find((one) => one.name === table)?.chains.find((one) => one.name === `OUTRIGGER_${name}`)?.rules;
  return (rules ?? []).map(({ rule }) => rule).filter((rule) => !/--dport 150\d\d /.test(rule));
}

const SELF = [
  "-s 127.0.0.6/32 -o lo -j RETURN",
  "! -d 127.0.0.0/8 -o lo -p tcp -m owner --uid-owner 7 -j OUTRIGGER_INBOUND",
  "-m owner --uid-owner 7 -j RETURN",
  "-o lo -j RETURN",
];
const NO_DNS = "-p tcp -m tcp --dport 53 -j RETURN";

test("by default all TCP is intercepted, both ways, but for DNS and the sidecar's own", () => {
  assert.deepEqual(chain("OUTPUT", {}), [...SELF, NO_DNS, "-p tcp -j OUTRIGGER_REDIRECT"]);
  assert.deepEqual(chain("REDIRECT", {}), ["-p tcp -j REDIRECT --to-ports 15001"]);
  assert.deepEqual(chain("INBOUND", {}), ["-p tcp -j OUTRIGGER_IN_REDIRECT"]);
  assert.deepEqual(chain("IN_REDIRECT", {}), ["-p tcp -j REDIRECT --to-ports 15006"]);
});

test("the sidecar's ports are never intercepted, where it was moved to either", () => {
  const [nat] = rulesFor(interceptionOf({ ...FLAGS, outboundPort: 4001, inboundPort: 4006 }), 4);
  const ports = nat?.chains[0]?.rules.flatMap(({ rule }) => / --dport (\d+) -j RETURN/.exec(rule)?.[1] ?? []);
  assert.deepEqual(ports, ["4001", "4006", "15000", "15001", "15006", "15020", "15021"]);
});

test("outbound: a port or a range includes, an exclusion comes first, each family has its own ranges", () => {
  const flags: Partial<InterceptionFlags> = {
    excludeInterfaces: ["eth9"],
    excludeOutboundPorts: [22],
    excludeOutboundIpRanges: ranges("10.1.0.0/16,fd01::/16"),
    includeOutboundPorts: [443],
    includeOutboundIpRanges: ranges("10.0.0.0/8,fd00::/8"),
  };
  assert.deepEqual(chain("OUTPUT", flags).slice(SELF.length), [
    "-o eth9 -j RETURN",
    NO_DNS,
    "-p tcp -m tcp --dport 22 -j RETURN",
    "-d 10.1.0.0/16 -j RETURN",
    "-p tcp -m tcp --dport 443 -j OUTRIGGER_REDIRECT",
    "-d 10.0.0.0/8 -p tcp -j OUTRIGGER_REDIRECT",
  ]);
  assert.deepEqual(chain("OUTPUT", flags, 6).slice(-4), [
    "-d fd01::/16 -j RETURN",
    "-d fe80::/10 -j RETURN",
    "-p tcp -m tcp --dport 443 -j OUTRIGGER_REDIRECT",
    "-d fd00::/8 -p tcp -j OUTRIGGER_REDIRECT",
  ]);
});

test("DNS over TCP is intercepted only where its port is asked for", () => {
  assert.ok(!chain("OUTPUT", { includeOutboundPorts: [53] }).includes(NO_DNS));
});

test("inbound: port and source include together, an exclusion comes first", () => {
  const flags: Partial<InterceptionFlags> = {
    excludeInboundPorts: [22],
    excludeInboundIpRanges: ranges("192.0.2.1"),
    includeInboundPorts: [80, 81],
    includeInboundIpRanges: ranges("10.0.0.0/8"),
  };
  assert.deepEqual(chain("INBOUND", flags), [
    "-p tcp -m tcp --dport 22 -j RETURN",
    "-s 192.0.2.1/32 -j RETURN",
    "-s 10.0.0.0/8 -p tcp -m tcp --dport 80 -j OUTRIGGER_IN_REDIRECT",
    "-s 10.0.0.0/8 -p tcp -m tcp --dport 81 -j OUTRIGGER_IN_REDIRECT",
  ]);
  assert.deepEqual(chain("INBOUND", flags, 6), ["-p tcp -m tcp --dport 22 -j RETURN"]);
  assert.deepEqual(chain("INBOUND", { includeInboundPorts: [] }), []);
});

test("with TPROXY inbound connections are judged once, in the table that translates nothing", () => {
  const flags = { inboundMode: "tproxy" } as const;
  assert.deepEqual(chain("INBOUND", flags, 4, "mangle"), ["-p tcp -j CONNMARK --set-xmark 0x3a9e/0xffffffff"]);
  assert.deepEqual(chain("IN_TPROXY", flags, 6, "mangle"), [
    "-p tcp -j TPROXY --on-port 15006 --on-ip :: --tproxy-mark 0x3a9e/0xffffffff",
  ]);
  const jumps = rulesFor(interceptionOf({ ...FLAGS, ...flags }), 4).flatMap((table) =>
    table.jumps.map(({ from }) => `${table.name} ${from}`),
  );
  assert.deepEqual(jumps, ["nat OUTPUT", "mangle PREROUTING", "mangle PREROUTING", "mangle OUTPUT"]);
});
