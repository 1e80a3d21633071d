import assert from "node:assert/strict";
import { test } from "node:test";
import { LISTENER } from "../../control-plane/translate/envoy-defaults.ts";
import type { Listener } from "../../model/listener.ts";
import { hostsFile } from "./hosts-file.ts";
import { serviceNames } from "./service-names.ts";

function listener(name: string, namespace: string, port: number, ...hosts: readonly string[]): Listener {
  const [first = "", ...more] = hosts.map((host) => ({ kind: "tcp", host, port }) as const);
  return {
    ...LISTENER,
    name: `${name}.${namespace}:${port}`,
    address: first || { kind: "pipe", path: "" },
    ...(more.length === 0 ? {} : { additionalAddresses: more }),
    bindToPort: false,
    trafficDirection: "outbound",
    filterChains: [],
    outrigger: { service: { name, namespace, port, portName: "" }, httpProxy: false, multiplex: false },
  };
}

const VIRTUAL: Listener = { ...listener("x", "y", 15_001, "127.0.0.1"), outrigger: null };

test("a service has its four names in its own namespace, three elsewhere, and all of its addresses", () => {
  const listeners = [
    listener("orders", "default", 80, "240.240.0.7"),
    listener("orders", "default", 9090, "240.240.0.7"),
    listener("db", "data", 5432, "240.240.0.9", "fd00::9"),
    VIRTUAL,
  ];
  assert.deepEqual(Object.fromEntries(serviceNames(listeners, "default")), {
    orders: ["240.240.0.7"],
    "orders.default": ["240.240.0.7"],
    "orders.default.svc": ["240.240.0.7"],
    "orders.default.svc.cluster.local": ["240.240.0.7"],
    "db.data": ["240.240.0.9", "fd00::9"],
    "db.data.svc": ["240.240.0.9", "fd00::9"],
    "db.data.svc.cluster.local": ["240.240.0.9", "fd00::9"],
  });
});

test("a service without an address of its own has no name", () => {
  assert.equal(serviceNames([listener("headless", "default", 80, "0.0.0.0")], "default").size, 0);
});

test("the machine's names stay, and those of services are the mesh's alone", () => {
  const machine = "# mine\n127.0.0.1 localhost\n10.0.0.5\tDB.example orders # old\n10.0.0.6 orders\n::1 localhost\n";
  const names = serviceNames([listener("orders", "default", 80, "240.240.0.7")], "default");
  assert.equal(
    hostsFile(machine, names),
    "# mine\n127.0.0.1 localhost\n10.0.0.5\tDB.example\n::1 localhost\n\n# services of the mesh\n" +
      "240.240.0.7\torders orders.default orders.default.svc orders.default.svc.cluster.local\n",
  );
});

test("without services the file is the machine's", () => {
  assert.equal(hostsFile("127.0.0.1 localhost\n", new Map()), "127.0.0.1 localhost\n\n# services of the mesh\n");
  assert.equal(hostsFile("", new Map()), "\n\n# services of the mesh\n");
});
