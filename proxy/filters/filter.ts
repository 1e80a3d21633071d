/**
 * The one contract of an HTTP filter stage. Stages are compiled when configuration arrives and composed as a plain
 * list; a stage that a route does not use does not exist for it.
 */
import type { HeaderMap } from "../../core/header-map.ts";
import type { StreamInfo } from "../../telemetry/stream-info.ts";
import type { RequestHead } from "../http/message.ts";

/** What a stage may do with the request that it is shown. */
export interface FilterContext {
  readonly request: RequestHead;
  readonly info: StreamInfo;
  /**
   * Answers in the upstream's place. `details` is Envoy's %RESPONSE_CODE_DETAILS%, `flags` bits of model/flags.ts.
   * `grpcStatus` is what a gRPC caller is told; without it, what `status` stands for.
   */
  localReply(status: number, body: string, details: string, flags: number, grpcStatus?: number): void;
  /** Answers without a body, and without what a route or `local_reply_config` makes of local replies. */
  answer(status: number, details: string, write: (headers: HeaderMap) => void): void;
  /** Changes the head of the response, the upstream's or a local one, after the route has. */
  onResponse(change: (headers: HeaderMap) => void): void;
  /**
   * Looks for the route again, while a stage waits: the table may be another by now. True if another virtual host takes the
   * request, whose stages it runs through from their beginning.
   */
  reroute(): boolean;
  /** Goes on after a stage returned false ("wait") and has not answered. */
  resume(): void;
  /** Calls back after `delayMs` unless the exchange ends before. */
  delay(delayMs: number, callback: () => void): void;
  /** Calls back once when the exchange is over, whichever way. */
  onEnd(callback: () => void): void;
}

export interface FilterStage {
  /** true: go on; false: the stage has answered, or will call `resume`. */
  onRequest(context: FilterContext): boolean;
}
