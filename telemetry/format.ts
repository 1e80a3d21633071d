/**
 * Envoy's format strings (`%REQ(:PATH)%`, `%RESPONSE_CODE%`), for access logs, header values and local replies. They
 * are compiled when configuration arrives; running one reads a request and builds a string.
 */
import type { JsonValue } from "../model/bootstrap.ts";
import type { JsonTemplate } from "../model/http.ts";
import { CONNECTION_OPERATORS } from "./format/connection-operators.ts";
import { type Extract, type FormatContext, FormatError } from "./format/context.ts";
import { HEADER_OPERATORS } from "./format/header-operators.ts";
import { type OperatorTable, textOf } from "./format/operator.ts";
import { PROCESS_OPERATORS } from "./format/process-operators.ts";
import { STREAM_OPERATORS } from "./format/stream-operators.ts";
import { parseTemplate, type Segment } from "./format/template.ts";

export type { FormatContext } from "./format/context.ts";

const OPERATORS: OperatorTable = {
  ...HEADER_OPERATORS,
  ...STREAM_OPERATORS,
  ...CONNECTION_OPERATORS,
  ...PROCESS_OPERATORS,
};

export interface FormatOptions {
  /** What stands for a missing value: "-" (the default) in logs and bodies, "" in header values. */
  readonly missing?: "-" | "";
}

/** A template ready to run. */
export type Format = (context: FormatContext) => string;

/** Compiles a format string. Throws `FormatError`, with the position, for what Envoy would refuse as well. */
export function compileFormat(template: string, options: FormatOptions = {}): Format {
  const missing = options.missing ?? "-";
  const parts = compileParts(template);
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

/**
 * Compiles a JSON template. A string that is one command alone gives the command's own type (a number, an object, null
 * where the value is missing); strings that mix text and commands stay strings. Throws `FormatError`.
 */
export function compileJsonFormat(template: JsonTemplate): (context: FormatContext) => JsonValue {
  if (typeof template === "string") {
    const parts = compileParts(template);
    const [only] = parts;
    if (parts.length === 1 && typeof only === "function") return only;
    return compileFormat(template);
  }
  if (Array.isArray(template)) {
    const items = template.map((item: JsonTemplate) => compileJsonFormat(item));
    return (context) => items.map((item) => item(context));
  }
  if (template !== null && typeof template === "object") {
    const fields = Object.entries(template).map(([key, value]) => [key, compileJsonFormat(value)] as const);
    return (context) => {
      const object: Record<string, JsonValue> = {};
      for (const [key, field] of fields) object[key] = field(context);
      return object;
    };
  }
  return () => template;
}

function compileParts(template: string): (string | Extract)[] {
  return parseTemplate(template).map(compileSegment);
}

function compileSegment(segment: Segment): string | Extract {
  if ("literal" in segment) return segment.literal;
  const { command } = segment;
  const operator = Object.hasOwn(OPERATORS, command.name) ? OPERATORS[command.name] : undefined;
  if (operator === undefined) throw new FormatError(`unknown command operator ${command.name}`, command.position);
  return operator(command);
}
