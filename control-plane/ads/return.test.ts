/** A sidecar that was away for longer than its grace and comes back with all that it had: it has nothing to be sent. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { TestMesh } from "../testing/test-mesh.ts";
import { TestSidecar } from "../testing/test-sidecar.ts";
import { until } from "../testing/until.ts";
import { serviceYaml, workload } from "../testing/workloads.ts";

for (const variant of ["delta", "sotw"] as const) {
  test(`a sidecar that has its listeners already is called again (${variant})`, { timeout: 60_000 }, async (t) => {
    const mesh = new TestMesh();
    t.after(() => mesh.close());
    mesh.apply(serviceYaml("orders"));
    const address = await mesh.listen();
    const sidecar = new TestSidecar({ variant, workload: workload("shop") });
    t.after(() => sidecar.disconnect());
    const stage = () => mesh.registry.views().find(({ workload: { id } }) => id === "shop-1")?.stage;
    sidecar.connect(address);
    await until("serving", () => stage() === "serving");
    sidecar.disconnect();
    // On a busy machine the end of its connection comes too late to be told from a goodbye.
    await until("gone", () => stage() === "lost" || stage() === "departed");
    mesh.clock.advance(3001);
    assert.equal(stage(), "departed");
    sidecar.connect(address);
    await until("serving again", () => stage() === "serving");
  });
}
