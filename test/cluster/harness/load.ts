/** A steady load from one pod on another, and that not one request of it came to grief. */
import assert from "node:assert/strict";
import { application, fetchIn, onePod } from "./application.ts";
import { apply, rolledOut } from "./cluster.ts";
import { eventually } from "./eventually.ts";

interface Report {
  readonly sent: number;
  readonly answered: number;
  readonly failures: readonly string[];
}

export interface Load {
  /** Fails if any request since the beginning failed, or none were sent since the last look; says how many there were. */
  lossless(): Promise<string>;
}

const PER_SECOND = 50;

/** A pod `load` that calls `http://TARGET/` of its namespace without a pause. The target answers already. */
export async function steadyLoad(namespace: string, target: string): Promise<Load> {
  await apply(...application({ namespace, name: "load" }));
  await rolledOut(namespace, "load");
  const pod = await onePod(namespace, "load");
  const own = async (path: string) =>
    JSON.parse((await fetchIn(namespace, pod, `http://localhost:8080${path}`)).body) as Report;
  const url = `http://${target}/`;
  await eventually("the load's first answer", async () => (await fetchIn(namespace, pod, url)).status === 200);
  await own(`/load?perSecond=${PER_SECOND}&url=${encodeURIComponent(url)}`);
  let seen = 0;
  return {
    lossless: async () => {
      const report = await eventually("further requests", async () => {
        const now = await own("/report");
        return now.sent > seen + PER_SECOND ? now : null;
      });
      seen = report.sent;
      assert.deepEqual(report.failures, [], `of ${report.sent} requests`);
      return `${report.sent} requests, none lost`;
    },
  };
}
