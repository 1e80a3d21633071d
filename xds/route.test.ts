import { test } from "node:test";
import fc from "fast-check";
import { routeCodec } from "./route.ts";
import { routeTable } from "./testing/arbitrary-route.ts";
import { assertRoundTrip } from "./testing/round-trip.ts";

test("a route table survives the way to bytes and back", () => {
  fc.assert(
    fc.property(routeTable, (value) => assertRoundTrip(routeCodec, value)),
    { numRuns: 100 },
  );
});
