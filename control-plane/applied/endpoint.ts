/**
 * `/applied?object=HTTPRoute/shop/orders` of the status port: whether the sidecars of this control plane have an object as
 * it is now, or, with `wait`, once they have.
 */
import { type Clock, sleep } from "../../core/clock.ts";
import type { AppliedQuery, AppliedReport } from "./report.ts";

export interface AppliedAnswer {
  /** HTTP's. */
  readonly status: number;
  readonly body: AppliedReport | { readonly error: string };
}

const MAX_WAIT_SECONDS = 60;
/** How often it is looked at again, ms: sidecars take a few to accept something. */
const LOOK_MS = 100;
/**
 * Who waits wants to use it: a sidecar acknowledges what it has checked, and uses it, or asks for more that it takes, a
 * moment later, ms.
 */
const SETTLE_MS = 200;

/**
 * Parameters: `object` (`KIND/NAMESPACE/NAME`), `generation` (at least this one), `revision` (this one), `wait` (s: the
 * answer comes when the object has been applied for a moment, and no later). 400: the question makes no sense.
 */
export async function answerApplied(
  parameters: URLSearchParams,
  report: (query: AppliedQuery) => AppliedReport,
  clock: Clock,
  /** Whoever has asked does not listen any longer. */
  isGone: () => boolean = () => false,
): Promise<AppliedAnswer> {
  const read = readQuery(parameters);
  if ("error" in read) return { status: 400, body: read };
  const until = clock.now() + read.waitSeconds * 1000;
  let appliedSince: number | null = null;
  for (;;) {
    const body = report(read.query);
    const now = clock.now();
    appliedSince = body.state === "applied" ? (appliedSince ?? now) : null;
    const settled = appliedSince !== null && now - appliedSince >= SETTLE_MS;
    if (settled || now >= until || isGone()) return { status: 200, body };
    await sleep(clock, Math.min(LOOK_MS, until - now));
  }
}

function readQuery(
  parameters: URLSearchParams,
): { readonly query: AppliedQuery; readonly waitSeconds: number } | { readonly error: string } {
  const object = parameters.get("object") ?? "";
  if (!/^[A-Za-z]+\/[^/]+\/[^/]+$/.test(object)) return { error: "object=KIND/NAMESPACE/NAME is needed" };
  const generation = parameters.get("generation");
  if (generation !== null && !/^\d{1,15}$/.test(generation)) return { error: "generation is a whole number" };
  const wait = parameters.get("wait") ?? "0";
  if (!/^\d{1,6}(\.\d+)?$/.test(wait)) return { error: "wait is a number of seconds" };
  return {
    query: {
      object,
      generation: generation === null ? null : Number(generation),
      revision: parameters.get("revision"),
    },
    waitSeconds: Math.min(MAX_WAIT_SECONDS, Number(wait)),
  };
}
