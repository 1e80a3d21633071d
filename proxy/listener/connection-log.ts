/**
 * The listener's own access log: a line for each of its connections when it is over, also for those that no filter chain
 * took (`envoy.config.listener.v3.Listener.access_log`).
 */
import type { Clock } from "../../core/clock.ts";
import type { AccessLogger } from "../../telemetry/access-log.ts";
import type { FormatContext } from "../../telemetry/format/context.ts";
import { type ConnectionInfo, noRequest, StreamInfo } from "../../telemetry/stream-info.ts";
import type { ServedConnection } from "./terminal.ts";

/** What formats read of a request, where there is none. */
export const NO_REQUEST = noRequest();

/** Why a connection was not served. */
export interface Unserved {
  /** Bits of model/flags.ts. */
  readonly flags?: number;
  /** Envoy's %RESPONSE_CODE_DETAILS%. */
  readonly details?: string;
  /** Envoy's %CONNECTION_TERMINATION_DETAILS%. */
  readonly termination?: string;
  /** A sentence for operators. */
  readonly explanation?: string;
}

/** A connection that has just come, or is over without having been served. */
export function streamOf(connection: ConnectionInfo, clock: Clock, why: Unserved = {}): StreamInfo {
  const stream = new StreamInfo(connection);
  stream.startTime = clock.wallTime();
  stream.startedAt = clock.now();
  stream.flags = why.flags ?? 0;
  stream.responseCodeDetails = why.details ?? "";
  stream.terminationDetails = why.termination ?? "";
  stream.explanation = why.explanation ?? "";
  return stream;
}

export class ConnectionLog {
  readonly #loggers: readonly AccessLogger[];
  readonly #clock: Clock;

  constructor(loggers: readonly AccessLogger[], clock: Clock) {
    this.#loggers = loggers;
    this.#clock = clock;
  }

  /**
   * A connection is served from now on; to be called when it has ended, with what its stream knows of it. Where it was many
   * requests, its socket tells how many bytes they were.
   */
  begin(connection: ConnectionInfo): (stream: StreamInfo | undefined, served: ServedConnection) => void {
    const begun = streamOf(connection, this.#clock);
    return (stream, { socket, protocol = "" }) => {
      if (stream === undefined) {
        begun.bytesReceived = socket.bytesRead;
        begun.bytesSent = socket.bytesWritten;
      }
      this.write(stream ?? begun, protocol);
    };
  }

  write(stream: StreamInfo, protocol = ""): void {
    stream.logType = "NotSet";
    stream.endedAt = this.#clock.now();
    const request = protocol === "" ? NO_REQUEST : { ...NO_REQUEST, protocol };
    const context: FormatContext = { info: stream, request, responseHeaders: null, responseTrailers: null };
    for (const log of this.#loggers) log(context);
  }
}
