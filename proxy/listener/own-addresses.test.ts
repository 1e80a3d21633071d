import assert from "node:assert/strict";
import type { NetworkInterfaceInfo } from "node:os";
import { test } from "node:test";
import { SimulatedClock } from "../../core/clock.ts";
import { OwnAddresses } from "./own-addresses.ts";

test("addresses are asked for now and then, not for every connection", () => {
  const clock = new SimulatedClock();
  let asked = 0;
  let addresses = ["10.77.0.2", "fd77::2"];
  const own = new OwnAddresses(clock, () => {
    asked++;
    return { eth0: addresses.map((address) => ({ address }) as NetworkInterfaceInfo) };
  });
  assert.deepEqual(
    ["10.77.0.2", "fd77::2", "10.77.0.3"].map((address) => own.has(address)),
    [true, true, false],
  );
  assert.equal(asked, 1);
  addresses = ["10.77.0.3"];
  assert.equal(own.has("10.77.0.3"), false);
  clock.advance(3000);
  assert.deepEqual([own.has("10.77.0.3"), own.has("10.77.0.2"), asked], [true, false, 2]);
});

test("loopback addresses are always one's own", () => {
  const own = new OwnAddresses(new SimulatedClock(), () => ({}));
  assert.deepEqual(
    ["127.0.0.6", "::1", "::6"].map((address) => own.has(address)),
    [true, true, false],
  );
});
