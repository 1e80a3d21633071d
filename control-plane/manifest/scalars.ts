/** The small values that several kinds share: names, durations, ports, percentages. */
import { checked, mapped, matching, number, type Schema, string } from "./schema.ts";

/** GEP-2257 (Gateway API): up to four whole numbers with units, `1m30s`. */
const DURATION = /^([0-9]{1,5}(h|m|s|ms)){1,4}$/;
const UNIT_MS: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1000, ms: 1 };

/** Milliseconds of a Gateway API duration; null where it is none. */
export function parseDuration(text: string): number | null {
  if (!DURATION.test(text)) return null;
  let total = 0;
  for (const part of text.matchAll(/([0-9]+)(ms|h|m|s)/g)) total += Number(part[1]) * (UNIT_MS[part[2] ?? ""] ?? 0);
  return total;
}

/** The longest that `DURATION` takes. */
const DURATION_LENGTH = 4 * "99999ms".length;

const durationText = matching(
  DURATION,
  DURATION_LENGTH,
  (value) => `"${value}" is not a duration: write numbers with units h, m, s or ms, as in 1m30s or 250ms`,
);

/** A duration in milliseconds, at least `minMs`. */
export function duration(minMs = 0): Schema<number> {
  const message = `must be at least ${minMs}ms`;
  const text = checked(
    durationText,
    (value, complain) => {
      if ((parseDuration(value) ?? 0) < minMs) complain(message);
    },
    minMs === 0 ? [] : [{ rule: `duration(self) >= duration('${minMs}ms')`, message }],
  );
  return mapped(text, (value) => parseDuration(value) ?? 0);
}

const LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

/** RFC 1123 label: what Kubernetes takes as the name of a Service or a namespace. */
export const dnsLabel: Schema<string> = matching(
  LABEL,
  63,
  (value) => `"${value}" is not a DNS label (lower-case letters, digits and -, at most 63 long)`,
);

/** RFC 1123 subdomain: what Kubernetes takes as the name of most objects. */
export const dnsSubdomain: Schema<string> = matching(
  SUBDOMAIN,
  253,
  (value) => `"${value}" is not a DNS name (lower-case letters, digits, - and .)`,
);

/** A host name without wildcard, port or scheme. */
export const hostname: Schema<string> = matching(SUBDOMAIN, 253, (value) => `"${value}" is not a host name`);

export const portNumber: Schema<number> = number(1, 65535);

/** 0 to 100, fractions allowed. */
export const percent: Schema<number> = number(0, 100, true);

const TOKEN = /^[A-Za-z0-9!#$%&'*+\-.^_|~`]+$/;

/** RFC 9110, section 5.1. */
export const headerName: Schema<string> = string((value) =>
  TOKEN.test(value) ? null : `"${value}" is not a header name`,
);

/** RFC 9110, section 5.5: no control characters. */
export const headerValue: Schema<string> = string((value) =>
  /[\0-\x08\x0a-\x1f\x7f]/.test(value) ? "holds a control character" : null,
);

export const HTTP_METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"] as const;
