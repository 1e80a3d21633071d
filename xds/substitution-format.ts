/** `core.v3.SubstitutionFormatString`: text or JSON with command operators, for access logs and local replies. */
import { create } from "@bufbuild/protobuf";
import { DataSourceSchema } from "../generated/envoy/config/core/v3/base_pb.js";
import {
  type SubstitutionFormatString,
  SubstitutionFormatStringSchema,
} from "../generated/envoy/config/core/v3/substitution_format_string_pb.js";
import type { LocalReplyFormat } from "../model/http.ts";
import { decodeText } from "./data-source.ts";
import { checkTemplate, decodeJsonTemplate, encodeJsonTemplate } from "./format.ts";
import { checkHeaderValue } from "./header-name.ts";
import type { Place } from "./place.ts";

export type Format = LocalReplyFormat["format"];

/** Without `omit_empty_values`, which is the caller's to support or refuse. */
export function decodeFormat(message: SubstitutionFormatString, at: Place): Format {
  const { format } = message;
  switch (format.case) {
    case "textFormat":
      return { kind: "text", template: checkTemplate(format.value, at.field("text_format")) };
    case "textFormatSource": {
      const place = at.field("text_format_source");
      return { kind: "text", template: checkTemplate(decodeText(format.value, place), place) };
    }
    case "jsonFormat":
      return { kind: "json", fields: decodeJsonTemplate(format.value, at.field("json_format")) };
    default:
      at.error("one of text_format_source and json_format is required");
      return { kind: "text", template: "" };
  }
}

export function encodeFormat(format: Format): SubstitutionFormatString {
  if (format.kind === "json") {
    return create(SubstitutionFormatStringSchema, {
      format: { case: "jsonFormat", value: encodeJsonTemplate(format.fields) },
    });
  }
  // Built here and not by encodeText: an empty text is a format too.
  const source = create(DataSourceSchema, { specifier: { case: "inlineString", value: format.template } });
  return create(SubstitutionFormatStringSchema, { format: { case: "textFormatSource", value: source } });
}

/** With its content type, which follows from the form if it is not given. */
export function decodeReplyFormat(message: SubstitutionFormatString, at: Place): LocalReplyFormat {
  if (message.omitEmptyValues) at.field("omit_empty_values").error("is not supported in local replies yet");
  const format = decodeFormat(message, at);
  const given = checkHeaderValue(message.contentType, at.field("content_type"));
  return { contentType: given || (format.kind === "json" ? "application/json" : "text/plain"), format };
}

export function encodeReplyFormat(reply: LocalReplyFormat): SubstitutionFormatString {
  const message = encodeFormat(reply.format);
  message.contentType = reply.contentType;
  return message;
}
