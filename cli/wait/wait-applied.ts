/** Asks all control planes again and again until all of their sidecars have an object, and says who has not. */
import type { AppliedReport } from "../../control-plane/applied/report.ts";
import { type Clock, sleep } from "../../core/clock.ts";
import { messageOf, UserError } from "../../core/errors.ts";
import type { ControlPlaneDoor, ControlPlanes } from "./control-planes.ts";
import { keyOf, type ObjectName } from "./object-name.ts";

export interface WaitOptions {
  readonly object: ObjectName;
  /** null: the one that the source of configuration has. */
  readonly generation: number | null;
  readonly revision: string | null;
  readonly timeoutMs: number;
  readonly controlPlanes: ControlPlanes;
  readonly clock: Clock;
}

interface Answer {
  readonly name: string;
  readonly report: AppliedReport | null;
  /** Why there is none. */
  readonly error: string;
}

/** How long a control plane holds an answer back, s: who refuses is known after it. */
const HOLD_SECONDS = 2;
/** After failures, ms. */
const AGAIN_MS = 500;
/** What it refers to may come a moment after it; what is wrong with it then stays wrong, ms. */
const REFUSED_MS = 5000;
/** An answer that does not come, beyond the time it may be held back, ms. */
const GRACE_MS = 5000;
const NAMED = 20;

/** Resolves with a sentence; rejects with a `UserError` that names who has not accepted it. */
export async function waitApplied(options: WaitOptions): Promise<string> {
  const { object, controlPlanes, clock, timeoutMs } = options;
  const until = clock.now() + timeoutMs;
  const within = <T>(ms: number, run: (signal: AbortSignal) => Promise<T>): Promise<T> => limited(clock, ms, run);
  const generation =
    options.generation ?? (await within(GRACE_MS, (signal) => controlPlanes.generation(object, signal)));
  const query = new URLSearchParams({ object: keyOf(object) });
  if (generation !== null) query.set("generation", String(generation));
  if (options.revision !== null) query.set("revision", options.revision);
  let refusedSince: number | null = null;
  for (;;) {
    const holdMs = Math.max(0, Math.min(HOLD_SECONDS * 1000, until - clock.now()));
    query.set("wait", String(holdMs / 1000));
    const answers = await ask(
      controlPlanes,
      (door) => within(holdMs + GRACE_MS, (signal) => door.ask(query, signal)),
      within,
    );
    const reports = answers.flatMap(({ report }) => report ?? []);
    if (reports.length === answers.length && reports.length > 0 && reports.every(({ state }) => state === "applied")) {
      return success(object, reports);
    }
    const now = clock.now();
    // By the control planes themselves: a sidecar may yet get what it accepts.
    const refused = reports.some(({ state, workloads }) => state === "refused" && workloads.length === 0);
    refusedSince = refused ? (refusedSince ?? now) : null;
    if (now >= until || (refusedSince !== null && now - refusedSince >= REFUSED_MS)) throw failure(object, answers);
    await sleep(clock, Math.min(AGAIN_MS, until - now));
  }
}

async function ask(
  controlPlanes: ControlPlanes,
  askOne: (door: ControlPlaneDoor) => Promise<AppliedReport>,
  within: <T>(ms: number, run: (signal: AbortSignal) => Promise<T>) => Promise<T>,
): Promise<readonly Answer[]> {
  let doors: readonly ControlPlaneDoor[];
  try {
    doors = await within(GRACE_MS, (signal) => controlPlanes.find(signal));
  } catch (error) {
    return [{ name: "the cluster", report: null, error: messageOf(error) }];
  }
  if (doors.length === 0) return [{ name: "the cluster", report: null, error: "no control plane runs there" }];
  return Promise.all(
    doors.map(async (door): Promise<Answer> => {
      try {
        return { name: door.name, report: await askOne(door), error: "" };
      } catch (error) {
        return { name: door.name, report: null, error: causeOf(error) };
      }
    }),
  );
}

function success({ kind, namespace, name }: ObjectName, reports: readonly AppliedReport[]): string {
  const [{ generation, revision } = { generation: null, revision: "" }] = reports;
  const sum = (of: "connected" | "concerned"): number => reports.reduce((all, { sidecars }) => all + sidecars[of], 0);
  const version = generation === null ? `revision ${revision}` : `generation ${generation}`;
  const where =
    sum("concerned") === 0
      ? `(it concerns none of the ${sum("connected")} sidecars that are connected)`
      : `at all ${sum("concerned")} sidecars that it concerns, of ${sum("connected")}`;
  return `${kind} ${namespace}/${name} (${version}) is in force ${where}`;
}

function failure({ kind, namespace, name }: ObjectName, answers: readonly Answer[]): UserError {
  const lines = answers.flatMap(({ name: at, report, error }): readonly string[] => {
    if (report === null) return [`control plane ${at} cannot be asked: ${error}`];
    if (report.state === "applied") return [];
    const waiting = report.workloads.filter(({ state }) => state !== "applied");
    const named = waiting.slice(0, NAMED).map(({ node, namespace: of, service, state, message }) => {
      return `${node} (${of}/${service}): ${state}${message === "" ? "" : `: ${message}`}`;
    });
    const more = waiting.length - named.length;
    return [`at control plane ${at}: ${report.message}`, ...named, ...(more > 0 ? [`and ${more} more`] : [])];
  });
  return new UserError([`${kind} ${namespace}/${name} is not in force everywhere`, ...lines].join("\n  "));
}

/** What `fetch` says is "fetch failed"; what went wrong is in its cause. */
function causeOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined;
  return cause === undefined ? messageOf(error) : messageOf(cause);
}

async function limited<T>(clock: Clock, ms: number, run: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const abort = new AbortController();
  const timer = clock.after(ms, () => abort.abort(new Error(`no answer within ${ms} ms`)));
  try {
    return await run(abort.signal);
  } finally {
    timer.cancel();
  }
}
