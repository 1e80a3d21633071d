/** When an endpoint is left out for a while: `OutlierDetection` to the model and back, with Envoy's defaults. */
import { create } from "@bufbuild/protobuf";
import {
  type OutlierDetection as OutlierDetectionMessage,
  OutlierDetectionSchema,
} from "../generated/envoy/config/cluster/v3/outlier_detection_pb.js";
import type { OutlierDetection } from "../model/cluster.ts";
import type { Place } from "./place.ts";
import { duration, durationMs, positiveDurationMs } from "./values.ts";

const INTERVAL_MS = 10_000;
const BASE_EJECTION_MS = 30_000;
const MAX_EJECTION_MS = 300_000;

/** Fields whose value is a number of its own; those of `PERCENTAGES` end at 100. */
const NUMBERS = {
  consecutive5xx: 5,
  consecutiveGatewayFailure: 5,
  consecutiveLocalOriginFailure: 5,
  maxEjectionPercent: 10,
  enforcingConsecutive5xx: 100,
  enforcingConsecutiveGatewayFailure: 0,
  enforcingConsecutiveLocalOriginFailure: 100,
  enforcingSuccessRate: 100,
  successRateMinimumHosts: 5,
  successRateRequestVolume: 100,
  successRateStdevFactor: 1900,
  enforcingFailurePercentage: 0,
  failurePercentageThreshold: 85,
  failurePercentageMinimumHosts: 5,
  failurePercentageRequestVolume: 50,
} as const;

/** Left out of the model where they are not given. */
const OPTIONAL = [
  "enforcingLocalOriginSuccessRate",
  "enforcingFailurePercentageLocalOrigin",
  "alwaysEjectOneHost",
] as const;

type NumberField = keyof typeof NUMBERS;

const PERCENTAGES: readonly (
  | NumberField
  | "enforcingFailurePercentageLocalOrigin"
  | "enforcingLocalOriginSuccessRate"
)[] = [
  "enforcingFailurePercentageLocalOrigin",
  "enforcingLocalOriginSuccessRate",
  "maxEjectionPercent",
  "enforcingConsecutive5xx",
  "enforcingConsecutiveGatewayFailure",
  "enforcingConsecutiveLocalOriginFailure",
  "enforcingSuccessRate",
  "enforcingFailurePercentage",
  "failurePercentageThreshold",
];

export function decodeOutlierDetection(message: OutlierDetectionMessage, at: Place): OutlierDetection {
  const numbers: Record<NumberField, number> = { ...NUMBERS };
  for (const name of Object.keys(NUMBERS) as NumberField[]) numbers[name] = message[name] ?? NUMBERS[name];
  for (const name of PERCENTAGES) {
    if ((message[name] ?? 0) > 100) at.field(protoName(name)).error("must be at most 100");
  }
  const baseEjectionTimeMs = positiveDurationMs(
    message.baseEjectionTime,
    BASE_EJECTION_MS,
    at.field("base_ejection_time"),
  );
  const maxPlace = at.field("max_ejection_time");
  const maxEjectionTimeMs = positiveDurationMs(
    message.maxEjectionTime,
    Math.max(MAX_EJECTION_MS, baseEjectionTimeMs),
    maxPlace,
  );
  if (maxEjectionTimeMs < baseEjectionTimeMs) maxPlace.error("must not be less than base_ejection_time");
  return {
    ...numbers,
    ...optionalOf(message),
    splitExternalLocalOriginErrors: message.splitExternalLocalOriginErrors,
    intervalMs: positiveDurationMs(message.interval, INTERVAL_MS, at.field("interval")),
    baseEjectionTimeMs,
    maxEjectionTimeMs,
    maxEjectionTimeJitterMs: durationMs(message.maxEjectionTimeJitter, 0, at.field("max_ejection_time_jitter")),
  };
}

/** Those of the fields that are set. */
function optionalOf<T extends Pick<OutlierDetectionMessage | OutlierDetection, (typeof OPTIONAL)[number]>>(
  from: T,
): Pick<OutlierDetection, (typeof OPTIONAL)[number]> {
  return Object.fromEntries(OPTIONAL.flatMap((name) => (from[name] === undefined ? [] : [[name, from[name]]])));
}

export function encodeOutlierDetection(detection: OutlierDetection): OutlierDetectionMessage {
  const numbers = Object.fromEntries(
    (Object.keys(NUMBERS) as NumberField[]).map((name) => [name, detection[name]]),
  ) as Record<NumberField, number>;
  return create(OutlierDetectionSchema, {
    ...numbers,
    ...optionalOf(detection),
    splitExternalLocalOriginErrors: detection.splitExternalLocalOriginErrors,
    interval: duration(detection.intervalMs),
    baseEjectionTime: duration(detection.baseEjectionTimeMs),
    maxEjectionTime: duration(detection.maxEjectionTimeMs),
    maxEjectionTimeJitter: duration(detection.maxEjectionTimeJitterMs),
  });
}

function protoName(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`).replace("consecutive5xx", "consecutive_5xx");
}
