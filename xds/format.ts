/**
 * Format strings (`%RESPONSE_CODE%`) in header values, access logs and local replies. They are compiled by
 * `telemetry/format.ts`, a stranger to this folder: its check comes in through the options, so that a format which
 * cannot be compiled is refused where it stands.
 */
import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import type { JsonTemplate } from "../model/http.ts";
import type { Place } from "./place.ts";

/** Reports what is wrong with a format string. Returns it. */
export function checkTemplate(template: string, at: Place): string {
  // Nearly all header values are plain text.
  if (!template.includes("%")) return template;
  const problem = at.findings.options.checkFormat?.(template);
  if (problem) at.error(`not a valid format: ${problem}`);
  return template;
}

/** A JSON format: each string in it is a format string. */
export function decodeJsonTemplate(json: JsonValue, at: Place): JsonTemplate {
  if (typeof json === "string") return checkTemplate(json, at);
  if (Array.isArray(json)) return json.map((item) => decodeJsonTemplate(item, at));
  if (typeof json === "object" && json !== null) {
    return Object.fromEntries(
      Object.entries(json).map(([key, value]) => [key, decodeJsonTemplate(value, at.field(key))]),
    );
  }
  return json;
}

/** The `Struct` of a JSON format, as protobuf-es takes it. */
export function encodeJsonTemplate(template: JsonTemplate): JsonObject {
  const json = template as JsonValue;
  if (typeof json === "object" && json !== null && !Array.isArray(json)) return json;
  throw new TypeError("a JSON format is an object");
}
