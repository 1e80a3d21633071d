import assert from "node:assert/strict";
import type { NetworkInterfaceInfo } from "node:os";
import { test } from "node:test";
import { UserError } from "../../core/errors.ts";
import { loadSocketOptions } from "../../proxy/listener/socket-options.ts";
import { addresses } from "../sidecar-command.ts";
import { firstAddresses, interceptedSurroundings } from "./intercepted.ts";

const FLAGS = {
  controlPlane: "",
  service: "",
  port: 1,
  namespace: "",
  label: [],
  drainTimeS: 1,
  concurrency: 1,
  logLevel: "off",
  probe: [],
  appHealth: [],
  address: [],
  interception: "redirect",
} as const;

function card(address: string, internal = false): NetworkInterfaceInfo {
  const base = { address, netmask: "", mac: "", internal, cidr: null };
  return address.includes(":") ? { ...base, family: "IPv6", scopeid: 0 } : { ...base, family: "IPv4" };
}

test("peers are told the first address of each family that is neither loopback nor link-local, IPv4 before IPv6", () => {
  const lo = [card("127.0.0.1", true), card("::1", true)];
  assert.deepEqual(firstAddresses({ lo }), []);
  const eth0 = [card("fe80::1"), card("fd00::2"), card("fd00::3"), card("10.0.0.2"), card("10.0.0.3")];
  assert.deepEqual(firstAddresses({ lo, eth0 }), ["10.0.0.2", "fd00::2"]);
  assert.deepEqual(firstAddresses({ lo, eth0: [card("fe80::1")], eth1: [card("2001:db8::2")] }), ["2001:db8::2"]);
  assert.deepEqual(firstAddresses({ lo, eth0: [card("fe80::1"), card("10.0.0.2")] }), ["10.0.0.2"]);
});

test("addresses are given one by one or with commas, in any form", () => {
  assert.deepEqual(addresses("10.0.0.2,FD00:0::2", []), ["10.0.0.2", "fd00::2"]);
  assert.deepEqual(addresses("fd00::2", ["10.0.0.2", "fd00::2"]), ["10.0.0.2", "fd00::2"]);
  for (const wrong of ["", "10.0.0.2,", "10.0.0.2:80", "a"]) {
    assert.throws(() => addresses(wrong, []), /an IP address is needed/, wrong);
  }
});

test("interception is refused where there is no Linux", async () => {
  await assert.rejects(interceptedSurroundings(FLAGS, null, false, "darwin"), (error) => {
    assert.ok(error instanceof UserError);
    assert.equal(error.message, "--interception is for Linux: this is darwin");
    return true;
  });
});

test("addresses that are not this machine's are told peers all the same", async (t) => {
  if (process.platform !== "linux") return t.skip("interception is for Linux");
  if ((await loadSocketOptions()) === null) return t.skip("koffi is not installed");
  const flags = { ...FLAGS, address: ["192.0.2.77", "2001:db8::77"] };
  const { address, addresses, interception } = await interceptedSurroundings(flags, null, false);
  assert.equal(address, "192.0.2.77");
  assert.deepEqual(addresses, ["2001:db8::77"]);
  assert.equal(interception?.inbound, "redirect");
});
