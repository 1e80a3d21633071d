import assert from "node:assert/strict";
import { test } from "node:test";
import { nameServers, withNameServer } from "./resolv-conf.ts";

const MACHINE =
  "# made by somebody\nnameserver 10.0.0.53\nsearch corp.example\n; old\nnameserver fe80::1%eth0\noptions ndots:2\n";

test("the machine's name servers are those it names, else itself", () => {
  assert.deepEqual(nameServers(MACHINE), ["10.0.0.53", "fe80::1%eth0"]);
  assert.deepEqual(nameServers("search x\n#nameserver 10.0.0.1\n"), ["127.0.0.1"]);
});

test("the program's file has one name server and the machine's search domains and options", () => {
  assert.equal(withNameServer(MACHINE, "127.0.0.53"), "search corp.example\noptions ndots:2\nnameserver 127.0.0.53\n");
  assert.equal(withNameServer("", "127.0.0.53"), "nameserver 127.0.0.53\n");
});
