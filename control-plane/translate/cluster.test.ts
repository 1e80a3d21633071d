import assert from "node:assert/strict";
import { test } from "node:test";
import { endpointSet } from "./cluster.ts";

test("an instance with several addresses is one endpoint, with one port", () => {
  const one = { host: "10.0.0.1", additionalHosts: ["fd77::1"], port: 8080, workload: "a-1", zone: "", mtls: true };
  const other = { ...one, host: "10.0.0.2", additionalHosts: [] };
  const [first, second, ...more] = endpointSet("a", [one, other]).localities.flatMap(({ endpoints }) => endpoints);
  assert.deepEqual(first?.address, { kind: "tcp", host: "10.0.0.1", port: 8080 });
  assert.deepEqual(first?.additionalAddresses, [{ kind: "tcp", host: "fd77::1", port: 8080 }]);
  assert.equal(second && "additionalAddresses" in second, false);
  assert.deepEqual(more, []);
});
