/**
 * Request headers with which a caller steers retries and timeouts (Envoy's router filter: "HTTP headers consumed from
 * downstream calls"). Most requests have none of them, which one look at each field finds out.
 */
import { HeaderGroups, type HeaderMap } from "../../core/header-map.ts";

export const RETRY_ON = "x-envoy-retry-on";
export const RETRY_GRPC_ON = "x-envoy-retry-grpc-on";
export const MAX_RETRIES = "x-envoy-max-retries";
export const RETRIABLE_STATUS_CODES = "x-envoy-retriable-status-codes";
export const RETRIABLE_HEADER_NAMES = "x-envoy-retriable-header-names";
export const HEDGE_ON_PER_TRY_TIMEOUT = "x-envoy-hedge-on-per-try-timeout";
export const UPSTREAM_TIMEOUT = "x-envoy-upstream-rq-timeout-ms";
export const PER_TRY_TIMEOUT = "x-envoy-upstream-rq-per-try-timeout-ms";
export const EXPECTED_TIMEOUT = "x-envoy-expected-rq-timeout-ms";

const RETRY_BIT = 1;
const TIMEOUT_BIT = 2;

const RETRY_HEADERS = [
  RETRY_ON,
  RETRY_GRPC_ON,
  MAX_RETRIES,
  RETRIABLE_STATUS_CODES,
  RETRIABLE_HEADER_NAMES,
  HEDGE_ON_PER_TRY_TIMEOUT,
];

const groups = new HeaderGroups()
  .add(RETRY_BIT, RETRY_HEADERS)
  .add(TIMEOUT_BIT, [UPSTREAM_TIMEOUT, PER_TRY_TIMEOUT, EXPECTED_TIMEOUT]);

/** Whether there may be headers about retries; false is certain. */
export function mayHaveRetryHeaders(headers: HeaderMap): boolean {
  return (headers.groups(groups) & RETRY_BIT) !== 0;
}

/** Whether there may be headers about timeouts; false is certain. */
export function mayHaveTimeoutHeaders(headers: HeaderMap): boolean {
  return (headers.groups(groups) & TIMEOUT_BIT) !== 0;
}

/** Envoy consumes them: the upstream does not see them. */
export function removeRetryHeaders(headers: HeaderMap): void {
  for (const name of RETRY_HEADERS) headers.remove(name);
}

/** An unsigned decimal number, as Envoy reads these headers; null for anything else, a list of several fields too. */
export function parseUnsigned(text: string | null): number | null {
  return text !== null && /^[ \t]*\+?\d+[ \t]*$/.test(text) ? Number(text) : null;
}

/** The items of a comma-separated header, without white space around them and without empty ones. */
export function splitList(text: string): string[] {
  return text
    .split(",")
    .map((item) => item.trim())
    .filter((item) => item !== "");
}
