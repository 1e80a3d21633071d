/** How HTTP/1 header names are written: `Http1ProtocolOptions.HeaderKeyFormat`. Outrigger keeps their case as it came. */
import type { Http1ProtocolOptions } from "../generated/envoy/config/core/v3/protocol_pb.js";
import { PreserveCaseFormatterConfigSchema } from "../generated/envoy/extensions/http/header_formatters/preserve_case/v3/preserve_case_pb.js";
import { unpackExtension } from "./extension.ts";
import type { Place } from "./place.ts";

/** Keeping the case may be asked for; anything else is an error. */
export function checkHeaderKeyFormat(options: Http1ProtocolOptions, at: Place): void {
  const { headerFormat } = options.headerKeyFormat ?? {};
  if (headerFormat?.case === "properCaseWords") at.field("proper_case_words").error("is not supported yet");
  if (headerFormat?.case !== "statefulFormatter") return;
  const place = at.field("stateful_formatter").field("typed_config");
  const preserve = unpackExtension(headerFormat.value.typedConfig, [PreserveCaseFormatterConfigSchema], place);
  if (preserve) place.note("ignored: HTTP/1 header names always keep their case");
}
