/** Bytes given in place, in a file or in an environment variable: `core.v3.DataSource`. */
import { create } from "@bufbuild/protobuf";
import { messageOf } from "../core/errors.ts";
import { type DataSource, DataSourceSchema } from "../generated/envoy/config/core/v3/base_pb.js";
import type { Place } from "./place.ts";

const utf8 = new TextDecoder();

/** The text of a data source, "" if there is none or after an error was reported. */
export function decodeText(source: DataSource | undefined, at: Place): string {
  const bytes = decodeData(source, at);
  return typeof bytes === "string" ? bytes : utf8.decode(bytes);
}

function decodeData(source: DataSource | undefined, at: Place): Uint8Array | string {
  if (!source) return "";
  const { specifier } = source;
  switch (specifier.case) {
    case "inlineString":
    case "inlineBytes":
      return specifier.value;
    case "filename":
      try {
        return at.findings.options.readFile(specifier.value);
      } catch (error) {
        at.field("filename").error(`cannot read ${JSON.stringify(specifier.value)}: ${messageOf(error)}`);
        return "";
      }
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

/** Text in place; undefined for "". */
export function encodeText(text: string): DataSource | undefined {
  if (text === "") return undefined;
  return create(DataSourceSchema, { specifier: { case: "inlineString", value: text } });
}
