/**
 * Answers of the proxy's own to gRPC callers, who read `grpc-status` and not the HTTP status: one head without a body
 * ("Trailers-Only" in gRPC's protocol description), as Envoy sends it.
 */
import { HeaderMap } from "../../core/header-map.ts";
import { grpcStatusOf } from "../../telemetry/grpc/status.ts";
import type { Failure } from "./failures.ts";
import type { ResponseHead } from "./message.ts";

/**
 * Turns an answer into one for a gRPC caller. `status` is the call's status where it is not what HTTP's stands for.
 * `framed`: the head has to say that no body follows (HTTP/1); elsewhere the end of the stream does.
 */
export function toGrpcReply(head: ResponseHead, body: string, status: number | undefined, framed: boolean): void {
  const { headers } = head;
  headers.set("content-type", "application/grpc");
  if (framed) headers.set("content-length", "0");
  else headers.remove("content-length");
  headers.set("grpc-status", String(status ?? grpcStatusOf(head.status)));
  if (body !== "") headers.set("grpc-message", encodeMessage(body));
  head.status = 200;
}

/** The end of a call whose answer had begun when it failed. */
export function grpcTrailers({ status, grpcStatus }: Failure, message: string): HeaderMap {
  const trailers = new HeaderMap();
  trailers.append("grpc-status", String(grpcStatus ?? grpcStatusOf(status)));
  trailers.append("grpc-message", encodeMessage(message));
  return trailers;
}

/** gRPC over HTTP/2, "Percent-Encoded": printable ASCII stays, but for the percent sign. */
function encodeMessage(message: string): string {
  let encoded = "";
  for (const byte of Buffer.from(message, "utf8")) {
    const plain = byte >= 0x20 && byte <= 0x7e && byte !== 0x25;
    encoded += plain ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return encoded;
}
