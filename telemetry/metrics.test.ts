import assert from "node:assert/strict";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import fc from "fast-check";
import prom from "prom-client";
import { SimulatedClock } from "../core/clock.ts";
import { DURATION_BUCKETS, exposition, MetricsRegistry, mergeFamilies, quantile } from "./metrics.ts";

/** Lines of a scrape without the empty ones, which prom-client puts between metrics. */
const lines = (text: string): string[] => text.split("\n").filter((line) => line !== "");

/** Lines of the families in question, without those that every registry has. */
const ownLines = (text: string): string[] => lines(text).filter((line) => !line.includes("outrigger_metrics_overflow"));

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

const anyLabel = fc.oneof(fc.constantFrom("a", 'say "hi"', "back\\slash", "new\nline", ""), fc.string());

test("histograms give the same text as prom-client's", async () => {
  const value = fc.oneof(fc.double({ min: 0, max: 40, noNaN: true }), fc.constantFrom(...DURATION_BUCKETS));
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(anyLabel, value), { minLength: 1, maxLength: 60 }), async (observations) => {
      const registers = [new prom.Registry()];
      const options = { name: "h", help: "A help", labelNames: ["l"], buckets: [...DURATION_BUCKETS], registers };
      const theirs = new prom.Histogram(options);
      const registry = new MetricsRegistry(new SimulatedClock());
      const ours = registry.histogram({ name: "h", help: "A help", labels: ["l"] });
      for (const [label, seconds] of observations) {
        theirs.labels(label).observe(seconds);
        ours.cell(label).observe(seconds);
      }
      assert.deepEqual(ownLines(registry.text()), lines(await registers[0]!.metrics()));
    }),
    { numRuns: 50 },
  );
});

test("counters and gauges give the same text as prom-client's", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(anyLabel, anyLabel, fc.nat()), { minLength: 1 }), async (changes) => {
      const theirRegistry = new prom.Registry();
      const registers = [theirRegistry];
      const labelNames = ["one", "two"];
      const theirCounter = new prom.Counter({ name: "c", help: "Back\\slash\nand newline", labelNames, registers });
      const theirGauge = new prom.Gauge({ name: "g", help: "g", labelNames, registers });
      const registry = new MetricsRegistry(new SimulatedClock());
      const counter = registry.counter({ name: "c", help: "Back\\slash\nand newline", labels: labelNames });
      const gauge = registry.gauge({ name: "g", help: "g", labels: labelNames });
      for (const [one, two, n] of changes) {
        theirCounter.labels(one, two).inc(n);
        counter.cell(one, two).inc(n);
        theirGauge.labels(one, two).set(n / 3);
        gauge.cell(one, two).set(n / 3);
      }
      assert.deepEqual(ownLines(registry.text()), lines(await theirRegistry.metrics()));
    }),
    { numRuns: 50 },
  );
});

test("what is not finite leaves a histogram as it was", () => {
  const cell = new MetricsRegistry(new SimulatedClock()).histogram({ name: "h", help: "h" }).cell();
  for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) cell.observe(value);
  assert.equal(cell.count, 0);
  assert.equal(cell.sum, 0);
});

test("past the cap, one series takes all and the overflow is counted", () => {
  const registry = new MetricsRegistry(new SimulatedClock());
  const family = registry.counter({ name: "c", help: "c", labels: ["peer", "code"], maxSeries: 3 });
  for (let i = 0; i < 10; i++) family.cell(`peer-${i}`, "200").inc();
  assert.equal(family.size, 4);
  const text = registry.text();
  assert.match(text, /^c\{peer="peer-2",code="200"\} 1$/m);
  assert.match(text, /^c\{peer="other",code="other"\} 7$/m);
  assert.match(text, /^outrigger_metrics_overflow_total\{metric="c"\} 7$/m);
});

test("the cap holds for figures read at scrape as well", () => {
  const registry = new MetricsRegistry(new SimulatedClock());
  registry.sampled({ name: "s", help: "s", type: "gauge", labels: ["cluster"], maxSeries: 2 }, (emit) => {
    for (let i = 0; i < 5; i++) emit(i, `c${i}`);
  });
  assert.deepEqual(ownLines(registry.text()).slice(2), [
    's{cluster="c0"} 0',
    's{cluster="c1"} 1',
    's{cluster="other"} 9',
  ]);
});

