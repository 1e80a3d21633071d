/** Which requests an access log writes (`envoy.config.accesslog.v3.AccessLogFilter`), compiled. */
import type { Random } from "../../core/random.ts";
import type { AccessLogFilter } from "../../model/access-log.ts";
import { Flag, type FlagName } from "../../model/flags.ts";
import type { HeaderMatch } from "../../model/matcher.ts";
import type { FormatContext } from "../format/context.ts";
import { grpcStatusOfResponse } from "../format/grpc-status.ts";
import { GrpcStatus } from "../grpc/status.ts";
import type { RequestView } from "../stream-info.ts";

export type LogTest = (context: FormatContext) => boolean;

/** Compiles header matchers: given by the data plane, which has the matchers of routes. */
export type CompileHeaderMatch = (match: HeaderMatch) => (request: RequestView) => boolean;

export function compileLogFilter(filter: AccessLogFilter, compileHeader: CompileHeaderMatch, random: Random): LogTest {
  switch (filter.kind) {
    case "status_code": {
      const compare = comparison(filter.op, filter.value);
      return (c) => compare(c.info.responseCode);
    }
    case "duration": {
      const compare = comparison(filter.op, filter.value);
      return ({ info }) => compare(Math.floor(info.endedAt - info.startedAt));
    }
    case "not_health_check":
      // Only Envoy's health check filter marks requests as such, and there is none here.
      return () => true;
    case "traceable":
      return (c) => c.info.sampled;
    case "sample": {
      const { fraction, independent } = filter;
      return (c) => {
        const id = independent ? null : numberOfId(c.request.headers.get("x-request-id"));
        return (id ?? Math.floor(random() * WHOLE)) % fraction.denominator < fraction.numerator;
      };
    }
    case "grpc_status": {
      const { statuses, exclude } = filter;
      return (c) => statuses.includes(grpcStatusOfResponse(c) ?? GrpcStatus.unknown) !== exclude;
    }
    case "response_flag": {
      const bits = filter.flags.reduce((sum, name) => sum | (Flag[name as FlagName] ?? 0), 0);
      // Without names, any flag will do.
      return filter.flags.length === 0 ? (c) => c.info.flags !== 0 : (c) => (c.info.flags & bits) !== 0;
    }
    case "header": {
      const test = compileHeader(filter.header);
      return (c) => test(c.request);
    }
    case "and": {
      const tests = filter.filters.map((part) => compileLogFilter(part, compileHeader, random));
      return (c) => tests.every((test) => test(c));
    }
    case "or": {
      const tests = filter.filters.map((part) => compileLogFilter(part, compileHeader, random));
      return (c) => tests.some((test) => test(c));
    }
  }
}

/** As many equally likely values as the drawn number may have. */
const WHOLE = 2 ** 32;

/** The first 32 bits of a UUID, as Envoy samples by them; null for another kind of id. */
function numberOfId(id: string | null): number | null {
  return id !== null && id.length === 36 && /^[0-9a-f]{8}-/i.test(id) ? Number.parseInt(id.slice(0, 8), 16) : null;
}

/** The test that a `ComparisonFilter` makes. */
export function comparison(op: "eq" | "ge" | "le" | "ne", value: number): (actual: number) => boolean {
  switch (op) {
    case "eq":
      return (actual) => actual === value;
    case "ge":
      return (actual) => actual >= value;
    case "le":
      return (actual) => actual <= value;
    case "ne":
      return (actual) => actual !== value;
  }
}
