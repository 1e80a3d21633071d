import { test } from "node:test";
import fc from "fast-check";
import type { Bootstrap } from "../model/bootstrap.ts";
import type { TracingProvider } from "../model/http.ts";
import { bootstrapCodec } from "./bootstrap.ts";
import { cluster } from "./testing/arbitrary-cluster.ts";
import { listener } from "./testing/arbitrary-listener.ts";
import { durationMs, few, name, orNull, plainText, port } from "./testing/arbitrary-text.ts";
import { configSource, secret } from "./testing/arbitrary-tls.ts";
import { assertRoundTrip } from "./testing/round-trip.ts";

function byName<T extends { readonly name: string }>(item: fc.Arbitrary<T>): fc.Arbitrary<ReadonlyMap<string, T>> {
  return few(item).map((items) => new Map(items.map((value) => [value.name, value])));
}

const tracing: fc.Arbitrary<TracingProvider> = fc.record({
  serviceName: name,
  export: fc.oneof(
    fc.record({ protocol: fc.constant("grpc" as const), cluster: name, timeoutMs: durationMs }),
    fc.record({
      protocol: fc.constant("http" as const),
      uri: fc.constant("http://otel.example:4318/v1/traces"),
      cluster: name,
      timeoutMs: durationMs,
    }),
  ),
});

const ads = fc.record({
  variant: fc.constantFrom("state_of_the_world" as const, "delta" as const),
  clusters: few(name, 1),
  initialMetadata: few(fc.record({ key: name, value: plainText })),
});

const bootstrap: fc.Arbitrary<Bootstrap> = fc.record({
  node: fc.record({
    id: plainText,
    cluster: plainText,
    locality: fc.record({ region: plainText, zone: plainText, subZone: plainText }),
    metadata: fc.constantFrom({}, { a: ["x", 1, true, null, { b: {} }] }),
  }),
  admin: orNull(
    fc.record({ address: fc.record({ kind: fc.constant("tcp" as const), host: fc.constant("127.0.0.1"), port }) }),
  ),
  static: fc.record({
    revision: fc.constant(""),
    listeners: byName(listener),
    routes: fc.constant(new Map()),
    clusters: byName(cluster),
    endpoints: fc.constant(new Map()),
    secrets: byName(secret),
  }),
  dynamic: orNull(fc.record({ ads, listeners: orNull(configSource), clusters: orNull(configSource) })),
  tracing: orNull(tracing),
});

test("a bootstrap survives the way to bytes and back", () => {
  fc.assert(
    fc.property(bootstrap, (value) => assertRoundTrip(bootstrapCodec, value)),
    { numRuns: 40 },
  );
});
