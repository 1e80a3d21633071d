import assert from "node:assert/strict";
import { test } from "node:test";
import { workload } from "../testing/workloads.ts";
import { type Peer, refusal } from "./authorize.ts";

const stock = workload("stock");
const refusalOf = (peer: Peer): string | null => refusal(peer, stock, "cluster.local");

test("plaintext is for this machine", () => {
  const plain = (address: string): Peer => ({ address, secure: false, uris: [] });
  for (const address of [
    "127.0.0.1:4000",
    "127.9.8.7:1",
    "[::1]:5",
    "::1:5",
    "[::ffff:127.0.0.1]:5",
    "::ffff:127.0.0.1:5",
  ]) {
    assert.equal(refusalOf(plain(address)), null, address);
  }
  for (const address of ["10.0.0.1:4000", "128.0.0.1:1", "[fd00::1]:5", "[::ffff:10.0.0.1]:5", "unknown", ""]) {
    assert.match(refusalOf(plain(address)) ?? "", /this machine only/, address);
  }
});

test("over TLS one of the certificate's names must be the workload's identity", () => {
  const own = "spiffe://cluster.local/ns/default/sa/stock";
  const secure = (...uris: string[]): Peer => ({ address: "10.0.0.1:1", secure: true, uris });
  assert.equal(refusalOf(secure(own)), null);
  assert.match(refusalOf(secure()) ?? "", /client certificate of this mesh is required/);
  for (const other of [`${own}x`, own.replace("default", "prod"), own.replace("cluster.local", "evil"), "https://x"]) {
    assert.match(refusalOf(secure(other)) ?? "", /claims to be/, other);
  }
});
