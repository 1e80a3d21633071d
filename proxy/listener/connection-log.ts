/**
 * The listener's own access log: a line for each of its connections when it is over, also for those that no filter chain
 * took (`envoy.config.listener.v3.Listener.access_log`).
 */
import type { Clock } from "../../core/clock.ts";
import { HeaderMap } from "../../core/header-map.ts";
import { Flag } from "../../model/flags.ts";
import type { AccessLogger } from "../../telemetry/access-log.ts";
import type { FormatContext } from "../../telemetry/format/context.ts";
import { type ConnectionInfo, type RequestView, StreamInfo } from "../../telemetry/stream-info.ts";
import type { ConnectionClosed } from "./terminal.ts";

/** What formats read of a request, where there is none. */
const NO_REQUEST: RequestView = {
  method: "",
  path: "",
  authority: "",
  scheme: "",
  protocol: "",
  headers: new HeaderMap(),
};

export class ConnectionLog {
  readonly #loggers: readonly AccessLogger[];
  readonly #clock: Clock;

  constructor(loggers: readonly AccessLogger[], clock: Clock) {
    this.#loggers = loggers;
    this.#clock = clock;
  }

  /** A connection is served from now on; to be called when it has ended, with what its stream knows of it. */
  begin(connection: ConnectionInfo): ConnectionClosed {
    const info = this.#start(connection);
    return (stream = info) => {
      stream.logType = "NotSet";
      this.#write(stream);
    };
  }

  /** A connection that was not served, or ended before it could be. `explanation`: "" for none. */
  unserved(connection: ConnectionInfo, explanation: string): void {
    const info = this.#start(connection);
    info.explanation = explanation;
    this.#write(info);
  }

  /** A connection that no filter chain took. */
  noFilterChain(connection: ConnectionInfo, explanation: string): void {
    const info = this.#start(connection);
    info.flags = Flag.NR;
    info.responseCodeDetails = "filter_chain_not_found";
    info.explanation = explanation;
    this.#write(info);
  }

  #start(connection: ConnectionInfo): StreamInfo {
    const info = new StreamInfo(connection);
    info.logType = "NotSet";
    info.startTime = this.#clock.wallTime();
    info.startedAt = this.#clock.now();
    return info;
  }

  #write(info: StreamInfo): void {
    info.endedAt = this.#clock.now();
    const context: FormatContext = { info, request: NO_REQUEST, responseHeaders: null, responseTrailers: null };
    for (const log of this.#loggers) log(context);
  }
}
