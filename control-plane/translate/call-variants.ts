/**
 * One rule treats gRPC calls and others differently, where both may come: a gRPC call may be a stream that lives for
 * days, so its limits are its caller's, while others are held to limits that suit a single answer. Envoy's routes know
 * one treatment each, so that a rule becomes a route for each kind of call, tried in this order
 * (docs/decisions/0022-grpc-calls-in-translation.md).
 */
import type { HeaderMatch } from "../../model/matcher.ts";
import type { ForwardAction, RetryPolicy, RouteMatch } from "../../model/route.ts";
import type { HttpProtocol } from "../manifest/port-protocol.ts";
import { DEFAULT_REQUEST_MS } from "../mesh/defaults.ts";
import type { CallPolicy } from "../mesh/state.ts";
import { grpcRetry, retryVariants } from "./retry.ts";

/** How one kind of call is forwarded. */
export type Treatment = Pick<
  ForwardAction,
  "timeoutMs" | "idleTimeoutMs" | "maxStreamDurationMs" | "grpcStreamTimeout" | "retryPolicy"
>;

/** The kind of call (both criteria hold), and its treatment. */
export interface CallVariant {
  readonly grpcOnly: boolean;
  readonly only: HeaderMatch | null;
  readonly treatment: Treatment;
}

/** The variants for calls with `method` (null: any) to a port. */
export function callVariants(call: CallPolicy, protocol: HttpProtocol, method: string | null): readonly CallVariant[] {
  if (protocol === "grpc" && method === null) return [{ ...grpcVariant(call), grpcOnly: false }];
  const others = retryVariants(call, method).map(({ only, retry }) => ({
    grpcOnly: false,
    only,
    treatment: plainTreatment(call, retry),
  }));
  // gRPC needs HTTP/2, and all of its calls are POST.
  const mayBeGrpc = protocol !== "http1" && (method === null || method === "POST");
  return mayBeGrpc ? [grpcVariant(call), ...others] : others;
}

/** The variant for gRPC calls. */
export function grpcVariant(call: CallPolicy): CallVariant {
  return { grpcOnly: true, only: null, treatment: grpcTreatment(call) };
}

/** A rule's match, narrowed to a kind of call. */
export function narrowed(match: RouteMatch, { grpcOnly, only }: CallVariant): RouteMatch {
  return {
    ...match,
    grpcOnly: match.grpcOnly || grpcOnly,
    headers: only === null ? match.headers : [...match.headers, only],
  };
}

function plainTreatment(call: CallPolicy, retryPolicy: RetryPolicy): Treatment {
  return {
    timeoutMs: call.requestMs ?? DEFAULT_REQUEST_MS,
    idleTimeoutMs: call.idleMs,
    maxStreamDurationMs: null,
    retryPolicy,
  };
}

/**
 * The caller's `grpc-timeout` is the call's deadline, at most what a policy asks for; without either there is none. Nor
 * is silence a fault: a watch may have nothing to say for hours. That its other end is gone shows in HTTP/2's pings.
 */
function grpcTreatment(call: CallPolicy): Treatment {
  const requestMs = call.requestMs ?? 0;
  return {
    timeoutMs: 0,
    idleTimeoutMs: call.idleMs ?? 0,
    maxStreamDurationMs: requestMs === 0 ? null : requestMs,
    grpcStreamTimeout: { maxMs: requestMs, offsetMs: 0 },
    retryPolicy: grpcRetry(call),
  };
}
