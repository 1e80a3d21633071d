import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { formatProblem } from "../../core/errors.ts";
import type { JsonValue } from "../../model/bootstrap.ts";
import { metadataOf, workload } from "../testing/workloads.ts";
import { parseWorkload } from "./metadata.ts";

test("what a sidecar writes is what is read", () => {
  for (const given of [
    workload("stock"),
    workload("stock", 2, { labels: { version: "v2" }, appAddress: "::1", httpProxyPort: 15002 }),
    workload("stock", 3, { loopback: { kind: "single", host: "127.0.0.1", firstPort: 20_000 } }),
  ]) {
    assert.deepEqual(parseWorkload(given.id, metadataOf(given)), { ok: true, workload: given });
  }
});

test("what is not given has its default", () => {
  const parsed = parseWorkload("n", {
    OUTRIGGER: { service: "a", appPort: 80, address: "127.5.1.1", loopback: { kind: "subnet", base: "127.5.9.1/16" } },
  });
  assert.ok(parsed.ok);
  assert.deepEqual(parsed.workload, {
    id: "n",
    service: "a",
    namespace: "default",
    serviceAccount: "default",
    trustDomain: "cluster.local",
    appPort: 80,
    appAddress: "127.0.0.1",
    pod: null,
    namedPorts: {},
    address: "127.5.1.1",
    addresses: [],
    inboundPort: 15006,
    outboundPort: 15001,
    httpProxyPort: 15001,
    loopback: { kind: "subnet", base: "127.5.0.0", prefixLength: 16 },
    interception: null,
    probes: [],
    labels: {},
  });
});

test("a sidecar with interception has no addresses of its own", () => {
  const parse = (interception: JsonValue, probes: JsonValue = []) =>
    parseWorkload("n", { OUTRIGGER: { service: "a", appPort: 80, address: "10.0.0.1", interception, probes } });
  const parsed = parse({ inbound: "tproxy" }, [{ port: 80, path: "/healthz" }]);
  assert.ok(parsed.ok);
  assert.deepEqual(parsed.workload.loopback, null);
  assert.deepEqual(parsed.workload.interception, { inbound: "tproxy", networkNamespace: "", ipv6: true });
  assert.deepEqual(parsed.workload.probes, [{ port: 80, path: "/healthz" }]);
  const inside = parse({ inbound: "none", networkNamespace: "/proc/7/ns/net" });
  assert.ok(inside.ok);
  assert.equal(inside.workload.interception?.networkNamespace, "/proc/7/ns/net");
  const ipv4 = parse({ inbound: "redirect", ipv6: false });
  assert.ok(ipv4.ok);
  assert.equal(ipv4.workload.interception?.ipv6, false);
  const wrong = parse({ inbound: "nat" }, [{ port: 0, path: "/" }, { port: 1, path: "/a?b" }, 7]);
  assert.ok(!wrong.ok);
  assert.deepEqual(wrong.problems.map(formatProblem).sort(), [
    'node.metadata.OUTRIGGER.interception.inbound: "nat" is neither "redirect", "tproxy" nor "none"',
    "node.metadata.OUTRIGGER.loopback: is required without interception: where the sidecar binds the listeners of the mesh's services",
    "node.metadata.OUTRIGGER.probes[0].port: 0 is not a port",
    'node.metadata.OUTRIGGER.probes[1].path: "/a?b" is not a path',
    "node.metadata.OUTRIGGER.probes[2].port: null is not a port",
  ]);
});

test("further addresses are for who has intercepted peers", () => {
  const parse = (addresses: JsonValue, inbound: string | null = "redirect") => {
    const interception = inbound === null ? null : { inbound };
    const loopback = { kind: "subnet", base: "127.5.0.0/16" };
    const given = { service: "a", appPort: 80, address: "10.0.0.1", addresses, interception, loopback };
    const parsed = parseWorkload("n", { OUTRIGGER: given });
    return parsed.ok ? parsed.workload.addresses : parsed.problems.map(formatProblem);
  };
  assert.deepEqual(parse(["FD77:0::3", "10.0.0.2"]), ["fd77::3", "10.0.0.2"]);
  assert.deepEqual(parse([], null), []);
  assert.deepEqual(parse(["fd77::3"], "tproxy"), ["fd77::3"]);
  const where = "node.metadata.OUTRIGGER.addresses";
  const nowhere = [`${where}: is only for sidecars to which rules lead their peers (interception.inbound)`];
  assert.deepEqual(parse(["fd77::3"], "none"), nowhere);
  assert.deepEqual(parse(["fd77::3"], null), nowhere);
  assert.deepEqual(parse("fd77::3"), [`${where}: is not a list`]);
  assert.deepEqual(parse(["10.0.0.1", "fd77::3", "fd77:0::3", "a", 7]), [
    `${where}[0]: 10.0.0.1 comes twice`,
    `${where}[2]: fd77::3 comes twice`,
    `${where}[3]: "a" is not an IP address`,
    `${where}[4]: 7 is not an IP address`,
  ]);
});

test("all that is wrong is said, each with its path", () => {
  const parsed = parseWorkload("", {
    OUTRIGGER: { service: "A", appPort: 0, loopback: { kind: "subnet", base: "127.0.0.0/30" }, labels: { a: 1 } },
  });
  assert.ok(!parsed.ok);
  assert.deepEqual(parsed.problems.map(formatProblem).sort(), [
    "node.id: is required",
    "node.metadata.OUTRIGGER.address: is required",
    "node.metadata.OUTRIGGER.appPort: 0 is not a port",
    "node.metadata.OUTRIGGER.labels.a: is not a string",
    'node.metadata.OUTRIGGER.loopback.base: "127.0.0.0/30" is not an IPv4 network between /8 and /24, as in 127.77.0.0/16',
    'node.metadata.OUTRIGGER.service: "A" is not valid',
  ]);
});

test("no metadata makes the reader throw", () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.jsonValue(), (own, loopback) => {
      parseWorkload("n", { OUTRIGGER: own as JsonValue });
      parseWorkload("n", { OUTRIGGER: { service: "a", loopback: loopback as JsonValue } });
    }),
  );
});
