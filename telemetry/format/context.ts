/** What a format string reads: one request as it stands when the line, header or body is written. */
import type { HeaderMap } from "../../core/header-map.ts";
import type { JsonValue } from "../../model/bootstrap.ts";
import type { RequestView, StreamInfo } from "../stream-info.ts";

/** Not readonly, so that its owner may keep one and fill it again for each request. */
export interface FormatContext {
  info: StreamInfo;
  request: RequestView;
  /** Without the status line: `%RESP(:STATUS)%` comes from `info.responseCode`. null: no response was sent. */
  responseHeaders: HeaderMap | null;
  responseTrailers: HeaderMap | null;
  /** The body that a local reply would have (`%LOCAL_REPLY_BODY%`); absent elsewhere. */
  localReplyBody?: string;
}

/** The value of one command, null where the request has none. Text prints it, JSON keeps its type. */
export type Extract = (context: FormatContext) => JsonValue;

/** A command as it stands in a template: `%NAME(argument):maxLength%`. */
export interface Command {
  readonly name: string;
  /** null: no parentheses. */
  readonly argument: string | null;
  /** null: no limit. */
  readonly maxLength: number | null;
  /** Offset of the first `%` in the template. */
  readonly position: number;
}

/** A template that cannot be compiled; the message stands alone and names the position. */
export class FormatError extends Error {
  readonly position: number;

  constructor(message: string, position: number) {
    super(`${message} at position ${position}`);
    this.name = "FormatError";
    this.position = position;
  }
}
