import assert from "node:assert/strict";
import { test } from "node:test";
import { ids, interceptionOf, interfaces, port, ports, ranges, somePorts, someRanges } from "./settings.ts";
import { FLAGS } from "./testing/flags.ts";

test("lists are read as the annotations are written", () => {
  assert.deepEqual(ports("80, 8080"), [80, 8080]);
  assert.deepEqual(ports(""), []);
  assert.equal(somePorts("*"), "all");
  assert.deepEqual(somePorts(""), []);
  assert.deepEqual(ids("0,1337"), [0, 1337]);
  assert.deepEqual(interfaces("eth1,docker+"), ["eth1", "docker+"]);
  assert.equal(someRanges(" * "), "all");
  assert.deepEqual(ranges("10.0.0.0/8,192.0.2.1,FD00:0::/8"), [
    { family: 4, text: "10.0.0.0/8" },
    { family: 4, text: "192.0.2.1/32" },
    { family: 6, text: "fd00::/8" },
  ]);
});

test("what is wrong is named, and nothing that is no value gets into a rule", () => {
  const wrong: readonly (readonly [(text: string) => unknown, string, RegExp])[] = [
    [port, "0", /"0" is no port \(1 to 65535\)/],
    [ports, "80,65536", /"65536" is no port/],
    [ports, "80,,90", /"" is no port/],
    [ports, "80 -j ACCEPT", /is no port/],
    [ids, "root", /"root" is no numeric id/],
    [ranges, "10.0.0.0/33", /"33" of "10.0.0.0\/33" is no prefix length/],
    [ranges, "10.0.0/8", /is no address range/],
    [ranges, "fe80::1%eth0", /is no address range/],
    [ranges, "10.0.0.0/8/8", /is no address range/],
    [ranges, "*", /is no address range/],
    [interfaces, "-j", /"-j" is no name of a network interface/],
    [interfaces, "a-name-that-is-too-long", /is no name/],
    [interfaces, "eth0 -j ACCEPT", /is no name/],
  ];
  for (const [parse, text, message] of wrong) assert.throws(() => parse(text), message, text);
});

test("the sidecar is user and group 1337 where nobody is named, else only who is", () => {
  const owners = (more: object): unknown => {
    const { proxyUids, proxyGids } = interceptionOf({ ...FLAGS, ...more });
    return [proxyUids, proxyGids];
  };
  assert.deepEqual(owners({}), [[1337], [1337]]);
  assert.deepEqual(owners({ proxyUid: [5] }), [[5], []]);
  assert.deepEqual(owners({ proxyGid: [6] }), [[], [6]]);
  assert.throws(() => owners({ proxyUid: [] }), { message: /name nobody/, exitCode: 2 });
  assert.throws(() => owners({ outboundPort: 15006 }), { message: /both 15006/, exitCode: 2 });
});
