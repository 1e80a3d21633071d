/**
 * Preloaded (`--import`) into a proxy that a test has started: does to one worker of the data plane what no request
 * should be able to do, when the test says so.
 */
import { existsSync } from "node:fs";
import { BroadcastChannel, isMainThread, workerData } from "node:worker_threads";

export type Fault = {
  readonly worker: number;
  readonly fault: "block" | "throw" | "exhaust";
  /** It is busy as long as this file is not there. */
  readonly until?: string;
};

const channel = new BroadcastChannel("outrigger-test-faults");
channel.unref();

if (isMainThread) {
  process.on("message", (fault: Fault) => channel.postMessage(fault));
  process.channel?.unref();
} else {
  channel.onmessage = (event) => {
    const { worker, fault, until = "" } = (event as unknown as { data: Fault }).data;
    if ((workerData as { index?: number } | null)?.index !== worker) return;
    if (fault === "block") {
      while (!existsSync(until));
    } else if (fault === "throw") throw new Error("a fault that a test has made");
    else {
      const kept: object[] = [];
      for (;;) kept.push(Array.from({ length: 1000 }, (_, i) => ({ i })));
    }
  };
}
