import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { objectsOf } from "../testing/workloads.ts";
import { buildState } from "./build.ts";
import { planAddresses } from "./service-addresses.ts";

const service = (key: string, ...clusterIps: readonly string[]) => ({ key, clusterIps });

test("the manifest's addresses are the service's, all of them; without any it has one of 240.240.0.0/16", () => {
  const { addresses, conflicts } = planAddresses([
    service("a/one", "10.0.0.1", "fd00::1"),
    service("a/auto", ""),
    service("a/headless", "None"),
  ]);
  assert.deepEqual(addresses.get("a/one"), ["10.0.0.1", "fd00::1"]);
  for (const key of ["a/auto", "a/headless"]) assert.match(String(addresses.get(key)), /^240\.240\.\d+\.\d+$/);
  assert.deepEqual(conflicts, []);
});

test("an address belongs to the older of two services, and the other one gets another", () => {
  const { addresses, conflicts } = planAddresses([service("z/old", "10.0.0.1"), service("a/new", "10.0.0.1")]);
  assert.deepEqual(addresses.get("z/old"), ["10.0.0.1"]);
  assert.match(String(addresses.get("a/new")), /^240\.240\./);
  assert.deepEqual(conflicts, [{ key: "a/new", address: "10.0.0.1", owner: "z/old" }]);
});

test("no two services have one address, whoever has which by manifest, in any order", () => {
  const given = fc.uniqueArray(
    fc.record({
      key: fc.integer({ min: 0, max: 5000 }).map((n) => `ns/s${n}`),
      clusterIps: fc.oneof(
        fc.constant([""]),
        fc.tuple(fc.nat(255), fc.nat(255)).map(([c, d]) => [`240.240.${c}.${d}`]),
        fc.nat(9).map((d) => [`10.0.0.${d}`]),
      ),
    }),
    { selector: ({ key }) => key, maxLength: 300 },
  );
  fc.assert(
    fc.property(given, (services) => {
      const { addresses } = planAddresses(services);
      const all = services.flatMap(({ key }) => addresses.get(key) ?? assert.fail(`${key} has none`));
      assert.equal(new Set(all).size, all.length);
    }),
  );
});

test("a service keeps its address when others come and go, unless it collides with one of them", () => {
  const names = Array.from({ length: 500 }, (_, i) => service(`ns/s${i}`, ""));
  const all = planAddresses(names).addresses;
  const fewer = planAddresses(names.slice(0, 250)).addresses;
  const moved = [...fewer].filter(([key, [address]]) => all.get(key)?.[0] !== address);
  assert.ok(moved.length <= 5, `${moved.length} of 250 moved`);
});

test("two Services with one clusterIP are a finding", () => {
  const yaml = (name: string) =>
    `---\napiVersion: v1\nkind: Service\nmetadata: { name: ${name} }\nspec: { clusterIP: 10.0.0.1, ports: [{ port: 1 }] }\n`;
  const objects = objectsOf(yaml("b") + yaml("a"));
  const { findings, services } = buildState({ trustDomain: "cluster.local", objects, registrations: [] });
  assert.equal(findings.length, 1);
  assert.match(findings[0]?.message ?? "", /^clusterIP 10\.0\.0\.1 is that of Service default\/b: .* at 240\.240\./);
  assert.deepEqual(services.get("default/b")?.definition.addresses, ["10.0.0.1"]);
});
