/** What logs and header formats say of a gRPC call: its status (`%GRPC_STATUS%`), its messages (`%FILTER_STATE%`). */
import type { JsonValue } from "../../model/bootstrap.ts";
import { callStatus, isGrpc, statusName } from "../grpc/status.ts";
import type { Extract, FormatContext } from "./context.ts";

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

/** Envoy's name for what its `grpc_stats` filter knows of a call. */
const STATE = "envoy.filters.http.grpc_stats";

/**
 * `%FILTER_STATE(NAME:PLAIN|TYPED)%`. One filter keeps state, where it is told to (`emit_filter_state`): the numbers of
 * messages, from the first one on. All other names are absent, as they are in Envoy until somebody sets them.
 */
export function filterState(argument: string): Extract {
  const [name, form = "TYPED"] = argument.split(":");
  if (name !== STATE || (form !== "TYPED" && form !== "PLAIN")) return () => null;
  return ({ info }): JsonValue => {
    const { grpc } = info;
    if (grpc === null || !info.showsGrpcMessages || grpc.requestMessages + grpc.responseMessages === 0) return null;
    if (form === "PLAIN") return `${grpc.requestMessages},${grpc.responseMessages}`;
    // The JSON of a protobuf message: 64-bit numbers as text, and none that is 0.
    return {
      ...(grpc.requestMessages > 0 && { requestMessageCount: String(grpc.requestMessages) }),
      ...(grpc.responseMessages > 0 && { responseMessageCount: String(grpc.responseMessages) }),
    };
  };
}
