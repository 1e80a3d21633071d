/** The status of a gRPC call, which travels in trailers, or in headers where there was no message. */
import type { FormatContext } from "./context.ts";

/** Names by code; the snake form is derived from the specification's constants. */
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
  400: 13,
  401: 16,
  403: 7,
  404: 12,
  429: 14,
  502: 14,
  503: 14,
  504: 14,
};
const UNKNOWN = 2;

/** The gRPC status that an HTTP status stands for. */
export function grpcStatusOf(httpStatus: number): number {
  return FROM_HTTP[httpStatus] ?? UNKNOWN;
}

/** null: not a gRPC call. */
export function grpcStatus(
  context: FormatContext,
  style: "CAMEL_STRING" | "SNAKE_STRING" | "NUMBER",
): string | number | null {
  if (!context.request.headers.get("content-type")?.startsWith("application/grpc")) return null;
  const code = grpcStatusOfResponse(context);
  if (style === "NUMBER") return code;
  const names = NAMES[code];
  if (names === undefined) return String(code);
  return style === "CAMEL_STRING" ? names[0] : names[1];
}

/** The status that the response gives, else the one that its HTTP status stands for. */
export function grpcStatusOfResponse({ responseTrailers, responseHeaders, info }: FormatContext): number {
  const raw = responseTrailers?.get("grpc-status") ?? responseHeaders?.get("grpc-status") ?? null;
  return raw !== null && /^\d{1,9}$/.test(raw) ? Number(raw) : grpcStatusOf(info.responseCode);
}
