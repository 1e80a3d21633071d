/** Access logs: `envoy.config.accesslog.v3.AccessLog` with the file, stdout and stderr sinks. */
import type { JsonTemplate } from "./http.ts";
import type { Fraction, HeaderMatch } from "./matcher.ts";

export interface AccessLog {
  readonly sink:
    | { readonly kind: "file"; readonly path: string }
    | { readonly kind: "stdout" }
    | { readonly kind: "stderr" };
  readonly format: (
    | /** Text with command operators; Envoy's default format where `template` is "". */
    { readonly kind: "text"; readonly template: string }
    | { readonly kind: "json"; readonly fields: JsonTemplate }
  ) & {
    /** `omit_empty_values`: missing values are written as nothing instead of "-" or null. */
    readonly omitEmpty?: boolean;
  };
  readonly filter: AccessLogFilter | null;
}

export type AccessLogFilter =
  | { readonly kind: "status_code" | "duration"; readonly op: "eq" | "ge" | "le" | "ne"; readonly value: number }
  | { readonly kind: "not_health_check" }
  /** Requests whose trace is recorded. */
  | { readonly kind: "traceable" }
  /** A share of the requests, by their request id so that all proxies choose the same ones; `independent`: each its own. */
  | { readonly kind: "sample"; readonly fraction: Fraction; readonly independent: boolean }
  /** `exclude`: all but these. A response that is not gRPC's stands for the status that its HTTP status means. */
  | { readonly kind: "grpc_status"; readonly statuses: readonly number[]; readonly exclude: boolean }
  | { readonly kind: "response_flag"; readonly flags: readonly string[] }
  | { readonly kind: "header"; readonly header: HeaderMatch }
  | { readonly kind: "and" | "or"; readonly filters: readonly AccessLogFilter[] };
