import assert from "node:assert/strict";
import { test } from "node:test";
import {
  create,
  type DescMessage,
  type MessageInitShape,
  type MessageShape,
  type UnknownField,
} from "@bufbuild/protobuf";
import { formatProblem } from "../core/errors.ts";
import { Cluster_LbPolicy, ClusterSchema } from "../generated/envoy/config/cluster/v3/cluster_pb.js";
import { ClusterLoadAssignmentSchema } from "../generated/envoy/config/endpoint/v3/endpoint_pb.js";
import { reportUnknown } from "./check.ts";
import { Place } from "./place.ts";
import { NO_WORLD } from "./testing/round-trip.ts";

const unknown = (no: number): UnknownField[] => [{ no, wireType: 0, data: new Uint8Array([1]) }];

function check<D extends DescMessage>(schema: D, message: MessageShape<D>): { problems: string[]; notes: string[] } {
  const at = Place.root(NO_WORLD);
  reportUnknown(schema, message, at);
  const { problems, notes } = at.findings;
  return { problems: problems.map(formatProblem), notes: notes.map(formatProblem) };
}

function assignment(init: MessageInitShape<typeof ClusterLoadAssignmentSchema>) {
  return create(ClusterLoadAssignmentSchema, init);
}

test("a field outside the subset is called by Envoy's name, a field of nobody by its number", () => {
  const message = create(ClusterSchema);
  message.$unknown = [...unknown(8), ...unknown(9999)];
  assert.deepEqual(check(ClusterSchema, message).problems, [
    "health_checks is not supported",
    "unknown field #9999 of envoy.config.cluster.v3.Cluster",
  ]);
});

test("unknown fields are found at every depth: in lists, maps and oneofs", () => {
  const message = assignment({
    endpoints: [{}, { lbEndpoints: [{ hostIdentifier: { case: "endpoint", value: { address: {} } } }] }],
  });
  const endpoint = message.endpoints[1]?.lbEndpoints[0]?.hostIdentifier.value;
  assert.ok(endpoint?.address);
  endpoint.address.$unknown = unknown(77);
  assert.deepEqual(check(ClusterLoadAssignmentSchema, message).problems, [
    "endpoints[1].lb_endpoints[0].endpoint.address: unknown field #77 of envoy.config.core.v3.Address",
  ]);
});

test("an enum value without a name is an error", () => {
  const message = create(ClusterSchema, { lbPolicy: 42 as Cluster_LbPolicy });
  assert.deepEqual(check(ClusterSchema, message).problems, [
    "lb_policy: unknown value 42 of enum envoy.config.cluster.v3.Cluster.LbPolicy",
  ]);
  assert.deepEqual(check(ClusterSchema, create(ClusterSchema, { lbPolicy: Cluster_LbPolicy.MAGLEV })).problems, []);
});

test("a harmless field is noted, and what is in it is not looked at", () => {
  const message = create(ClusterSchema, { altStatName: "x", preconnectPolicy: {} });
  assert.ok(message.preconnectPolicy);
  message.preconnectPolicy.$unknown = unknown(5);
  const { problems, notes } = check(ClusterSchema, message);
  assert.deepEqual(problems, []);
  assert.deepEqual(notes, [
    "alt_stat_name: ignored: metrics are labelled with the cluster's name",
    "preconnect_policy: ignored: connections are opened when they are needed",
  ]);
});

test("what is not set is not noted", () => {
  assert.deepEqual(check(ClusterSchema, create(ClusterSchema, { name: "a" })), { problems: [], notes: [] });
});
