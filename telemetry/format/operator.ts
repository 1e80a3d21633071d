/** The contract of a command operator, and the few shapes that most of them have. */
import type { JsonValue } from "../../model/bootstrap.ts";
import { type Command, type Extract, FormatError } from "./context.ts";

/** Checks a command's argument and turns it into the function that reads a request. Throws `FormatError`. */
export type Operator = (command: Command) => Extract;

export type OperatorTable = Readonly<Record<string, Operator>>;

/** An operator that takes neither an argument nor a length. */
export function plain(extract: Extract): Operator {
  return (command) => {
    if (command.argument !== null || command.maxLength !== null) {
      throw new FormatError(`${command.name} does not take any parameters or length`, command.position);
    }
    return extract;
  };
}

/** An operator whose argument must be given; `compile` gets it. Its text is cut to the length, where there is one. */
export function withArgument(compile: (argument: string, command: Command) => Extract): Operator {
  return (command) => {
    if (command.argument === null || command.argument === "") {
      throw new FormatError(`${command.name} requires parameters`, command.position);
    }
    return truncated(compile(command.argument, command), command.maxLength);
  };
}

/** An operator whose argument may be left out, and which takes no length. */
export function optionalArgument(compile: (argument: string | null, command: Command) => Extract): Operator {
  return (command) => {
    if (command.maxLength !== null) {
      throw new FormatError(`${command.name} does not allow length to be specified`, command.position);
    }
    return compile(command.argument, command);
  };
}

/** Cuts what `extract` gives to `maxLength` characters; a value that is not text becomes text by being cut. */
export function truncated(extract: Extract, maxLength: number | null): Extract {
  if (maxLength === null) return extract;
  return (context) => {
    const value = extract(context);
    return value === null ? null : textOf(value).slice(0, maxLength);
  };
}

/** A value as text: strings as they are, anything else as JSON. */
export function textOf(value: JsonValue): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** Envoy prints an empty string as a missing value in most places. */
export function orNull(text: string): string | null {
  return text === "" ? null : text;
}

/** The UTF-8 bytes of `text`, as a latin1 string; ASCII, nearly always, is returned as it is. */
export function utf8(text: string): string {
  return NOT_ASCII.test(text) ? Buffer.from(text, "utf8").toString("latin1") : text;
}

const NOT_ASCII = /[^\x00-\x7f]/;

/** Makes bytes of the text that `extract` gives. Without it, U+010A in a certificate's name would be sent as a newline. */
export function toBytes(extract: Extract): Extract {
  return (context) => {
    const value = extract(context);
    if (typeof value === "string") return utf8(value);
    return value !== null && typeof value === "object" ? mapText(value) : value;
  };
}

function mapText(value: JsonValue): JsonValue {
  return JSON.parse(utf8(JSON.stringify(value))) as JsonValue;
}
