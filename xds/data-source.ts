/** Bytes given in place, in a file or in an environment variable: `core.v3.DataSource`. */
import { create } from "@bufbuild/protobuf";
import { messageOf } from "../core/errors.ts";
import { type DataSource, DataSourceSchema } from "../generated/envoy/config/core/v3/base_pb.js";
import type { Place } from "./place.ts";

const utf8 = new TextDecoder();

/** Like `decodeText`, for what must not be empty if it is given. */
export function decodeMaterial(source: DataSource | undefined, at: Place): string {
  const before = at.findings.problems.length;
  const text = decodeText(source, at);
  if (source && text === "" && at.findings.problems.length === before) at.error("is empty");
  return text;
}

/** The text of a data source, "" if there is none or after an error was reported. */
export function decodeText(source: DataSource | undefined, at: Place): string {
  if (!source) return "";
  const { specifier } = source;
  switch (specifier.case) {
    case "inlineString":
      return specifier.value;
    case "inlineBytes":
      return utf8.decode(specifier.value);
    case "filename":
      return readFile(specifier.value, at);
    case "environmentVariable": {
      const value = at.findings.options.environment[specifier.value];
      if (value === undefined) at.field("environment_variable").error(`${specifier.value} is not set`);
      return value ?? "";
    }
    default:
      at.error("one of filename, inline_string, inline_bytes, environment_variable is required");
      return "";
  }
}

function readFile(path: string, at: Place): string {
  const { files, options } = at.findings;
  let text = files.get(path);
  if (text !== undefined) return text;
  try {
    text = utf8.decode(options.readFile(path));
    files.set(path, text);
    return text;
  } catch (error) {
    at.field("filename").error(`cannot read ${JSON.stringify(path)}: ${messageOf(error)}`);
    return "";
  }
}

/** Text in place; undefined for "". */
export function encodeText(text: string): DataSource | undefined {
  if (text === "") return undefined;
  return create(DataSourceSchema, { specifier: { case: "inlineString", value: text } });
}
