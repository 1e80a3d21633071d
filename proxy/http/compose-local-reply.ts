/** The order in which an answer of the proxy's own comes about: the route's headers, the configured body, the filters. */
import type { HeaderMap } from "../../core/header-map.ts";
import type { StreamInfo } from "../../telemetry/stream-info.ts";
import type { DownstreamStream } from "../codec/stream.ts";
import type { CompiledRoute } from "../router/compile-routes.ts";
import { describeBody, frameHeadResponse, neverHasBody } from "./answer-framing.ts";
import { toGrpcReply } from "./grpc-reply.ts";
import type { RequestHead, ResponseHead } from "./message.ts";
import type { HttpRuntime } from "./runtime.ts";

/** What an answer depends on besides what it says. */
export interface LocalReplyContext {
  readonly info: StreamInfo;
  readonly request: RequestHead;
  readonly headRequest: boolean;
  readonly isGrpc: boolean;
  /** Null while none was found. */
  readonly route: CompiledRoute | null;
  /** The answer is the route's own (a redirect, a direct response). */
  readonly byRoute: boolean;
  /** The gRPC status, where it is not what the HTTP status stands for. */
  readonly grpcStatus: number | undefined;
  /** What filters do to the head. */
  readonly changeResponse: (head: ResponseHead) => void;
}

/** Completes `head`; returns the bytes of the body, null for none. */
export function composeLocalReply(
  runtime: HttpRuntime,
  stream: DownstreamStream,
  head: ResponseHead,
  text: string,
  context: LocalReplyContext,
): Buffer | null {
  const { info, request, headRequest, route } = context;
  // As in Envoy a 400 means that the message was broken, whoever says so: what follows on the connection may be too.
  if (head.status === 400 && stream.ownsConnection && !runtime.config.keepConnectionOnInvalidMessage) {
    stream.closeAfterResponse();
  }
  // Envoy gives the response headers of a route that forwards to whatever is answered in the upstream's place, and those
  // of a route that answers itself to its own answer only. The response has no code yet as far as their formats can see.
  if (route !== null && (context.byRoute || forwards(route))) {
    info.responseCode = 0;
    route.applyResponse(head.headers, info, request);
    info.responseCode = head.status;
  }
  let body = runtime.localReplies.apply(head, text, info, request, runtime.context.clock.now());
  if (context.isGrpc) {
    toGrpcReply(head, body, context.grpcStatus, request.protocol !== "HTTP/2");
    if (headRequest) head.headers.remove("content-length");
    body = "";
  } else describeBody(head, body, headRequest || (body === "" && request.protocol === "HTTP/2"));
  context.changeResponse(head);
  runtime.stages.mutateLocalResponse(head, info, request);
  if (headRequest && stream.ownsConnection) frameHeadResponse(head);
  if (request.method === "CONNECT" && stream.ownsConnection) stream.closeAfterResponse();
  info.responseCode = head.status;
  // Bytes after a head that ends its message would be taken for the next response.
  return body === "" || headRequest || neverHasBody(head.status) ? null : Buffer.from(body);
}

/** As in Envoy: what answers a WebSocket handshake with something else than 101 or an error is not heard out. */
export function frameRefusedHandshake({ headers, status }: ResponseHead, stream: DownstreamStream): void {
  headers.remove("content-type");
  headers.remove("content-length");
  if (!stream.ownsConnection) return;
  if (status !== 204 && status !== 304) headers.append("content-length", "0");
  stream.closeAfterResponse();
}

/** Applies what filters asked for, in their order; null: nothing. */
export function applyChanges(changes: readonly ((headers: HeaderMap) => void)[] | null, head: ResponseHead): void {
  if (changes !== null) for (const change of changes) change(head.headers);
}

function forwards({ route }: CompiledRoute): boolean {
  return route.action.kind !== "redirect" && route.action.kind !== "direct_response";
}
