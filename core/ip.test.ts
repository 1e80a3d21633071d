import assert from "node:assert/strict";
import { isIP } from "node:net";
import { test } from "node:test";
import fc from "fast-check";
import { compileCidr, formatIp, isLoopback, parseIp } from "./ip.ts";

test("addresses are written in one form", () => {
  const cases: Readonly<Record<string, string>> = {
    "1.2.3.4": "1.2.3.4",
    "255.255.0.1": "255.255.0.1",
    "::": "::",
    "::1": "::1",
    "2001:DB8:0::1": "2001:db8::1",
    "2001:db8:0:0:1:0:0:1": "2001:db8::1:0:0:1",
    "1:0:0:2:0:0:0:3": "1:0:0:2::3",
    "1:2:3:4:5:6:7:0": "1:2:3:4:5:6:7:0",
    "::ffff:1.2.3.4": "::ffff:1.2.3.4",
    "::ffff:102:304": "::ffff:1.2.3.4",
    "fe80::1%eth0": "fe80::1",
    "64:ff9b::1.2.3.4": "64:ff9b::102:304",
  };
  for (const [text, expected] of Object.entries(cases)) {
    const ip = parseIp(text);
    assert.ok(ip, text);
    assert.equal(formatIp(ip), expected);
  }
});

test("what is no address is none", () => {
  const wrong = [
    "",
    "1.2.3",
    "1.2.3.4.5",
    "1.2.3.256",
    "01.2.3.4",
    "1.2.3.4:80",
    "[::1]",
    ":",
    ":::",
    "1::2::3",
    "12345::",
  ];
  for (const text of [...wrong, "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7::8", "::1.2.3", "g::", "bogus"]) {
    assert.equal(parseIp(text), null, text);
  }
});

test("what Node takes for an address is one, and only that", () => {
  const text = fc.oneof(
    fc.ipV4(),
    fc.ipV6(),
    fc.string(),
    fc
      .array(fc.constantFrom(":", "::", ".", "0", "1", "ffff", "255"), { maxLength: 12 })
      .map((parts) => parts.join("")),
  );
  fc.assert(
    fc.property(text, (given) => {
      assert.equal(parseIp(given) !== null, isIP(given) !== 0);
    }),
    { numRuns: 2000 },
  );
});

test("writing and reading again gives the same address", () => {
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (text) => {
      const ip = parseIp(text);
      assert.ok(ip);
      assert.deepEqual(parseIp(formatIp(ip)), ip);
    }),
  );
});

test("ranges hold their addresses and no others", () => {
  const inside = (range: string, prefixLength: number, address: string): boolean => {
    const ip = parseIp(address);
    assert.ok(ip);
    return compileCidr({ address: range, prefixLength })(ip);
  };
  assert.equal(inside("10.0.0.0", 8, "10.255.1.2"), true);
  assert.equal(inside("10.0.0.0", 8, "11.0.0.0"), false);
  assert.equal(inside("10.1.2.3", 32, "10.1.2.3"), true);
  assert.equal(inside("10.1.2.3", 32, "10.1.2.2"), false);
  assert.equal(inside("0.0.0.0", 0, "255.1.2.3"), true);
  assert.equal(inside("172.16.0.0", 12, "172.31.255.255"), true);
  assert.equal(inside("172.16.0.0", 12, "172.32.0.0"), false);
  assert.equal(inside("2001:db8::", 33, "2001:db8:7fff::1"), true);
  assert.equal(inside("2001:db8::", 33, "2001:db8:8000::1"), false);
  assert.equal(inside("::", 0, "1.2.3.4"), false);
  assert.equal(inside("bogus", 0, "1.2.3.4"), false);
});

test("loopback is told from the rest", () => {
  for (const text of ["127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1"]) assert.equal(isLoopback(text), true, text);
  for (const text of ["10.0.0.1", "::2", "1.127.0.0"]) assert.equal(isLoopback(text), false, text);
});
