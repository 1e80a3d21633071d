/** Takes private material out of a configuration before it is shown, whatever gave it. */
import type { JsonValue } from "../../model/bootstrap.ts";

/** Fields that Envoy marks sensitive, of the messages that Outrigger knows. */
const SENSITIVE: ReadonlySet<string> = new Set(["private_key", "password"]);

/** Envoy's word; for bytes in base64. */
const REDACTED = "[redacted]";
const REDACTED_BYTES = Buffer.from(REDACTED).toString("base64");

/** A copy of `value` without private keys and passwords. Names of files stay: they are no secret. */
export function redact(value: JsonValue, sensitive = false): JsonValue {
  if (value === null || typeof value !== "object") return value;
  if (Array.isArray(value)) return value.map((item: JsonValue) => redact(item, sensitive));
  const copy: Record<string, JsonValue> = {};
  for (const [key, field] of Object.entries(value as Readonly<Record<string, JsonValue>>)) {
    if (sensitive && key === "inline_string") copy[key] = REDACTED;
    else if (sensitive && key === "inline_bytes") copy[key] = REDACTED_BYTES;
    else copy[key] = redact(field, sensitive || SENSITIVE.has(key));
  }
  return copy;
}
