/**
 * Root rotation by time. Each step follows from what the authority has on disk, so a control plane that was restarted
 * in the middle goes on where it stopped.
 */
import type { Clock, Timer } from "../core/clock.ts";
import type { CertificateAuthority } from "./ca.ts";

export interface RootRotationPolicy {
  /** A new root is added when the signing one has signed for this long, ms. */
  readonly rotateAfterMs: number;
  /** How long a new root is in the bundle before it signs, ms: time for every sidecar to receive the bundle. */
  readonly distributeMs: number;
  /** How long the old root stays after the new one signs, ms; at least the longest leaf lifetime. */
  readonly retireAfterMs: number;
}

export type RotationStep = "added" | "activated" | "retired";

/** Takes the step that is due, if any. `nextInMs` tells when to look again. */
export function advanceRotation(
  ca: CertificateAuthority,
  policy: RootRotationPolicy,
  wallTime: number,
): { readonly step: RotationStep | null; readonly nextInMs: number } {
  const roots = ca.roots();
  const active = roots.find((root) => root.active);
  if (!active) throw new Error("the CA has no signing root");
  const since = active.activatedAt ?? active.addedAt;
  const waiting = roots.find((root) => root.activatedAt === null);
  const old = roots.find((root) => !root.active && root.activatedAt !== null);
  const due = (at: number): number => at - wallTime;
  if (old) {
    const wait = due(since + policy.retireAfterMs);
    if (wait > 0) return { step: null, nextInMs: wait };
    ca.retireRoot(old.id);
    return { step: "retired", nextInMs: 0 };
  }
  if (waiting) {
    const wait = due(waiting.addedAt + policy.distributeMs);
    if (wait > 0) return { step: null, nextInMs: wait };
    ca.activateRoot(waiting.id);
    return { step: "activated", nextInMs: policy.retireAfterMs };
  }
  const wait = due(since + policy.rotateAfterMs);
  if (wait > 0) return { step: null, nextInMs: wait };
  ca.addRoot();
  return { step: "added", nextInMs: policy.distributeMs };
}

/** Wall clocks jump: never sleep past this without looking. */
const LONGEST_SLEEP_MS = 60_000;

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
