/** `outrigger demo`: traffic without end, faults in turn, and a table of what the sidecars measure meanwhile. */
import { systemClock } from "../../core/clock.ts";
import { ACTS } from "./acts.ts";
import { CertificateWatch } from "./certificates.ts";
import { type Edge, edgesOf, since } from "./edges.ts";
import type { DemoMesh } from "./mesh.ts";
import { duration } from "./report.ts";
import { scrape } from "./scrape.ts";
import type { Screen } from "./screen.ts";
import { certificateTable, edgeTable } from "./table.ts";
import { callSteadily, openCallers, warmUp } from "./traffic.ts";
import { sleep } from "./wait.ts";

const REFRESH_MS = 1000;
/** Rates and quantiles are of so many refreshes. */
const WINDOW = 5;
const IMPATIENT_MS = 2000;

interface Measured {
  readonly at: number;
  readonly edges: ReadonlyMap<string, Edge>;
}

/** Shows the mesh until `stopped` says true. */
export async function showMesh(mesh: DemoMesh, screen: Screen, stopped: () => boolean): Promise<void> {
  const callers = openCallers(mesh, IMPATIENT_MS);
  await warmUp(callers);
  const certificates = new CertificateWatch(mesh);
  const traffic = [
    callSteadily(callers.page, 20, { keep: false }),
    callSteadily(callers.stock, 40, { keep: false }),
    callSteadily(callers.price, 40, { keep: false }),
  ];
  let now = "";
  const acting = playActs(mesh, stopped, (text) => {
    now = text;
  });
  const history: Measured[] = [await measure(mesh)];
  while (!stopped()) {
    await sleep(REFRESH_MS);
    const latest = await measure(mesh);
    const first = history[0] ?? latest;
    const edges = [...latest.edges].map(([key, edge]) => since(edge, first.edges.get(key)));
    const rows = mesh.names.map((workload) => ({
      workload,
      ageMs: certificates.age(workload),
      rotations: certificates.rotations(workload),
    }));
    if (!stopped()) {
      screen.show([
        `Outrigger demo: the last ${duration(latest.at - first.at)}. Ctrl-C ends it.`,
        `Now: ${now}`,
        "",
        ...edgeTable(edges, latest.at - first.at),
        "",
        ...certificateTable(rows),
      ]);
    }
    history.push(latest);
    if (history.length > WINDOW) history.shift();
  }
  await Promise.all([...traffic.map((stream) => stream.stop()), acting, certificates.stop()]);
  callers.close();
}

async function measure(mesh: DemoMesh): Promise<Measured> {
  const at = systemClock.now();
  const answers = await Promise.allSettled(Object.values(mesh.workloads).map(scrape));
  return { at, edges: edgesOf(answers.flatMap((answer) => (answer.status === "fulfilled" ? [answer.value] : []))) };
}

async function playActs(mesh: DemoMesh, stopped: () => boolean, tell: (text: string) => void): Promise<void> {
  for (let i = 0; !stopped(); i++) {
    const act = ACTS[i % ACTS.length];
    if (act === undefined) return;
    tell(act.title);
    try {
      await act.begin(mesh);
      for (let waited = 0; waited < act.ms && !stopped(); waited += 100) await sleep(100);
      if (!stopped()) await act.end(mesh);
    } catch (error) {
      tell(`${act.title}: ${error instanceof Error ? error.message : String(error)}`);
      await sleep(REFRESH_MS);
    }
  }
}
