/**
 * The status codes of gRPC calls: how they are told apart, named, and translated from and to HTTP's. A status travels in
 * the trailers, or in the head of an answer without a message ("Trailers-Only").
 */
import type { HeaderMap } from "../../core/header-map.ts";

/** https://grpc.io/docs/guides/status-codes */
export const GrpcStatus = {
  ok: 0,
  cancelled: 1,
  unknown: 2,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  alreadyExists: 6,
  permissionDenied: 7,
  resourceExhausted: 8,
  failedPrecondition: 9,
  aborted: 10,
  outOfRange: 11,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  dataLoss: 15,
  unauthenticated: 16,
} as const;

/** What Envoy makes of a `grpc-status` that is no number. */
const INVALID = -1;

/** By code: the name as Envoy writes it in camel case, and the specification's constant. */
const NAMES = [
  ["OK", "OK"],
  ["Canceled", "CANCELLED"],
  ["Unknown", "UNKNOWN"],
  ["InvalidArgument", "INVALID_ARGUMENT"],
  ["DeadlineExceeded", "DEADLINE_EXCEEDED"],
  ["NotFound", "NOT_FOUND"],
  ["AlreadyExists", "ALREADY_EXISTS"],
  ["PermissionDenied", "PERMISSION_DENIED"],
  ["ResourceExhausted", "RESOURCE_EXHAUSTED"],
  ["FailedPrecondition", "FAILED_PRECONDITION"],
  ["Aborted", "ABORTED"],
  ["OutOfRange", "OUT_OF_RANGE"],
  ["Unimplemented", "UNIMPLEMENTED"],
  ["Internal", "INTERNAL"],
  ["Unavailable", "UNAVAILABLE"],
  ["DataLoss", "DATA_LOSS"],
  ["Unauthenticated", "UNAUTHENTICATED"],
] as const;

/** What an HTTP status means for a call that gave no status of its own (gRPC's http-grpc-status-mapping). */
const FROM_HTTP: Readonly<Record<number, number>> = {
  400: GrpcStatus.internal,
  401: GrpcStatus.unauthenticated,
  403: GrpcStatus.permissionDenied,
  404: GrpcStatus.unimplemented,
  429: GrpcStatus.unavailable,
  502: GrpcStatus.unavailable,
  503: GrpcStatus.unavailable,
  504: GrpcStatus.unavailable,
};

/** By code: the HTTP status that Envoy's outlier detection and host statistics count in its place. */
const TO_HTTP = [200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401] as const;

/** Whether a request with this `content-type` is a gRPC call, by Envoy's rule: gRPC-Web, for one, is not. */
export function isGrpc(contentType: string | null): boolean {
  if (contentType === null || !contentType.startsWith("application/grpc")) return false;
  return contentType.length === 16 || contentType.charCodeAt(16) === 0x2b;
}

/** The status that headers or trailers give; null: none, −1: not a number. */
export function givenStatus(fields: HeaderMap | null): number | null {
  const raw = fields === null ? null : fields.get("grpc-status");
  if (raw === null || raw === "") return null;
  return /^\d{1,9}$/.test(raw) ? Number(raw) : INVALID;
}

/** The gRPC status that an HTTP status stands for. */
export function grpcStatusOf(httpStatus: number): number {
  return FROM_HTTP[httpStatus] ?? GrpcStatus.unknown;
}

/** The HTTP status that a gRPC status stands for, as Envoy counts it. */
export function httpStatusOf(grpcStatus: number): number {
  return TO_HTTP[grpcStatus] ?? 500;
}

/**
 * The status of a call in Envoy's order: what the trailers say, else the head, else what the HTTP status stands for; null
 * while there is no response (`httpStatus` 0).
 */
export function callStatus(trailers: HeaderMap | null, head: HeaderMap | null, httpStatus: number): number | null {
  return givenStatus(trailers) ?? givenStatus(head) ?? (httpStatus === 0 ? null : grpcStatusOf(httpStatus));
}

/** `Unavailable` or, by the specification's constants, `UNAVAILABLE`; the number of a status that has no name. */
export function statusName(status: number, style: "camel" | "constant"): string {
  return NAMES[status]?.[style === "camel" ? 0 : 1] ?? String(status);
}
