/** Faults injected into requests: `filters.http.fault.v3.HTTPFault`. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  type FaultDelay,
  FaultDelaySchema,
} from "../../generated/envoy/extensions/filters/common/fault/v3/fault_pb.js";
import {
  type FaultAbort,
  FaultAbortSchema,
  type HTTPFault,
  HTTPFaultSchema,
} from "../../generated/envoy/extensions/filters/http/fault/v3/fault_pb.js";
import type { FractionalPercent } from "../../generated/envoy/type/v3/percent_pb.js";
import type { FaultPolicy } from "../../model/fault.ts";
import type { Fraction } from "../../model/matcher.ts";
import { decodeHeaderMatcher, encodeHeaderMatcher } from "../matcher.ts";
import type { Place } from "../place.ts";
import { duration, fraction, fractionOf, positiveDurationMs } from "../values.ts";

/** A share that is not given is zero, as in Envoy: the fault never happens. */
const NEVER: Fraction = { numerator: 0, denominator: 100 };

export function decodeFault(message: HTTPFault, at: Place): FaultPolicy {
  return {
    delay: message.delay ? decodeDelay(message.delay, at.field("delay")) : null,
    abort: message.abort ? decodeAbort(message.abort, at.field("abort")) : null,
    headers: message.headers.map((header, i) => decodeHeaderMatcher(header, at.item("headers", i))),
    upstreamCluster: message.upstreamCluster,
    maxActiveFaults: message.maxActiveFaults ?? null,
  };
}

function shareOf(percentage: FractionalPercent | undefined): Fraction {
  return percentage ? fractionOf(percentage) : NEVER;
}

function decodeDelay(message: FaultDelay, at: Place): FaultPolicy["delay"] {
  const share = shareOf(message.percentage);
  const { faultDelaySecifier: delay } = message;
  switch (delay.case) {
    case "fixedDelay":
      return { kind: "fixed", ms: positiveDurationMs(delay.value, 0, at.field("fixed_delay")), fraction: share };
    case "headerDelay":
      return { kind: "header", fraction: share };
    default:
      at.error("one of fixed_delay and header_delay is required");
      return null;
  }
}

function decodeAbort(message: FaultAbort, at: Place): FaultPolicy["abort"] {
  const share = shareOf(message.percentage);
  const { errorType: error } = message;
  switch (error.case) {
    case "httpStatus":
      if (error.value < 200 || error.value > 599) at.field("http_status").error("must be from 200 to 599");
      return { kind: "http", status: error.value, fraction: share };
    case "grpcStatus":
      return { kind: "grpc", status: error.value, fraction: share };
    case "headerAbort":
      return { kind: "header", fraction: share };
    default:
      at.error("one of http_status, grpc_status and header_abort is required");
      return null;
  }
}

type DelayInit = NonNullable<MessageInitShape<typeof FaultDelaySchema>["faultDelaySecifier"]>;
type AbortInit = NonNullable<MessageInitShape<typeof FaultAbortSchema>["errorType"]>;

function encodeDelay(delay: NonNullable<FaultPolicy["delay"]>): FaultDelay {
  const specifier: DelayInit =
    delay.kind === "fixed" ? { case: "fixedDelay", value: duration(delay.ms) } : { case: "headerDelay", value: {} };
  return create(FaultDelaySchema, { faultDelaySecifier: specifier, percentage: fraction(delay.fraction) });
}

function abortInit(abort: NonNullable<FaultPolicy["abort"]>): AbortInit {
  switch (abort.kind) {
    case "http":
      return { case: "httpStatus", value: abort.status };
    case "grpc":
      return { case: "grpcStatus", value: abort.status };
    case "header":
      return { case: "headerAbort", value: {} };
  }
}

export function encodeFault(policy: FaultPolicy): HTTPFault {
  const message = create(HTTPFaultSchema, {
    headers: policy.headers.map(encodeHeaderMatcher),
    upstreamCluster: policy.upstreamCluster,
  });
  if (policy.delay) message.delay = encodeDelay(policy.delay);
  if (policy.abort) {
    message.abort = create(FaultAbortSchema, {
      errorType: abortInit(policy.abort),
      percentage: fraction(policy.abort.fraction),
    });
  }
  if (policy.maxActiveFaults !== null) message.maxActiveFaults = policy.maxActiveFaults;
  return message;
}
