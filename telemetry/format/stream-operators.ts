/** Commands that read the course of a request: outcome, timings, bytes, and where it went. */
import type { JsonValue } from "../../model/bootstrap.ts";
import { formatConnectionFlags, formatConnectionFlagsLong, formatFlags, formatFlagsLong } from "../../model/flags.ts";
import type { StreamInfo } from "../stream-info.ts";
import { type Command, type Extract, FormatError } from "./context.ts";
import { filterState } from "./grpc-status.ts";
import { type OperatorTable, optionalArgument, orNull, plain, withArgument } from "./operator.ts";

/** Whole milliseconds from one time point to another, null where either has not happened. */
function milliseconds(from: number, to: number): number | null {
  return from === 0 || to === 0 ? null : Math.floor(to - from);
}

/** Time points of `%COMMON_DURATION(START:END:PRECISION)%` that Outrigger records. */
const TIME_POINTS: Record<string, (info: StreamInfo) => number> = {
  DS_RX_BEG: (i) => i.startedAt,
  DS_RX_END: (i) => i.requestEndAt,
  US_TX_BEG: (i) => i.upstreamFirstByteSentAt,
  US_TX_END: (i) => i.upstreamLastByteSentAt,
  US_RX_BEG: (i) => i.upstreamFirstByteReceivedAt,
  US_RX_END: (i) => i.upstreamLastByteReceivedAt,
  DS_TX_END: (i) => i.endedAt,
};
const PRECISION: Record<string, number> = { ms: 1, us: 1e3, ns: 1e6 };

function compileCommonDuration(argument: string, command: Command): Extract {
  const [from = "", to = "", precision = "", ...rest] = argument.split(":");
  const start = TIME_POINTS[from];
  const end = TIME_POINTS[to];
  const factor = PRECISION[precision];
  if (start === undefined || end === undefined || factor === undefined || rest.length > 0) {
    throw new FormatError(`invalid COMMON_DURATION arguments ${argument}`, command.position);
  }
  return ({ info }) => {
    const from = start(info);
    const to = end(info);
    return from === 0 || to === 0 || to < from ? null : Math.floor((to - from) * factor);
  };
}

/** `%DYNAMIC_METADATA(namespace:key)%`: without a key, all of the namespace. */
function compileMetadata(argument: string): Extract {
  const [namespace = "", ...keys] = argument.split(":");
  return ({ info }) => {
    const facts = info.metadata?.[namespace];
    if (facts === undefined) return null;
    let value: JsonValue = facts;
    for (const key of keys) {
      if (value === null || typeof value !== "object" || Array.isArray(value)) return null;
      const next: JsonValue | undefined = (value as Readonly<Record<string, JsonValue>>)[key];
      if (next === undefined) return null;
      value = next;
    }
    return value;
  };
}

/** Envoy keeps a log line's columns apart by putting underscores for white space in details. */
const underscored = (text: string): string | null => orNull(text.replaceAll(/\s/g, "_"));

const isRequest = ({ logType }: StreamInfo): boolean => logType === "DownstreamEnd";

export const STREAM_OPERATORS: OperatorTable = {
  RESPONSE_CODE: plain((c) => c.info.responseCode),
  RESPONSE_CODE_DETAILS: optionalArgument((argument, command) => {
    if (argument !== null && argument !== "" && argument !== "ALLOW_WHITESPACES") {
      throw new FormatError(`RESPONSE_CODE_DETAILS takes ALLOW_WHITESPACES, not ${argument}`, command.position);
    }
    return argument === "ALLOW_WHITESPACES"
      ? (c) => orNull(c.info.responseCodeDetails)
      : (c) => underscored(c.info.responseCodeDetails);
  }),
  RESPONSE_FLAGS: plain(({ info }) => (isRequest(info) ? formatFlags(info.flags) : formatConnectionFlags(info.flags))),
  RESPONSE_FLAGS_LONG: plain(({ info }) =>
    isRequest(info) ? formatFlagsLong(info.flags) : formatConnectionFlagsLong(info.flags),
  ),
  BYTES_RECEIVED: plain((c) => c.info.bytesReceived),
  BYTES_SENT: plain((c) => c.info.bytesSent),
  DURATION: plain(({ info }) => milliseconds(info.startedAt, info.endedAt)),
  REQUEST_DURATION: plain(({ info }) => milliseconds(info.startedAt, info.requestEndAt)),
  REQUEST_TX_DURATION: plain(({ info }) => milliseconds(info.startedAt, info.upstreamLastByteSentAt)),
  RESPONSE_DURATION: plain(({ info }) => milliseconds(info.startedAt, info.upstreamFirstByteReceivedAt)),
  RESPONSE_TX_DURATION: plain(({ info }) => milliseconds(info.upstreamFirstByteReceivedAt, info.endedAt)),
  COMMON_DURATION: withArgument(compileCommonDuration),
  ROUTE_NAME: plain((c) => orNull(c.info.routeName)),
  // Virtual clusters are not configurable in Outrigger, so a request never has one.
  VIRTUAL_CLUSTER_NAME: plain(() => null),
  UPSTREAM_CLUSTER: plain((c) => orNull(c.info.cluster)),
  UPSTREAM_CLUSTER_RAW: plain((c) => orNull(c.info.cluster)),
  UPSTREAM_PROTOCOL: plain((c) => orNull(c.info.upstreamProtocol)),
  UPSTREAM_REQUEST_ATTEMPT_COUNT: plain((c) => c.info.attempts),
  UPSTREAM_TRANSPORT_FAILURE_REASON: plain((c) => underscored(c.info.upstreamTransportFailure)),
  CONNECTION_TERMINATION_DETAILS: plain((c) => orNull(c.info.terminationDetails)),
  // Said of connections that never became a request; this log is written per request.
  DOWNSTREAM_TRANSPORT_FAILURE_REASON: plain(() => null),
  ACCESS_LOG_TYPE: plain((c) => c.info.logType),
  LOCAL_REPLY_BODY: plain((c) => c.localReplyBody ?? ""),
  TRACE_ID: plain((c) => orNull(c.info.traceId)),
  SPAN_ID: plain((c) => orNull(c.info.spanId)),
  STREAM_ID: plain((c) => c.request.headers.get("x-request-id") ?? orNull(c.info.streamId)),
  DYNAMIC_METADATA: withArgument(compileMetadata),
  FILTER_STATE: withArgument(filterState),
  // Outrigger's own, which Envoy does not know.
  OUTRIGGER_EXPLANATION: plain((c) => orNull(c.info.explanation)),
};
