/** Whatever happens in a cluster and between it and the source, the mesh comes out as from a fresh list. */
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import fc from "fast-check";
import type { Mesh } from "../mesh/mesh.ts";
import { ApiError, type JsonObject } from "./api.ts";
import { closeAll, type Fixture, follow } from "./testing/follow.ts";
import { httpRoute, node, pod, resiliencePolicy, service, serviceRef, slice } from "./testing/objects.ts";

afterEach(closeAll);

type Step = (fixture: Fixture) => void | Promise<void>;

const NAMES = ["a", "b", "c"] as const;
const name = fc.constantFrom(...NAMES);
const addressOf = (of: string): string => `10.0.0.${of.charCodeAt(0)}`;

function bornAt(object: JsonObject, creationTimestamp: string): JsonObject {
  return { ...object, metadata: { ...(object["metadata"] as JsonObject), creationTimestamp } };
}

function sliceOf(of: string, which: string, pods: readonly string[], ready: boolean): JsonObject {
  const entries = pods.map((one) => ({ pod: `${one}-1`, address: addressOf(one), ready }));
  return slice(`slice-${which}`, of, entries);
}

const born = fc.constantFrom("2026-01-01T00:00:00Z", "2026-01-03T00:00:00Z");
const which = fc.constantFrom("x", "y");

/** What happens in the cluster. */
const events = fc.oneof(
  fc.tuple(name, born).map(
    ([of, time]): Step =>
      ({ api }) =>
        api.put("Service", bornAt(service(of), time)),
  ),
  name.map(
    (of): Step =>
      ({ api }) =>
        api.delete("Service", `shop/${of}`),
  ),
  fc.tuple(name, which, fc.subarray([...NAMES]), fc.boolean()).map(
    ([of, one, pods, ready]): Step =>
      ({ api }) =>
        api.put("EndpointSlice", sliceOf(of, one, pods, ready)),
  ),
  which.map(
    (one): Step =>
      ({ api }) =>
        api.delete("EndpointSlice", `shop/slice-${one}`),
  ),
  fc.tuple(name, fc.boolean()).map(
    ([of, mesh]): Step =>
      ({ api }) =>
        api.put("Pod", pod(`${of}-1`, addressOf(of), mesh)),
  ),
  name.map(
    (of): Step =>
      ({ api }) =>
        api.delete("Pod", `shop/${of}-1`),
  ),
  fc.constantFrom("zone-a", "zone-b").map(
    (zone): Step =>
      ({ api }) =>
        api.put("Node", node("node-1", zone)),
  ),
  fc.tuple(name, name, name).map(
    ([route, parent, backend]): Step =>
      ({ api }) =>
        api.put("HTTPRoute", httpRoute(route, serviceRef(parent), serviceRef(backend))),
  ),
  name.map(
    (of): Step =>
      ({ api }) =>
        api.delete("HTTPRoute", `shop/${of}`),
  ),
  fc.tuple(name, name).map(
    ([policy, target]): Step =>
      ({ api }) =>
        api.put("ResiliencePolicy", resiliencePolicy(policy, target, { timeouts: { request: "1s" } })),
  ),
  name.map(
    (of): Step =>
      ({ api }) =>
        api.put("AccessPolicy", { metadata: { namespace: "shop", name: of }, spec: { targetRefs: [], rules: 3 } }),
  ),
);

/** What goes wrong between the cluster and the source. */
const faults = fc.oneof(
  fc.constant<Step>(({ api }) => api.endWatches()),
  fc.constant<Step>(({ api }) => api.endWatches(new Error("reset"))),
  fc.constant<Step>(({ api }) => api.compact()),
  fc.constant<Step>(({ api }) => void (api.cut = () => "end")),
  fc.constant<Step>(({ api }) => api.bookmark("Pod")),
  fc.constantFrom(0, 410, 429, 500, 503).map(
    (status): Step =>
      ({ api }) =>
        void (api.fault = () => new ApiError(status, "", "fault")),
  ),
  fc.constant<Step>(({ api }) => void (api.fault = () => null)),
);

/** Things happen while nothing can be read, and nobody can tell them later. */
const outage = fc.array(events, { minLength: 1, maxLength: 4 }).map(
  (missed): Step =>
    async (fixture) => {
      const { api, clock } = fixture;
      api.fault = () => new Error("unreachable");
      api.endWatches(new Error("reset"));
      await clock.run(5);
      for (const event of missed) await event(fixture);
      api.compact();
      api.fault = () => null;
    },
);

const steps: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: events },
  { weight: 2, arbitrary: faults },
  { weight: 1, arbitrary: outage },
  {
    weight: 4,
    arbitrary: fc.nat({ max: 60 }).map(
      (ms): Step =>
        ({ clock }) =>
          clock.run(ms, 5),
    ),
  },
);

test("any sequence of events, cuts and lists ends in the state of a fresh list", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(steps, { minLength: 1, maxLength: 30 }), async (sequence) => {
      const fixture = follow();
      for (const of of NAMES) {
        fixture.api.put("Service", service(of));
        fixture.api.put("Pod", pod(`${of}-1`, addressOf(of), true));
        fixture.api.put("EndpointSlice", sliceOf(of, of === "a" ? "x" : "y", [...NAMES], true));
      }
      try {
        for (const step of sequence) await step(fixture);
        fixture.api.fault = () => null;
        fixture.api.cut = () => null;
        await fixture.clock.run(70_000, 1000);
        await fixture.clock.run(100, 10);
        const fresh = follow(fixture.api);
        await fresh.clock.run(200, 10);
        const [followed, listed] = [fixture.contents.at(-1)?.manifests, fresh.contents.at(-1)?.manifests];
        assert.ok(followed && listed);
        assert.deepEqual(new Map(followed.objects), new Map(listed.objects));
        const ordered = (objects: typeof listed.objects) =>
          [...objects.values()].flatMap(({ key, kind }) => (kind === "EndpointSlice" ? [] : [key]));
        assert.deepEqual(ordered(followed.objects), ordered(listed.objects));
        assert.deepEqual(
          followed.rejections.map(({ key }) => key).sort(),
          listed.rejections.map(({ key }) => key).sort(),
        );
        const sorted = ({ findings, ...state }: Mesh["state"]) => ({
          ...state,
          findings: findings.map((finding) => JSON.stringify(finding)).sort(),
        });
        assert.deepEqual(sorted(fixture.mesh.state), sorted(fresh.mesh.state));
      } finally {
        await closeAll();
      }
    }),
    { numRuns: 150 },
  );
});
