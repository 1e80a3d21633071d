/**
 * Rotation of the root in the CA's Secret, by the control plane that leads. Every step follows from what the Secret
 * says, and is written only upon the version that it followed from: whoever leads next goes on where this one stopped,
 * and of two that believe to lead one fails.
 */

import type { CertificateAuthority } from "../../certs/ca.ts";
import { LONGEST_SLEEP_MS, nextStep, type RootRotationPolicy } from "../../certs/root-rotation.ts";
import { backoffDelay } from "../../core/backoff.ts";
import type { Clock, Timer } from "../../core/clock.ts";
import { messageOf } from "../../core/errors.ts";
import type { Logger } from "../../core/log.ts";
import type { Random } from "../../core/random.ts";
import { ApiError } from "../kubernetes/api.ts";
import { type CaSecret, ROTATE_ANNOTATION, type SecretState } from "./ca-secret.ts";

export interface RotateRootsOptions {
  readonly secret: CaSecret;
  /** Is what the Secret says. */
  readonly ca: CertificateAuthority;
  readonly policy: RootRotationPolicy;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

const BACKOFF = { baseMs: 1000, maxMs: 60_000 };

/** Takes each step when it is due, or at once where the Secret's annotation asks for it. Returns the way to stop. */
export function rotateRoots({ secret, ca, policy, clock, random, log }: RotateRootsOptions): () => void {
  let stopped = false;
  let writing = false;
  let failures = 0;
  let timer: Timer | null = null;
  let told = "";

  const refuse = (): void => {
    const why = `the CA was brought: its roots are changed in the Secret, not by ${ROTATE_ANNOTATION} or --rotate-root-after`;
    if (told !== why) log.warn({}, why);
    told = why;
  };

  const look = (): void => {
    timer?.cancel();
    const state = secret.state.get();
    if (stopped || writing || state === undefined) return;
    if (ca.brought) {
      if (state.hurried || policy.rotateAfterMs !== Number.POSITIVE_INFINITY) refuse();
      return;
    }
    const { change, dueInMs } = nextStep(ca.roots(), policy, clock.wallTime());
    if (state.hurried || dueInMs <= 0) void take(state, change);
    else timer = clock.after(Math.min(dueInMs, LONGEST_SLEEP_MS), look);
  };

  const take = async (state: SecretState, change: ReturnType<typeof nextStep>["change"]): Promise<void> => {
    writing = true;
    let waitMs = LONGEST_SLEEP_MS;
    try {
      await secret.write(ca.changed(change), state);
      failures = 0;
      log.info({ ...change, hurried: state.hurried }, "root rotation");
    } catch (error) {
      waitMs = BACKOFF.baseMs / 2 + backoffDelay(BACKOFF, failures++, random);
      const conflict = error instanceof ApiError && error.status === 409;
      if (!conflict) log.error({ error: messageOf(error) }, "root rotation failed; it is tried again");
    }
    writing = false;
    // What was written comes back by the watch, and is the reason to look again.
    if (!stopped && secret.state.get() === state) timer = clock.after(waitMs, look);
    else look();
  };

  const stopFollowing = secret.state.subscribe(look);
  return () => {
    stopped = true;
    stopFollowing();
    timer?.cancel();
  };
}
