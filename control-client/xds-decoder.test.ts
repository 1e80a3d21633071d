import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { formatProblem, type Problem } from "../core/errors.ts";
import { EMPTY_SNAPSHOT } from "../model/snapshot.ts";
import { encodeResource, TYPE_URLS } from "../xds/resources.ts";
import { KINDS } from "./resources.ts";
import { edsCluster, endpointSet, rdsListener, routeTable, staticCluster } from "./testing/models.ts";
import { XdsDecoder } from "./xds-decoder.ts";

function decoder(notes: Problem[] = []): XdsDecoder {
  return new XdsDecoder({ readFile: () => new Uint8Array(), environment: {} }, (more) => notes.push(...more));
}

test("every kind comes back as it was sent, by its name", () => {
  const samples = [
    ["cluster", edsCluster("a", { discovery: { kind: "eds", serviceName: "x" } })],
    ["endpoint", endpointSet("a", 1)],
    ["listener", rdsListener("a", "r")],
    ["route", routeTable("a", "c")],
  ] as const;
  for (const [kind, value] of samples) {
    const decoded = decoder().decode(kind, encodeResource(kind, value));
    assert.ok(decoded.ok, kind);
    assert.equal(decoded.name, "a");
    assert.ok(Object.isFrozen(decoded.value));
  }
});

test("a refused resource still has its name", () => {
  const any = encodeResource("cluster", staticCluster("bad", endpointSet("bad", 1), { connectTimeoutMs: -1 }));
  const decoded = decoder().decode("cluster", any);
  assert.equal(decoded.ok, false);
  assert.equal(decoded.name, "bad");
});

test("no bytes make it throw", () => {
  fc.assert(
    fc.property(fc.constantFrom(...KINDS), fc.uint8Array({ maxLength: 60 }), (kind, value) => {
      const decoded = decoder().decode(kind, { typeUrl: TYPE_URLS[kind], value });
      assert.ok(decoded.ok || decoded.problems.length > 0);
    }),
  );
});

test("files: the JSON form, wrapped in a Resource or not, and every error with its path", () => {
  const json = {
    "@type": TYPE_URLS.cluster,
    name: "a",
    type: "STATIC",
    load_assignment: { cluster_name: "a", endpoints: [] },
  };
  const wrapped = { "@type": "type.googleapis.com/envoy.service.discovery.v3.Resource", name: "a", resource: json };
  for (const form of [json, wrapped]) {
    const decoded = decoder().decodeJson("cluster", form);
    assert.ok(decoded.ok);
    assert.equal(decoded.name, "a");
  }
  const bad = decoder().decodeJson("cluster", { ...json, lb_policy: "MAGIC", nonsense: 1 });
  assert.ok(!bad.ok);
  assert.equal(bad.name, "a");
  const lines = bad.problems.map(formatProblem);
  assert.ok(
    lines.some((line) => line.startsWith('cluster "a": lb_policy: ')),
    lines.join("\n"),
  );
  assert.ok(
    lines.some((line) => line.startsWith('cluster "a": nonsense: ')),
    lines.join("\n"),
  );
  assert.equal(decoder().decodeJson("route", json).ok, false);
  for (const other of [null, 1, [], "x", {}]) assert.equal(decoder().decodeJson("cluster", other).ok, false);
});

test("what equals a known resource becomes that very object", () => {
  const subject = decoder();
  const first = subject.decode("endpoint", encodeResource("endpoint", endpointSet("a", 1)));
  assert.ok(first.ok);
  subject.known = { ...EMPTY_SNAPSHOT, endpoints: new Map([["a", first.value]]) };
  const same = subject.decode("endpoint", encodeResource("endpoint", endpointSet("a", 1)));
  const other = subject.decode("endpoint", encodeResource("endpoint", endpointSet("a", 2)));
  assert.ok(same.ok && other.ok);
  assert.equal(same.value, first.value);
  assert.notEqual(other.value, first.value);
});
