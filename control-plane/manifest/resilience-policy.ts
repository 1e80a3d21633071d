/** `ResiliencePolicy`: timeouts, retries, breaker, limits, ejection and balancing for calls to what it targets. */
import { objectMeta } from "./object-meta.ts";
import { policyTargetRef } from "./references.ts";
import { duration, percent } from "./scalars.ts";
import {
  checked,
  list,
  number,
  object,
  oneOf,
  optional,
  required,
  string,
  type ValueOf,
  withDefault,
} from "./schema.ts";

/** Conditions that name a failure which the application cannot have seen: safe for every method. */
export const UNSEEN_FAILURES = ["connect-failure", "refused-stream", "reset-before-request"] as const;

/** Conditions that name a `grpc-status`: they speak of gRPC calls alone. */
export const GRPC_CONDITIONS = [
  "cancelled",
  "deadline-exceeded",
  "internal",
  "resource-exhausted",
  "unavailable",
] as const;

const CONDITIONS = [
  ...UNSEEN_FAILURES,
  ...GRPC_CONDITIONS,
  "5xx",
  "gateway-error",
  "reset",
  "retriable-4xx",
  "retriable-status-codes",
] as const;

const timeouts = checked(
  object({
    connect: optional(duration(1)),
    request: optional(duration()),
    perTry: optional(duration()),
    idle: optional(duration()),
  }),
  ({ request, perTry }, complain) => {
    if (request !== null && request > 0 && perTry !== null && perTry > request) {
      complain("perTry is longer than request", "perTry");
    }
  },
  [
    {
      rule: "!has(self.request) || !has(self.perTry) || duration(self.request) == duration('0s') || duration(self.perTry) <= duration(self.request)",
      message: "perTry is longer than request",
      field: "perTry",
    },
  ],
);

/** Milliseconds where a section leaves them out. */
const BACKOFF = { base: 25, max: 250 };

const retry = checked(
  object({
    on: withDefault(list(oneOf(...CONDITIONS), 0, CONDITIONS.length), UNSEEN_FAILURES),
    statusCodes: withDefault(list(number(400, 599), 0, 32), []),
    attempts: withDefault(number(1, 10), 2),
    nonIdempotent: withDefault(oneOf("UnseenOnly", "Always"), "UnseenOnly"),
    backoff: withDefault(
      checked(
        object({ base: withDefault(duration(1), BACKOFF.base), max: withDefault(duration(1), BACKOFF.max) }),
        ({ base, max }, complain) => {
          if (max < base) complain("max is shorter than base", "max");
        },
        [
          {
            rule: `duration(has(self.max) ? self.max : '${BACKOFF.max}ms') >= duration(has(self.base) ? self.base : '${BACKOFF.base}ms')`,
            message: "max is shorter than base",
            field: "max",
          },
        ],
      ),
      BACKOFF,
    ),
    budget: optional(object({ percent: withDefault(percent, 20), minimum: withDefault(number(0, 10_000), 10) })),
  }),
  (value, complain) => {
    if (value.on.includes("retriable-status-codes") !== value.statusCodes.length > 0) {
      complain("statusCodes and the condition retriable-status-codes belong together", "statusCodes");
    }
  },
  [
    {
      rule: "(has(self.on) && 'retriable-status-codes' in self.on) == (has(self.statusCodes) && size(self.statusCodes) > 0)",
      message: "statusCodes and the condition retriable-status-codes belong together",
      field: "statusCodes",
    },
  ],
);

const spec = object({
  targetRefs: required(list(policyTargetRef, 1, 16)),
  mode: withDefault(oneOf("Enforce", "DryRun"), "Enforce"),
  timeouts: optional(timeouts),
  retry: optional(retry),
  circuitBreaker: optional(
    object({
      enabled: withDefault(oneOf("On", "Off"), "On"),
      errorPercent: withDefault(number(1, 100), 50),
      minimumCalls: withDefault(number(1, 1_000_000), 20),
      window: withDefault(duration(100), 10_000),
      openFor: withDefault(duration(1), 5000),
    }),
  ),
  limits: optional(
    object({
      connections: optional(number(1, 1_000_000)),
      pending: optional(number(0, 1_000_000)),
      requests: optional(number(1, 1_000_000)),
    }),
  ),
  outlierDetection: optional(
    object({
      enabled: withDefault(oneOf("On", "Off"), "On"),
      consecutiveErrors: withDefault(number(1, 10_000), 5),
      openFor: withDefault(duration(1), 10_000),
      maxEjectedPercent: withDefault(number(0, 100), 50),
    }),
  ),
  loadBalancing: optional(object({ policy: required(oneOf("RoundRobin", "LeastRequest", "Random")) })),
  connection: optional(object({ multiplex: withDefault(oneOf("On", "Off"), "On") })),
});

/** Sections that shape a cluster: they can be attached to a Service only. */
const CLUSTER_SECTIONS = ["circuitBreaker", "limits", "outlierDetection", "loadBalancing", "connection"] as const;

const ONLY_SERVICES = "self.targetRefs.all(r, r.kind == 'Service')";

export const resiliencePolicySchema = object({
  apiVersion: required(string()),
  kind: required(string()),
  metadata: required(objectMeta),
  spec: required(
    checked(
      spec,
      (value, complain) => {
        if (value.targetRefs.every((ref) => ref.kind === "Service")) return;
        for (const section of CLUSTER_SECTIONS) {
          if (value[section] !== null)
            complain("shapes the calls to a Service as a whole: target the Service", section);
        }
        if (value.timeouts?.connect != null)
          complain("timeouts.connect belongs to a Service: target the Service", "timeouts");
        if (value.retry?.budget != null) complain("retry.budget belongs to a Service: target the Service", "retry");
      },
      [
        ...CLUSTER_SECTIONS.map((section) => ({
          rule: `!has(self.${section}) || ${ONLY_SERVICES}`,
          message: "shapes the calls to a Service as a whole: target the Service",
          field: section,
        })),
        {
          rule: `!has(self.timeouts) || !has(self.timeouts.connect) || ${ONLY_SERVICES}`,
          message: "timeouts.connect belongs to a Service: target the Service",
          field: "timeouts",
        },
        {
          rule: `!has(self.retry) || !has(self.retry.budget) || ${ONLY_SERVICES}`,
          message: "retry.budget belongs to a Service: target the Service",
          field: "retry",
        },
      ],
    ),
  ),
});

export type ResiliencePolicyManifest = ValueOf<typeof resiliencePolicySchema>;
export type ResilienceSpec = ResiliencePolicyManifest["spec"];
