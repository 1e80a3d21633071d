import assert from "node:assert/strict";
import { test } from "node:test";
import { establishedTo } from "./verify.ts";

test("only established connections to the port count, and each once", () => {
  const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:4CF6 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 101 1 0 100 0 0 10 0
   1: 0100007F:9C40 0100007F:4CF6 01 00000000:00000000 00:00000000 00000000     0        0 102 1 0 20 4 30 10 -1
   2: 0100007F:4CF6 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 103 1 0 20 4 30 10 -1
   3: 0100007F:9C42 0100007F:4CF6 06 00000000:00000000 00:00000000 00000000     0        0 0 3 0
`;
  assert.equal(establishedTo(table, 0x4cf6), 1);
  assert.equal(establishedTo(table, 19_702), 1);
  assert.equal(establishedTo(table, 80), 0);
});
