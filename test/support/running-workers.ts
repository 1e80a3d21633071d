/** A proxy with several data-plane threads, in the test's own process. */
import assert from "node:assert/strict";
import net from "node:net";
import type { TestContext } from "node:test";
import { processSource } from "../../cli/admin/process-source.ts";
import type { IdentityWatch } from "../../cli/data-plane-host.ts";
import { type ProxyProcess, startProxyProcess } from "../../cli/proxy-process.ts";
import type { Workers } from "../../cli/workers/workers.ts";
import { loadBootstrap, processDecodeOptions } from "../../control-client/bootstrap.ts";
import type { Problem } from "../../core/errors.ts";
import { nextValue } from "../../core/watch.ts";
import type { Snapshot } from "../../model/snapshot.ts";
import { registerClusterMetrics } from "../../telemetry/cluster-metrics.ts";
import type { Json } from "../../xds/testing/bootstrap-json.ts";
import { bootstrapOf, type ProxyConfig, snapshotOf } from "./running-proxy.ts";
import { connectTo, type Wire } from "./wire.ts";

export class RunningWorkers {
  readonly process: ProxyProcess;
  readonly source: ReturnType<typeof processSource>;

  constructor(process: ProxyProcess) {
    this.process = process;
    this.source = processSource(process, { options: {}, quit: () => undefined });
    registerClusterMetrics(process.registry, process.host.clusters);
  }

  get workers(): Workers {
    assert.ok(this.process.workers);
    return this.process.workers;
  }

  portOf(name = "main"): number {
    const listener = [...this.process.host.listeners].find(({ config }) => config.name === name);
    assert.ok(listener?.boundAddress, `listener "${name}" is not bound`);
    return listener.boundAddress.port;
  }

  get port(): number {
    return this.portOf();
  }

  connect(): Promise<Wire> {
    return connectTo(this.port);
  }

  apply(config: ProxyConfig | Snapshot): Promise<readonly Problem[]> {
    return this.process.host.apply("listeners" in config ? config : snapshotOf(bootstrapOf(config)));
  }

  /** All metrics as they are now, by series. */
  async metrics(): Promise<ReadonlyMap<string, number>> {
    await this.source.refresh();
    const text = [...(await this.source.metrics())].join("");
    const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
    return new Map(
      lines.map((line): [string, number] => {
        const space = line.lastIndexOf(" ");
        return [line.slice(0, space), Number(line.slice(space + 1))];
      }),
    );
  }

  /** Connections that each worker has accepted since it was started, once all together have accepted so many. */
  async accepted(total = 0): Promise<number[]> {
    for (;;) {
      await this.source.refresh();
      const counts = this.workers.views().map(({ connectionsAccepted }) => connectionsAccepted);
      if (counts.reduce((sum, count) => sum + count, 0) >= total) return counts;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  /** Ends a worker's thread from outside, as a fault would. */
  async kill(index: number): Promise<void> {
    await this.workers.slots[index]?.worker?.terminate();
  }

  /** Until a worker that was killed has been replaced, and the new one serves. */
  async restarted(index: number, times: number): Promise<void> {
    for (;;) {
      await this.source.refresh();
      const view = this.workers.views()[index];
      const listening = this.workers.slots[index]?.worker?.bound.size ?? 0;
      if (view?.up && view.restarts >= times && listening > 0) return;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}

export interface WorkersConfig {
  readonly concurrency?: number;
  readonly identity?: IdentityWatch;
  readonly drainMs?: number;
}

/** Starts it; resolves when it is ready. It is closed at the test's end. */
export async function startWorkers(
  t: TestContext,
  config: ProxyConfig | { readonly bootstrap: Json },
  { concurrency = 2, identity, drainMs = 2000 }: WorkersConfig = {},
): Promise<RunningWorkers> {
  const decode = processDecodeOptions();
  const bootstrap = "bootstrap" in config ? config.bootstrap : bootstrapOf(config);
  const options = {
    bootstrap: loadBootstrap({ configYaml: JSON.stringify(bootstrap), decode }).bootstrap,
    client: { decode },
    identity: identity ?? null,
    workload: "test",
    drainMs,
    fileFlushIntervalMs: 10,
  };
  const process = await startProxyProcess(options, concurrency);
  t.after(() => process.close());
  await nextValue(process.ready, (ready) => ready);
  assert.deepEqual(process.problems, []);
  return new RunningWorkers(process);
}

/** Processes start slowly on a machine that has much else to do. */
const START_PATIENCE_MS = 30_000;

/** Resolves when a condition that has to be asked for holds. */
export async function eventually(condition: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + START_PATIENCE_MS;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error("the condition did not come about in time");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Fails where anybody listens at a port: be it a descriptor that nobody accepts from. */
export async function assertFree(port: number): Promise<void> {
  const server = net.createServer();
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ port, host: "127.0.0.1", exclusive: true }, resolve);
  });
  await new Promise((resolve) => server.close(resolve));
}
