import assert from "node:assert/strict";
import { test } from "node:test";
import type { Address } from "../../model/address.ts";
import { cluster } from "../../test/support/clusters.ts";
import { bindAddressFor } from "./bind-address.ts";

const at = (host: string): Address => ({ kind: "tcp", host, port: 0 });
const target = (host: string, source = "") => ({ address: at(host), source });

test("a cluster's one source address serves every endpoint; of several that of the endpoint's family", () => {
  assert.equal(bindAddressFor(cluster(), target("10.0.0.1")), null);
  const one = cluster({ bindAddress: at("127.0.0.6") });
  assert.deepEqual(bindAddressFor(one, target("10.0.0.1")), at("127.0.0.6"));
  assert.deepEqual(bindAddressFor(one, target("fd77::1")), at("127.0.0.6"));
  const both = cluster({ bindAddress: at("127.0.0.6"), extraBindAddresses: [at("127.0.0.7"), at("::6")] });
  assert.deepEqual(bindAddressFor(both, target("10.0.0.1")), at("127.0.0.6"));
  assert.deepEqual(bindAddressFor(both, target("fd77::1")), at("::6"));
  assert.deepEqual(bindAddressFor(both, { address: { kind: "pipe", path: "/x" }, source: "" }), at("127.0.0.6"));
});

test("a caller's address that is kept goes before, in the same network namespace", () => {
  const kept = { kind: "tcp", host: "10.9.9.9", port: 0, transparent: true };
  assert.deepEqual(bindAddressFor(cluster(), target("10.0.0.1", "10.9.9.9")), kept);
  const inside = cluster({ bindAddress: { kind: "tcp", host: "127.0.0.6", port: 0, networkNamespace: "/n" } });
  assert.deepEqual(bindAddressFor(inside, target("10.0.0.1", "10.9.9.9")), { ...kept, networkNamespace: "/n" });
});
