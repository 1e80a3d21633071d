import assert from "node:assert/strict";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
import { systemClock } from "./clock.ts";
import { createSharedMemory, SharedState } from "./shared-state.ts";

test("a clone of the memory is the same memory, for each table", () => {
  const memory = createSharedMemory(2, 4);
  const [a, b] = [new SharedState(memory, 0), new SharedState(structuredClone(memory), 1)];
  assert.deepEqual([a.threads, b.threads], [2, 2]);
  for (const name of ["counts", "breakers", "detectors", "hosts"] as const) {
    assert.equal(a.table(name).acquire("orders"), b.table(name).acquire("orders"));
    assert.equal(b.table(name).size, 1);
  }
  b.releaseThread(0);
  a.releaseThread(1);
  for (const name of ["counts", "breakers", "detectors", "hosts"] as const) assert.equal(a.table(name).size, 0);
});

test("every thread has the same time, though each one's clock begins when it does", async () => {
  const memory = createSharedMemory(2, 4);
  const state = new SharedState(memory, 0);
  await new Promise<void>((resolve) => systemClock.after(50, resolve));
  const source = `
    import { parentPort, workerData } from "node:worker_threads";
    const { SharedState } = await import(${JSON.stringify(new URL("./shared-state.ts", import.meta.url).href)});
    parentPort.postMessage([new SharedState(workerData, 1).time(performance.now()), performance.now()]);
  `;
  const before = state.time(systemClock.now());
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`), { workerData: memory });
  const [there, own] = await new Promise<[number, number]>((resolve, reject) => {
    worker.once("message", resolve);
    worker.once("error", reject);
  });
  const after = state.time(systemClock.now());
  // Far more than a shift is off by, far less than clocks that begin with their threads are apart.
  assert.ok(before - 5 <= there && there <= after + 5, `${before} ${there} ${after}`);
  assert.ok(own < systemClock.now(), "by its own clock it is younger");
});
