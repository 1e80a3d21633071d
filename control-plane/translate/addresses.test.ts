import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Loopback } from "../mesh/workload.ts";
import { allocateSlots, slotAddress, slotCount } from "./addresses.ts";

const names = fc.uniqueArray(
  fc.tuple(fc.nat(500), fc.nat(65_535)).map(([service, port]) => `outbound|${port}||s${service}.default`),
  { maxLength: 200 },
);

test("each name has a slot of its own, whatever the order in which they are given", () => {
  fc.assert(
    fc.property(names, fc.integer({ min: 200, max: 70_000 }), (keys, slots) => {
      const allocated = allocateSlots(keys, slots);
      assert.equal(new Set(allocated.values()).size, keys.length);
      for (const slot of allocated.values()) assert.ok(slot >= 0 && slot < slots);
      assert.deepEqual(allocateSlots([...keys].reverse(), slots), allocated);
    }),
  );
});

test("a thousand services keep their addresses when others come and go", () => {
  const slots = slotCount({ kind: "subnet", base: "127.10.0.0", prefixLength: 16 });
  const all = Array.from({ length: 1000 }, (_, i) => `outbound|80||service-${i}.default`);
  const before = allocateSlots(all, slots);
  let moved = 0;
  for (let i = 0; i < 100; i++) {
    const after = allocateSlots(
      all.filter((_, index) => index !== i * 10),
      slots,
    );
    for (const [name, slot] of after) if (before.get(name) !== slot) moved++;
  }
  // Two of a thousand names collide in 65,000 slots about once in a hundred: nearly nothing moves.
  assert.ok(moved <= 5, `${moved} moves in a hundred removals`);
});

test("where there is no room, the last names go without and the others do not suffer", () => {
  const allocated = allocateSlots(["a", "b", "c", "d"], 2);
  assert.deepEqual([...allocated.keys()], ["a", "b"]);
});

test("addresses lie in the sidecar's own range and are never its own, the network's or the broadcast address", () => {
  const range = fc.record({ prefixLength: fc.integer({ min: 8, max: 24 }), second: fc.nat(255) });
  fc.assert(
    fc.property(range, fc.double({ min: 0, max: 0.999999, noNaN: true }), ({ prefixLength, second }, share) => {
      const base = prefixLength < 16 ? "127.0.0.0" : `127.${second}.0.0`;
      const loopback: Loopback = { kind: "subnet", base, prefixLength };
      const slot = Math.floor(share * slotCount(loopback));
      const address = slotAddress(loopback, slot, 15_001);
      assert.ok(address.kind === "tcp" && address.port === 15_001);
      const octets = address.host.split(".").map(Number);
      assert.ok(
        [0, 1, 255].every((reserved) => octets[3] !== reserved),
        address.host,
      );
      const bits = (host: string): string =>
        host
          .split(".")
          .map((octet) => Number(octet).toString(2).padStart(8, "0"))
          .join("")
          .slice(0, prefixLength);
      assert.equal(bits(address.host), bits(base));
    }),
  );
});

test("different slots are different addresses", () => {
  for (const loopback of [
    { kind: "subnet", base: "127.10.20.0", prefixLength: 24 },
    { kind: "subnet", base: "127.10.20.0", prefixLength: 23 },
    { kind: "single", host: "127.0.0.1", firstPort: 64_000 },
  ] as const) {
    const count = slotCount(loopback);
    const all = Array.from({ length: count }, (_, slot) => JSON.stringify(slotAddress(loopback, slot, 15_001)));
    assert.equal(new Set(all).size, count);
  }
});
