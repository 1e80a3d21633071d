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

/** null: not a gRPC call, or it gave no status. */
export function grpcStatus(
  context: FormatContext,
  style: "CAMEL_STRING" | "SNAKE_STRING" | "NUMBER",
): string | number | null {
  if (!context.request.headers.get("content-type")?.startsWith("application/grpc")) return null;
  const raw = context.responseTrailers?.get("grpc-status") ?? context.responseHeaders?.get("grpc-status") ?? null;
  if (raw === null || !/^\d{1,9}$/.test(raw)) return null;
  const code = Number(raw);
  if (style === "NUMBER") return code;
  const names = NAMES[code];
  if (names === undefined) return String(code);
  return style === "CAMEL_STRING" ? names[0] : names[1];
}