test("a series that does not change is hidden, and comes back with its count when it does", () => {
  const clock = new SimulatedClock();
  const registry = new MetricsRegistry(clock);
  const family = registry.counter({ name: "c", help: "c", labels: ["peer"], expireAfterMs: 60_000 });
  const gone = family.cell("gone");
  const busy = family.cell("busy");
  gone.inc(5);
  registry.text();
  clock.advance(59_000);
  busy.inc();
  assert.match(registry.text(), /peer="gone"/);
  clock.advance(2_000);
  const text = registry.text();
  assert.doesNotMatch(text, /peer="gone"/);
  assert.match(text, /peer="busy"/);
  gone.inc();
  assert.match(registry.text(), /^c\{peer="gone"\} 6$/m);
});

test("looking up a hidden series gives the same cell", () => {
  const clock = new SimulatedClock();
  const registry = new MetricsRegistry(clock);
  const family = registry.counter({ name: "c", help: "c", labels: ["peer"], expireAfterMs: 1_000 });
  const cell = family.cell("p");
  registry.text();
  clock.advance(1_000);
  assert.doesNotMatch(registry.text(), /peer="p"/);
  assert.equal(family.cell("p"), cell);
  assert.match(registry.text(), /peer="p"/);
});

test("a hidden series that nobody holds is forgotten", async () => {
  const clock = new SimulatedClock();
  const registry = new MetricsRegistry(clock);
  const family = registry.counter({ name: "c", help: "c", labels: ["peer"], expireAfterMs: 1_000 });
  const held = family.cell("held");
  for (let i = 0; i < 100; i++) family.cell(`peer-${i}`).inc();
  registry.text();
  clock.advance(1_000);
  registry.text();
  assert.equal(family.size, 101);
  // A weak reference holds on until the job in which it was made or read has ended.
  await new Promise((resolve) => setImmediate(resolve));
  collectGarbage();
  registry.text();
  assert.equal(family.size, 1);
  held.inc();
  assert.match(registry.text(), /^c\{peer="held"\} 1$/m);
});

test("a gauge that stands above zero is not hidden", () => {
  const clock = new SimulatedClock();
  const registry = new MetricsRegistry(clock);
  const family = registry.gauge({ name: "g", help: "g", labels: ["peer"], expireAfterMs: 1_000 });
  family.cell("open").set(3);
  family.cell("idle").set(0);
  registry.text();
  clock.advance(1_000);
  const text = registry.text();
  assert.match(text, /peer="open"/);
  assert.doesNotMatch(text, /peer="idle"/);
});

test("a name cannot be registered twice", () => {
  const registry = new MetricsRegistry(new SimulatedClock());
  registry.counter({ name: "c", help: "c" });
  assert.throws(() => registry.gauge({ name: "c", help: "c" }), /registered twice/);
});

test("merging the figures of workers gives those of one that did everything", () => {
  const change = fc.record({ worker: fc.nat(2), label: fc.constantFrom("a", "b", "c"), value: fc.nat(40) });
  fc.assert(
    fc.property(fc.array(change), (changes) => {
      const make = () => {
        const registry = new MetricsRegistry(new SimulatedClock());
        const counter = registry.counter({ name: "c", help: "c", labels: ["l"] });
        const histogram = registry.histogram({ name: "h", help: "h", labels: ["l"] }, [1, 10, 20]);
        return { registry, counter, histogram };
      };
      const whole = make();
      const workers = [make(), make(), make()];
      for (const { worker, label, value } of changes) {
        for (const target of [whole, workers[worker]!]) {
          target.counter.cell(label).inc(value);
          target.histogram.cell(label).observe(value);
        }
      }
      const merged = mergeFamilies(workers.map((w) => structuredClone(w.registry.collect())));
      assert.deepEqual(lines([...exposition(merged)].join("")).sort(), lines(whole.registry.text()).sort());
    }),
  );
});

test("the text comes in pieces that add up", () => {
  const registry = new MetricsRegistry(new SimulatedClock());
  const family = registry.histogram({ name: "h", help: "h", labels: ["route"] });
  for (let i = 0; i < 1000; i++) family.cell(`route-${i}`).observe(i / 100);
  const pieces = [...registry.pieces()];
  assert.ok(pieces.length > 1);
  assert.ok(pieces.every((piece) => piece.endsWith("\n") && piece.length < 300_000));
  assert.equal(lines(pieces.join("")).length, 2 + 1000 * (DURATION_BUCKETS.length + 3));
});

test("quantiles are interpolated inside their bucket", () => {
  const bounds = [1, 2, 4];
  assert.equal(quantile(bounds, [0, 10, 0, 0], 0.5), 1.5);
  assert.equal(quantile(bounds, [10, 0, 10, 0], 0.75), 3);
  assert.equal(quantile(bounds, [0, 0, 0, 5], 0.99), 4);
  assert.equal(quantile(bounds, [0, 0, 0, 0], 0.5), Number.NaN);
});
