/** Limits of what a cluster may have in flight: `CircuitBreakers` to the model and back. */
import { create } from "@bufbuild/protobuf";
import {
  type CircuitBreakers,
  type CircuitBreakers_Thresholds,
  CircuitBreakers_ThresholdsSchema,
  CircuitBreakersSchema,
} from "../generated/envoy/config/cluster/v3/circuit_breaker_pb.js";
import { RoutingPriority } from "../generated/envoy/config/core/v3/base_pb.js";
import type { CircuitBreakerLimits, Cluster } from "../model/cluster.ts";
import type { Place } from "./place.ts";
import { percent, percentOf } from "./values.ts";

const DEFAULTS: CircuitBreakerLimits = {
  maxConnections: 1024,
  maxPendingRequests: 1024,
  maxRequests: 1024,
  maxRetries: 3,
  retryBudget: null,
};
const BUDGET_PERCENT = 20;
const BUDGET_MIN_CONCURRENCY = 3;

/** The limits of both priorities; of several for the same priority the first counts, as in Envoy. */
export function decodeCircuitBreakers(message: CircuitBreakers | undefined, at: Place): Cluster["limits"] {
  const limits: { default?: CircuitBreakerLimits; high?: CircuitBreakerLimits } = {};
  message?.thresholds.forEach((thresholds, i) => {
    const priority = thresholds.priority === RoutingPriority.HIGH ? "high" : "default";
    limits[priority] ??= decodeThresholds(thresholds, at.item("thresholds", i));
  });
  return { default: limits.default ?? DEFAULTS, high: limits.high ?? DEFAULTS };
}

function decodeThresholds(message: CircuitBreakers_Thresholds, at: Place): CircuitBreakerLimits {
  const budget = message.retryBudget;
  return {
    maxConnections: message.maxConnections ?? DEFAULTS.maxConnections,
    maxPendingRequests: message.maxPendingRequests ?? DEFAULTS.maxPendingRequests,
    maxRequests: message.maxRequests ?? DEFAULTS.maxRequests,
    maxRetries: message.maxRetries ?? DEFAULTS.maxRetries,
    retryBudget: budget
      ? {
          percent: percentOf(budget.budgetPercent, BUDGET_PERCENT, at.field("retry_budget.budget_percent")),
          minRetryConcurrency: budget.minRetryConcurrency ?? BUDGET_MIN_CONCURRENCY,
        }
      : null,
  };
}

export function encodeCircuitBreakers(limits: Cluster["limits"]): CircuitBreakers {
  return create(CircuitBreakersSchema, {
    thresholds: [
      encodeThresholds(limits.default, RoutingPriority.DEFAULT),
      encodeThresholds(limits.high, RoutingPriority.HIGH),
    ],
  });
}

function encodeThresholds(limits: CircuitBreakerLimits, priority: RoutingPriority): CircuitBreakers_Thresholds {
  const { maxConnections, maxPendingRequests, maxRequests, maxRetries, retryBudget } = limits;
  return create(CircuitBreakers_ThresholdsSchema, {
    priority,
    maxConnections,
    maxPendingRequests,
    maxRequests,
    maxRetries,
    ...(retryBudget
      ? {
          retryBudget: {
            budgetPercent: percent(retryBudget.percent),
            minRetryConcurrency: retryBudget.minRetryConcurrency,
          },
        }
      : {}),
  });
}
