/**
 * Root rotation by time. Each step follows from what is kept of the authority, so a control plane that was restarted
 * in the middle, or another one that leads from now on, goes on where it stopped.
 */
import type { Clock, Timer } from "../core/clock.ts";
import type { CertificateAuthority, RootChange, RootInfo } from "./ca.ts";

export interface RootRotationPolicy {
  /** A new root is added when the signing one has signed for this long, ms; Infinity: only when asked for. */
  readonly rotateAfterMs: number;
  /** How long a new root is in the bundle before it signs, ms: time for every sidecar to receive the bundle. */
  readonly distributeMs: number;
  /** How long the old root stays after the new one signs, ms; at least the longest leaf lifetime. */
  readonly retireAfterMs: number;
}

export type RotationStep = RootChange["step"];

/** The next step, whether or not it is due, and how long until it is, ms; Infinity: never by itself. */
export function nextStep(
  roots: readonly RootInfo[],
  policy: RootRotationPolicy,
  wallTime: number,
): { readonly change: RootChange; readonly dueInMs: number } {
  const active = roots.find((root) => root.active);
  if (!active) throw new Error("the CA has no signing root");
  const since = active.activatedAt ?? active.addedAt;
  const waiting = roots.find((root) => root.activatedAt === null);
  const old = roots.find((root) => !root.active && root.activatedAt !== null);
  if (old) return { change: { step: "retired", id: old.id }, dueInMs: since + policy.retireAfterMs - wallTime };
  if (waiting) {
    const dueInMs = waiting.addedAt + policy.distributeMs - wallTime;
    return { change: { step: "activated", id: waiting.id }, dueInMs };
  }
  return { change: { step: "added" }, dueInMs: since + policy.rotateAfterMs - wallTime };
}

/** Takes the step that is due, if any. `nextInMs` tells when to look again. */
export function advanceRotation(
  ca: CertificateAuthority,
  policy: RootRotationPolicy,
  wallTime: number,
): { readonly step: RotationStep | null; readonly nextInMs: number } {
  const { change, dueInMs } = nextStep(ca.roots(), policy, wallTime);
  if (dueInMs > 0) return { step: null, nextInMs: dueInMs };
  if (change.step === "added") {
    ca.addRoot();
    return { step: "added", nextInMs: policy.distributeMs };
  }
  if (change.step === "activated") {
    ca.activateRoot(change.id);
    return { step: "activated", nextInMs: policy.retireAfterMs };
  }
  ca.retireRoot(change.id);
  return { step: "retired", nextInMs: 0 };
}

/** Wall clocks jump: never sleep past this without looking. */
export const LONGEST_SLEEP_MS = 60_000;

/** Rotates for as long as the process lives; `onStep` hears of each step, `onError` of one that failed (tried again). */
export function startRootRotation(
  ca: CertificateAuthority,
  policy: RootRotationPolicy,
  clock: Clock,
  onStep: (step: RotationStep) => void,
  onError: (error: unknown) => void,
): { stop(): void } {
  let timer: Timer | null = null;
  const tick = (): void => {
    let nextInMs = LONGEST_SLEEP_MS;
    try {
      const { step, nextInMs: wait } = advanceRotation(ca, policy, clock.wallTime());
      if (step) onStep(step);
      nextInMs = wait;
    } catch (error) {
      onError(error);
    }
    timer = clock.after(Math.min(nextInMs, LONGEST_SLEEP_MS), tick);
  };
  tick();
  return { stop: () => timer?.cancel() };
}
