import { test } from "node:test";
import fc from "fast-check";
import { listenerCodec } from "./listener.ts";
import { listener } from "./testing/arbitrary-listener.ts";
import { assertRoundTrip } from "./testing/round-trip.ts";

test("a listener survives the way to bytes and back", () => {
  fc.assert(
    fc.property(listener, (value) => assertRoundTrip(listenerCodec, value)),
    { numRuns: 60 },
  );
});
