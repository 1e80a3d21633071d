/**
 * One table from what went wrong to what a caller sees: Envoy's status, body, response flag and response code details.
 */
import { Flag } from "../../model/flags.ts";
import { GrpcStatus } from "../../telemetry/grpc/status.ts";

export interface Failure {
  readonly status: number;
  /** Bits of model/flags.ts. */
  readonly flags: number;
  /** Envoy's body. */
  readonly body: string;
  /** Envoy's %RESPONSE_CODE_DETAILS%. */
  readonly details: string;
  /** What happened, for the local application and for logs; no full stop. */
  readonly sentence: string;
  /** Sets `x-envoy-overloaded`. */
  readonly overloaded: boolean;
  /** What a gRPC caller is told instead of what `status` stands for. */
  readonly grpcStatus?: number;
}

const RESET = "upstream connect error or disconnect/reset before headers. reset reason: ";
const RETRIED = "upstream connect error or disconnect/reset before headers. retried and the latest reset reason: ";

function reset(status: number, flags: number, reason: string, sentence: string, overloaded = false): Failure {
  return {
    status,
    flags,
    body: RESET + reason,
    details: `upstream_reset_before_response_started{${reason.replaceAll(" ", "_")}}`,
    sentence,
    overloaded,
  };
}

/** The same failure after at least one retry, in Envoy's words. */
export function afterRetry(failure: Failure): string {
  return failure.body.startsWith(RESET) ? RETRIED + failure.body.slice(RESET.length) : failure.body;
}

/** The details of a failure that cut a response which had begun. */
export function afterResponse(failure: Failure): string {
  return failure.details.replace("before_response", "after_response");
}

/** The details of a failure, with what the transport said of it; "" for nothing. */
export function withTransportFailure({ details }: Failure, reason: string): string {
  return reason === "" ? details : details.replace("}", `|${reason.replaceAll(" ", "_")}}`);
}

function plain(status: number, flags: number, body: string, details: string, sentence: string): Failure {
  return { status, flags, body, details, sentence, overloaded: false };
}

export const failures = {
  connect_failure: reset(503, Flag.UF, "remote connection failure", "the upstream could not be reached"),
  connect_timeout: reset(503, Flag.UF, "connection timeout", "the upstream did not accept a connection in time"),
  overflow: reset(503, Flag.UO, "overflow", "a limit of the cluster is reached", true),
  remote_reset: reset(503, Flag.UR, "remote reset", "the upstream reset the request's stream"),
  refused_stream: reset(503, Flag.UR, "remote refused stream reset", "the upstream did not take the request"),
  connect_error: reset(503, Flag.UR, "remote error with CONNECT request", "the upstream could not connect to its own"),
  connection_termination: reset(
    503,
    Flag.UC,
    "connection termination",
    "the upstream closed the connection before its answer was whole",
  ),
  protocol_error: reset(502, Flag.UPE, "protocol error", "the upstream's answer is not valid HTTP"),
  local_close: reset(503, Flag.LR, "local reset", "the cluster was removed while the request waited"),
  breakerOpen: {
    ...reset(503, Flag.UO, "overflow", "the circuit breaker is open: the upstream has been failing", true),
    details: "outrigger_breaker_open",
  },
  noHealthyUpstream: plain(503, Flag.UH, "no healthy upstream", "no_healthy_upstream", "no endpoint is in service"),
  timeout: plain(504, Flag.UT, "upstream request timeout", "response_timeout", "the upstream did not answer in time"),
  perTryTimeout: plain(
    504,
    Flag.UT,
    "upstream request timeout",
    "upstream_per_try_timeout",
    "no attempt was answered in time",
  ),
  perTryIdle: plain(
    504,
    Flag.UT,
    "upstream request timeout",
    "upstream_per_try_idle_timeout",
    "nothing moved on the last attempt for too long",
  ),
  streamIdle: plain(504, Flag.SI, "stream timeout", "stream_idle_timeout", "nothing moved on the stream for too long"),
  requestIdle: plain(408, Flag.SI, "stream timeout", "stream_idle_timeout", "the request stopped arriving"),
  requestTimeout: plain(408, 0, "request timeout", "request_overall_timeout", "the request did not arrive in time"),
  headTimeout: plain(
    408,
    0,
    "request header timeout",
    "request_header_timeout",
    "the request's head did not arrive in time",
  ),
  maxDuration: {
    ...plain(504, 0, "downstream duration timeout", "max_duration_timeout", "the stream lasted longer than it may"),
    grpcStatus: GrpcStatus.deadlineExceeded,
  },
  noRoute: plain(404, Flag.NR, "", "route_not_found", "no route matches"),
  noCluster: plain(503, Flag.NC, "", "cluster_not_found", "the route's cluster does not exist"),
  upgradeRefused: plain(403, 0, "", "upgrade_failed", "the upgrade is not allowed here"),
} as const satisfies Record<string, Failure>;
