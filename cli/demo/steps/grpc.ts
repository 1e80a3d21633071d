/** Point 6: gRPC, whose calls share a connection: who answers them, what a retry and a deadline do, what is counted. */
import { PRICES_RETRIES } from "../manifests.ts";
import { duration, percent } from "../report.ts";
import { scrape, sum } from "../scrape.ts";
import { callMany } from "../traffic.ts";
import type { Step, StepContext } from "./step.ts";

const CALLS = 600;
const CONCURRENCY = 8;
const INSTANCES = ["prices-1", "prices-2", "prices-3"] as const;
/** A third each is to be expected; seven standard deviations of 600 draws below. */
const LEAST_SHARE = 0.2;

const FAIL_PERCENT = 30;
const FAILING_CALLS = 300;
/** Five standard deviations of 300 draws at 30 %. */
const TOLERANCE = 0.132;
/** Five attempts leave 0.24 %; six standard deviations above. */
const MOST_WITH_RETRIES = 0.02;

const DEADLINE_MS = 2000;

export const grpcStep: Step = {
  title: "6. gRPC: one connection, three instances of prices",
  async run(context) {
    const { report } = context;
    await balance(context);
    const before = await counted(context);
    const answers = await retries(context);
    await deadline(context);
    const after = await counted(context);
    const failures = after.unavailable - before.unavailable;
    report.check(
      failures === answers.unavailable && after.ok - before.ok === answers.ok,
      `the sidecar counted ${after.ok - before.ok} × OK and ${failures} × UNAVAILABLE of demo.Prices/Get`,
      "as many as the caller saw",
    );
  },
};

async function balance({ callers, report }: StepContext): Promise<void> {
  const direct = sharesOf(await callMany(callers.priceDirectly, CALLS, CONCURRENCY));
  const meshed = sharesOf(await callMany(callers.price, CALLS, CONCURRENCY));
  report.note(`${CALLS} calls on one connection without the mesh were answered by ${describe(direct)}`);
  report.check(
    INSTANCES.every((name) => (meshed.get(name) ?? 0) >= CALLS * LEAST_SHARE),
    `${CALLS} calls on one connection to a sidecar, each balanced by itself: ${describe(meshed)}`,
    `at least ${LEAST_SHARE * 100} % each`,
  );
}

interface Counted {
  readonly ok: number;
  readonly unavailable: number;
}

async function retries({ mesh, callers, report }: StepContext): Promise<Counted> {
  const cue = (failPercent: number): Promise<unknown> =>
    Promise.all(INSTANCES.map((name) => mesh.cue(name, { failPercent })));
  const total = { ok: 0, unavailable: 0 };
  const failures = async (): Promise<number> => {
    const results = await callMany(callers.price, FAILING_CALLS, CONCURRENCY);
    const unavailable = results.filter(({ status }) => status === "UNAVAILABLE").length;
    total.unavailable += unavailable;
    total.ok += results.filter(({ status }) => status === "OK").length;
    return unavailable;
  };
  await cue(FAIL_PERCENT);
  try {
    const without = await failures();
    report.check(
      Math.abs(without / FAILING_CALLS - FAIL_PERCENT / 100) <= TOLERANCE,
      `they fail ${FAIL_PERCENT} % of their calls: without retries ${without} of ${FAILING_CALLS} were UNAVAILABLE`,
      `${FAIL_PERCENT} % ± ${(TOLERANCE * 100).toFixed(0)}, five standard deviations`,
    );
    await mesh.controlPlane.apply("prices-retries", PRICES_RETRIES);
    const withRetries = await failures();
    report.check(
      withRetries / FAILING_CALLS <= MOST_WITH_RETRIES,
      `a ResiliencePolicy retries that status: ${withRetries} of ${FAILING_CALLS}, ${percent(withRetries, FAILING_CALLS)}`,
      `at most ${MOST_WITH_RETRIES * 100} %; 0.24 % is to be expected`,
    );
  } finally {
    await cue(0);
    await mesh.controlPlane.apply("prices-retries", null);
  }
  return total;
}

async function deadline({ callers, report }: StepContext): Promise<void> {
  const { price, status } = await callers.quote(DEADLINE_MS);
  const [first = 0, second = 0] = price?.leftMs ?? [];
  report.check(
    status === "OK" && first <= DEADLINE_MS && second < first && second > 0,
    `of a deadline of ${duration(DEADLINE_MS)} the first instance was told ${first} ms, the second ${second} ms`,
    "less from hop to hop",
  );
}

/** Calls by who answered them. */
function sharesOf(results: readonly { readonly price: { readonly instance: string } | null }[]): Map<string, number> {
  const shares = new Map<string, number>();
  for (const { price } of results) {
    const by = price?.instance ?? "nobody";
    shares.set(by, (shares.get(by) ?? 0) + 1);
  }
  return shares;
}

function describe(shares: ReadonlyMap<string, number>): string {
  return [...shares]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, calls]) => `${name} ${calls}`)
    .join(", ");
}

async function counted({ mesh }: StepContext): Promise<Counted> {
  const samples = await scrape(mesh.workloads.visitor);
  const of = (status: string): number =>
    sum(samples, "outrigger_grpc_calls_total", {
      direction: "outbound",
      service: "demo.Prices",
      method: "Get",
      status,
    });
  return { ok: of("OK"), unavailable: of("UNAVAILABLE") };
}
