/**
 * Which statuses of gRPC calls say that the called service is in trouble. Calls fail with HTTP status 200, so that a breaker
 * that read only that would never open.
 */
import { GrpcStatus, httpStatusOf } from "../../telemetry/grpc/status.ts";

/**
 * One bit per status that counts as a failure of the service. The others are told by a service that works to a caller
 * that asked for something it can't have, did not wait, or met a conflict; fewer calls would mend none of that.
 */
const FAILURES = [
  // What servers say when a handler throws: HTTP's 500.
  GrpcStatus.unknown,
  // The service was too slow for its caller: HTTP's 504.
  GrpcStatus.deadlineExceeded,
  // Out of room, or its quota used up: what helps are fewer calls.
  GrpcStatus.resourceExhausted,
  GrpcStatus.internal,
  GrpcStatus.unavailable,
  GrpcStatus.dataLoss,
].reduce((bits, status) => bits | (1 << status), 0);

/** Whether the service failed; so do statuses that the specification does not know. */
export function isServiceFailure(status: number): boolean {
  return status < 0 || status > GrpcStatus.unauthenticated || (FAILURES & (1 << status)) !== 0;
}

/**
 * The HTTP status that outlier detection counts. Under Outrigger's `own` policy what is no failure of the service is a
 * success: Envoy's 501 for UNIMPLEMENTED would eject every endpoint of a service that is asked for a method it lacks.
 */
export function outlierStatus(status: number, own: boolean): number {
  return own && !isServiceFailure(status) ? 200 : httpStatusOf(status);
}
