/** How answers that the proxy itself gives are changed: `LocalReplyConfig`. */
import { create } from "@bufbuild/protobuf";
import { DataSourceSchema } from "../generated/envoy/config/core/v3/base_pb.js";
import {
  type LocalReplyConfig as LocalReplyConfigMessage,
  LocalReplyConfigSchema,
  type ResponseMapper,
  ResponseMapperSchema,
} from "../generated/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import type { AccessLogFilter } from "../model/access-log.ts";
import type { LocalReplyConfig, LocalReplyFilter, LocalReplyMapper } from "../model/http.ts";
import { decodeAccessLogFilter, encodeAccessLogFilter } from "./access-log/filter.ts";
import { decodeText } from "./data-source.ts";
import { decodeHeadersToAdd, encodeHeaderMutation } from "./header-mutation.ts";
import type { Place } from "./place.ts";
import { decodeReplyFormat, encodeReplyFormat } from "./substitution-format.ts";

const NONE: LocalReplyFilter = { kind: "status_code", op: "le", value: 0 };

export function decodeLocalReply(message: LocalReplyConfigMessage | undefined, at: Place): LocalReplyConfig {
  return {
    mappers: message?.mappers.map((mapper, i) => decodeMapper(mapper, at.item("mappers", i))) ?? [],
    bodyFormat: message?.bodyFormat ? decodeReplyFormat(message.bodyFormat, at.field("body_format")) : null,
  };
}

function decodeMapper(message: ResponseMapper, at: Place): LocalReplyMapper {
  const { statusCode } = message;
  if (!message.filter) at.field("filter").error("is required");
  if (statusCode !== undefined && (statusCode < 200 || statusCode > 599)) {
    at.field("status_code").error(`must be from 200 to 599, got ${statusCode}`);
  }
  const filter = message.filter && decodeAccessLogFilter(message.filter, at.field("filter"));
  const format = message.bodyFormatOverride;
  return {
    filter: filter ? narrow(filter, at.field("filter")) : NONE,
    statusCode: statusCode ?? null,
    body: message.body ? decodeText(message.body, at.field("body")) : null,
    bodyFormat: format ? decodeReplyFormat(format, at.field("body_format_override")) : null,
    headersToAdd: decodeHeadersToAdd(message.headersToAdd, "headers_to_add", at),
  };
}

/** Of the access log's filters, those that can be answered before a reply is sent. */
function narrow(filter: AccessLogFilter, at: Place): LocalReplyFilter {
  switch (filter.kind) {
    case "and":
    case "or":
      return { kind: filter.kind, filters: filter.filters.map((inner) => narrow(inner, at)) };
    case "status_code":
    case "duration":
    case "not_health_check":
    case "response_flag":
    case "header":
      return filter;
    case "traceable":
    case "sample":
    case "grpc_status":
      at.error(`${filter.kind}_filter is not supported in local replies yet`);
      return NONE;
  }
}

/** undefined: nothing is changed. */
export function encodeLocalReply(config: LocalReplyConfig): LocalReplyConfigMessage | undefined {
  if (config.mappers.length === 0 && config.bodyFormat === null) return undefined;
  const message = create(LocalReplyConfigSchema, { mappers: config.mappers.map(encodeMapper) });
  if (config.bodyFormat) message.bodyFormat = encodeReplyFormat(config.bodyFormat);
  return message;
}

function encodeMapper(mapper: LocalReplyMapper): ResponseMapper {
  const message = create(ResponseMapperSchema, {
    filter: encodeAccessLogFilter(mapper.filter),
    headersToAdd: mapper.headersToAdd.map(encodeHeaderMutation),
  });
  if (mapper.statusCode !== null) message.statusCode = mapper.statusCode;
  // An empty body replaces the original one too, so it is not left out.
  if (mapper.body !== null) {
    message.body = create(DataSourceSchema, { specifier: { case: "inlineString", value: mapper.body } });
  }
  if (mapper.bodyFormat) message.bodyFormatOverride = encodeReplyFormat(mapper.bodyFormat);
  return message;
}
