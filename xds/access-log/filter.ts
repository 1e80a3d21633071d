/** Which requests an access log tells of: `accesslog.v3.AccessLogFilter`. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  type AccessLogFilter as AccessLogFilterMessage,
  AccessLogFilterSchema,
  type ComparisonFilter,
  ComparisonFilter_OpSchema,
  ComparisonFilter_Op as Op,
  type RuntimeFilter,
} from "../../generated/envoy/config/accesslog/v3/accesslog_pb.js";
import type { AccessLogFilter } from "../../model/access-log.ts";
import type { Fraction } from "../../model/matcher.ts";
import { decodeHeaderMatcher, encodeHeaderMatcher } from "../matcher.ts";
import type { Place } from "../place.ts";
import { fraction, fractionOf, numberOf, wordOf } from "../values.ts";

/** Envoy wants a key, which nothing sets. */
const SAMPLE_KEY = "access_log.sample";

const OPS = { [Op.EQ]: "eq", [Op.GE]: "ge", [Op.LE]: "le", [Op.NE]: "ne" } as const;

/** Every flag that Envoy knows, those that Outrigger never sets too: they are no error, they just never match. */
const FLAGS: ReadonlySet<string> = new Set(
  "LH UH UT LR UR UF UC UO NR DI FI RL UAEX RLSE DC URX SI IH DPE UMSDR RFCF NFCF DT UPE NC OM DF DO DR UDO".split(" "),
);

const NOTHING: Fraction = { numerator: 0, denominator: 100 };

const ALL: AccessLogFilter = { kind: "status_code", op: "ge", value: 0 };

export function decodeAccessLogFilter(message: AccessLogFilterMessage, at: Place): AccessLogFilter {
  const { filterSpecifier: filter } = message;
  switch (filter.case) {
    case "statusCodeFilter":
      return { kind: "status_code", ...decodeComparison(filter.value.comparison, at.field("status_code_filter")) };
    case "durationFilter":
      return { kind: "duration", ...decodeComparison(filter.value.comparison, at.field("duration_filter")) };
    case "notHealthCheckFilter":
      return { kind: "not_health_check" };
    case "traceableFilter":
      return { kind: "traceable" };
    case "runtimeFilter":
      return decodeSample(filter.value, at.field("runtime_filter"));
    case "grpcStatusFilter":
      return { kind: "grpc_status", statuses: [...filter.value.statuses], exclude: filter.value.exclude };
    case "andFilter":
    case "orFilter": {
      const and = filter.case === "andFilter";
      const place = at.field(and ? "and_filter" : "or_filter");
      if (filter.value.filters.length < 2) place.field("filters").error("must hold two filters or more");
      const filters = filter.value.filters.map((inner, i) => decodeAccessLogFilter(inner, place.item("filters", i)));
      return { kind: and ? "and" : "or", filters };
    }
    case "headerFilter": {
      const place = at.field("header_filter").field("header");
      if (filter.value.header) return { kind: "header", header: decodeHeaderMatcher(filter.value.header, place) };
      place.error("is required");
      return ALL;
    }
    case "responseFlagFilter":
      filter.value.flags.forEach((flag, i) => {
        if (!FLAGS.has(flag)) at.field("response_flag_filter").item("flags", i).error(`${flag} is no response flag`);
      });
      return { kind: "response_flag", flags: [...filter.value.flags] };
    default:
      at.error("a filter must say what it looks at");
      return ALL;
  }
}

/** Without a share nothing is logged, unless the runtime names one in whole percents. */
function decodeSample(message: RuntimeFilter, at: Place): AccessLogFilter {
  if (message.runtimeKey === "") at.field("runtime_key").error("is required");
  const override = at.findings.runtime.get(message.runtimeKey);
  const given = message.percentSampled ? fractionOf(message.percentSampled) : NOTHING;
  return {
    kind: "sample",
    fraction: typeof override === "number" ? { ...given, numerator: override } : given,
    independent: message.useIndependentRandomness,
  };
}

/** The value may be overridden by the runtime key, as everywhere in Envoy. */
function decodeComparison(
  comparison: ComparisonFilter | undefined,
  at: Place,
): { op: "eq" | "ge" | "le" | "ne"; value: number } {
  const place = at.field("comparison");
  if (!comparison?.value) {
    (comparison ? place.field("value") : place).error("is required");
    return { op: "eq", value: 0 };
  }
  const { defaultValue, runtimeKey } = comparison.value;
  const override = at.findings.runtime.get(runtimeKey);
  return {
    op: wordOf(ComparisonFilter_OpSchema, comparison.op, OPS, place.field("op")) ?? "eq",
    value: typeof override === "number" ? override : defaultValue,
  };
}

type SpecifierInit = NonNullable<MessageInitShape<typeof AccessLogFilterSchema>["filterSpecifier"]>;

export function encodeAccessLogFilter(filter: AccessLogFilter): AccessLogFilterMessage {
  return create(AccessLogFilterSchema, { filterSpecifier: specifierInit(filter) });
}

function specifierInit(filter: AccessLogFilter): SpecifierInit {
  switch (filter.kind) {
    case "status_code":
    case "duration": {
      // Envoy before 1.31 wants a runtime key.
      const value = { defaultValue: filter.value, runtimeKey: `access_log.${filter.kind}` };
      const comparison = { comparison: { op: numberOf(OPS, filter.op), value } };
      return filter.kind === "status_code"
        ? { case: "statusCodeFilter", value: comparison }
        : { case: "durationFilter", value: comparison };
    }
    case "not_health_check":
      return { case: "notHealthCheckFilter", value: {} };
    case "traceable":
      return { case: "traceableFilter", value: {} };
    case "sample": {
      const percentSampled = fraction(filter.fraction);
      const useIndependentRandomness = filter.independent;
      return { case: "runtimeFilter", value: { runtimeKey: SAMPLE_KEY, percentSampled, useIndependentRandomness } };
    }
    case "grpc_status":
      return { case: "grpcStatusFilter", value: { statuses: [...filter.statuses], exclude: filter.exclude } };
    case "and":
      return { case: "andFilter", value: { filters: filter.filters.map(encodeAccessLogFilter) } };
    case "or":
      return { case: "orFilter", value: { filters: filter.filters.map(encodeAccessLogFilter) } };
    case "header":
      return { case: "headerFilter", value: { header: encodeHeaderMatcher(filter.header) } };
    case "response_flag":
      return { case: "responseFlagFilter", value: { flags: [...filter.flags] } };
  }
}
