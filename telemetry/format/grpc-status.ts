/** The status of a gRPC call in logs and header formats (`%GRPC_STATUS%`). */
import { callStatus, isGrpc, statusName } from "../grpc/status.ts";
import type { FormatContext } from "./context.ts";

/** null: not a gRPC call, or there is no response. */
export function grpcStatus(
  context: FormatContext,
  style: "CAMEL_STRING" | "SNAKE_STRING" | "NUMBER",
): string | number | null {
  if (!isGrpc(context.request.headers.first("content-type"))) return null;
  const status = grpcStatusOfResponse(context);
  if (status === null || style === "NUMBER") return status;
  return statusName(status, style === "CAMEL_STRING" ? "camel" : "constant");
}

/** The status that the response gives, else the one that its HTTP status stands for; null: there is no response. */
export function grpcStatusOfResponse({ responseTrailers, responseHeaders, info }: FormatContext): number | null {
  return callStatus(responseTrailers, responseHeaders, info.responseCode);
}
