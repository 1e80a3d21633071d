/** What holds for a call when no policy says otherwise: gentle, and never a second try of what may have been seen. */
import { UNSEEN_FAILURES } from "../manifest/resilience-policy.ts";
import type { CallPolicy, TrafficPolicy } from "./state.ts";

export const DEFAULT_TRAFFIC: TrafficPolicy = {
  connectMs: 1000,
  // Opens only on a dependency that is plainly down; a policy asks for a sharper one.
  breaker: { errorPercent: 80, minimumCalls: 50, windowMs: 10_000, openForMs: 5000 },
  limits: { connections: 1024, pending: 1024, requests: 1024 },
  retryBudget: { percent: 20, minimum: 10 },
  outlier: { consecutiveErrors: 10, openForMs: 10_000, maxEjectedPercent: 50 },
  balancing: "LeastRequest",
  multiplex: true,
  mode: "enforce",
  source: "",
};

/** For the whole answer to a call that is no stream. gRPC calls may be streams: only their callers know how long. */
export const DEFAULT_REQUEST_MS = 15_000;

export const DEFAULT_CALL: CallPolicy = {
  requestMs: null,
  perTryMs: 0,
  idleMs: null,
  retry: {
    on: UNSEEN_FAILURES,
    statusCodes: [],
    attempts: 2,
    backoff: { baseMs: 25, maxMs: 250 },
    nonIdempotent: false,
  },
};

/** Of a connection whose bytes are not looked into: Envoy's, as long as a pool of an application keeps one. */
export const DEFAULT_OPAQUE_IDLE_MS = 3_600_000;
