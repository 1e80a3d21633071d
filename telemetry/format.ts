/**
 * Envoy's format strings (`%REQ(:PATH)%`, `%RESPONSE_CODE%`), for access logs, header values and local replies. They
 * are compiled when configuration arrives; running one reads a request and builds a string.
 *
 * Strings hold bytes (latin1), as header values do: what a peer sent passes through unchanged, and text of our own is
 * UTF-8. Write them with the encoding `latin1`.
 */
import { isUtf8 } from "node:buffer";
import type { JsonTemplate } from "../model/http.ts";
import { CONNECTION_OPERATORS } from "./format/connection-operators.ts";
import { type Extract, type FormatContext, FormatError } from "./format/context.ts";
import { HEADER_OPERATORS } from "./format/header-operators.ts";
import { type OperatorTable, textOf, toBytes, utf8 } from "./format/operator.ts";
import { PROCESS_OPERATORS } from "./format/process-operators.ts";
import { STREAM_OPERATORS } from "./format/stream-operators.ts";
import { parseTemplate, type Segment } from "./format/template.ts";

export type { FormatContext } from "./format/context.ts";

/** Operators whose strings are ours; those of `HEADER_OPERATORS` already hold a peer's bytes. */
const OWN_OPERATORS: OperatorTable = { ...STREAM_OPERATORS, ...CONNECTION_OPERATORS, ...PROCESS_OPERATORS };

/** The text whose bytes a format wrote; bytes that are no UTF-8 become U+FFFD. For bodies, which are built as text. */
export function textOfBytes(bytes: string): string {
  return Buffer.from(bytes, "latin1").toString("utf8");
}

/** What Envoy's access log writes where no format is given. */
export const DEFAULT_LOG_FORMAT =
  '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% ' +
  '%BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" ' +
  '"%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%"\n';

export interface FormatOptions {
  /** What stands for a missing value: "-" (the default) in logs and bodies, "" in header values. */
  readonly missing?: "-" | "";
}

/** A template ready to run. */
export type Format = (context: FormatContext) => string;

/** Compiles a format string. Throws `FormatError`, with the position, for what Envoy would refuse as well. */
export function compileFormat(template: string, options: FormatOptions = {}): Format {
  return joinParts(compileParts(template), options.missing ?? "-");
}

/** What is wrong with a format string, as a sentence with the position; null where nothing is. */
export function checkFormat(template: string): string | null {
  try {
    compileParts(template);
    return null;
  } catch (error) {
    if (error instanceof FormatError) return error.message;
    throw error;
  }
}

export interface JsonFormatOptions {
  /** `omit_empty_values`: leaves out missing values instead of writing null. */
  readonly omitEmpty?: boolean;
}

/**
 * Compiles a JSON template to a function that writes one line of JSON (without the newline), keys sorted as Envoy
 * sorts them. A string that is one command alone keeps the command's own type (a number, an object, null where the
 * value is missing); strings that mix text and commands stay strings. Throws `FormatError`.
 */
export function compileJsonFormat(template: JsonTemplate, options: JsonFormatOptions = {}): Format {
  const write = compileJson(template, options.omitEmpty ?? false);
  return (context) => write(context) ?? "{}";
}

/** Writes a value as JSON; null where it is to be left out. */
type JsonWriter = (context: FormatContext) => string | null;

function compileJson(template: JsonTemplate, omitEmpty: boolean): JsonWriter {
  if (typeof template === "string") return compileJsonString(template, omitEmpty);
  if (isList(template)) {
    const items = template.map((item: JsonTemplate) => compileJson(item, omitEmpty));
    return (context) =>
      `[${items
        .map((item) => item(context))
        .filter((item) => item !== null)
        .join(",")}]`;
  }
  if (template !== null && typeof template === "object") return compileJsonObject(template, omitEmpty);
  const literal = template === null && omitEmpty ? null : JSON.stringify(template);
  return () => literal;
}

function isList(template: JsonTemplate): template is readonly JsonTemplate[] {
  return Array.isArray(template);
}

function compileJsonString(template: string, omitEmpty: boolean): JsonWriter {
  const parts = compileParts(template);
  const [only] = parts;
  if (parts.length !== 1 || typeof only !== "function") {
    const text = joinParts(parts, omitEmpty ? "" : "-");
    return (context) => quoteJson(text(context));
  }
  return (context) => {
    const value = only(context);
    if (typeof value === "string") return quoteJson(value);
    return value === null && omitEmpty ? null : JSON.stringify(value);
  };
}

/** A JSON string. Bytes that are no UTF-8 would make the line invalid: then, as in Envoy, all but plain ASCII is escaped. */
function quoteJson(bytes: string): string {
  if (!/[\x80-\xff]/.test(bytes) || isUtf8(Buffer.from(bytes, "latin1"))) return JSON.stringify(bytes);
  const escaped = bytes.replaceAll(/[^\x20-\x7e]|["\\]/g, (byte) => {
    return `\\u${byte.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
  return `"${escaped}"`;
}

function compileJsonObject(template: { readonly [key: string]: JsonTemplate }, omitEmpty: boolean): JsonWriter {
  const fields = Object.keys(template)
    .sort()
    .map((key) => {
      const write = compileJson(template[key] ?? null, omitEmpty);
      return { prefix: `${utf8(JSON.stringify(key))}:`, write };
    });
  return (context) => {
    let text = "";
    for (const field of fields) {
      const value = field.write(context);
      if (value !== null) text += (text === "" ? "" : ",") + field.prefix + value;
    }
    return text === "" && omitEmpty ? null : `{${text}}`;
  };
}

function compileParts(template: string): (string | Extract)[] {
  return parseTemplate(template).map(compileSegment);
}

function joinParts(parts: readonly (string | Extract)[], missing: string): Format {
  if (parts.every((part) => typeof part === "string")) {
    const literal = parts.join("");
    return () => literal;
  }
  return (context) => {
    let text = "";
    for (const part of parts) {
      if (typeof part === "string") text += part;
      else {
        const value = part(context);
        text += value === null ? missing : textOf(value);
      }
    }
    return text;
  };
}

function compileSegment(segment: Segment): string | Extract {
  if ("literal" in segment) return utf8(segment.literal);
  const { command } = segment;
  if (Object.hasOwn(HEADER_OPERATORS, command.name)) {
    const operator = HEADER_OPERATORS[command.name];
    if (operator !== undefined) return operator(command);
  }
  const operator = Object.hasOwn(OWN_OPERATORS, command.name) ? OWN_OPERATORS[command.name] : undefined;
  if (operator === undefined) {
    throw new FormatError(`command operator ${command.name} is not supported`, command.position);
  }
  return toBytes(operator(command));
}
