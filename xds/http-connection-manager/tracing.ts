/** How a connection manager's requests are traced: `HttpConnectionManager.Tracing`. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  HttpConnectionManager_TracingSchema,
  type HttpConnectionManager_Tracing as TracingMessage,
} from "../../generated/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import {
  type CustomTag as CustomTagMessage,
  CustomTagSchema,
} from "../../generated/envoy/type/tracing/v3/custom_tag_pb.js";
import type { Percent } from "../../generated/envoy/type/v3/percent_pb.js";
import type { CustomTag, Tracing } from "../../model/http.ts";
import type { Fraction } from "../../model/matcher.ts";
import { decodeHeaderName } from "../header-name.ts";
import type { Place } from "../place.ts";
import { decodeTracingProvider, encodeTracingProvider } from "../tracing-provider.ts";
import { percent, percentOf } from "../values.ts";

/** Envoy's default. */
const MAX_PATH_TAG_LENGTH = 256;

export function decodeTracing(message: TracingMessage, at: Place): Tracing {
  return {
    // Envoy counts whole percents here and hundredths for random sampling.
    clientSampling: shareOf(message.clientSampling, 100, at.field("client_sampling")),
    randomSampling: shareOf(message.randomSampling, 10_000, at.field("random_sampling")),
    overallSampling: shareOf(message.overallSampling, 100, at.field("overall_sampling")),
    verbose: message.verbose,
    maxPathTagLength: message.maxPathTagLength ?? MAX_PATH_TAG_LENGTH,
    customTags: message.customTags.flatMap((tag, i) => decodeTag(tag, at.item("custom_tags", i)) ?? []),
    spawnUpstreamSpan: message.spawnUpstreamSpan ?? false,
    provider: decodeTracingProvider(message.provider, at.field("provider")),
  };
}

/** A share that is not given is everything. */
function shareOf(message: Percent | undefined, denominator: 100 | 10_000, at: Place): Fraction {
  const value = percentOf(message, 100, at) * (denominator / 100);
  return { numerator: denominator === 100 ? Math.trunc(value) : Math.round(value), denominator };
}

function decodeTag(message: CustomTagMessage, at: Place): CustomTag | null {
  const { tag, type } = message;
  if (tag === "") at.field("tag").error("is required");
  switch (type.case) {
    case "literal":
      if (type.value.value === "") at.field("literal").field("value").error("is required");
      return { tag, source: { kind: "literal", value: type.value.value } };
    case "environment": {
      const { name, defaultValue } = type.value;
      if (name === "") at.field("environment").field("name").error("is required");
      return { tag, source: { kind: "environment", name, defaultValue } };
    }
    case "requestHeader": {
      const name = decodeHeaderName(type.value.name, at.field("request_header").field("name"), true);
      return { tag, source: { kind: "request_header", name, defaultValue: type.value.defaultValue } };
    }
    default:
      at.error("one of literal, environment and request_header is required");
      return null;
  }
}

export function encodeTracing(tracing: Tracing): TracingMessage {
  const message = create(HttpConnectionManager_TracingSchema, {
    clientSampling: percentMessage(tracing.clientSampling),
    randomSampling: percentMessage(tracing.randomSampling),
    overallSampling: percentMessage(tracing.overallSampling),
    verbose: tracing.verbose,
    maxPathTagLength: tracing.maxPathTagLength,
    customTags: tracing.customTags.map(encodeTag),
  });
  // Left out where it is the default: Envoy tells "not set" from false.
  if (tracing.spawnUpstreamSpan) message.spawnUpstreamSpan = true;
  if (tracing.provider) message.provider = encodeTracingProvider(tracing.provider);
  return message;
}

function percentMessage({ numerator, denominator }: Fraction): Percent {
  return percent((numerator * 100) / denominator);
}

type TypeInit = NonNullable<MessageInitShape<typeof CustomTagSchema>["type"]>;

function encodeTag({ tag, source }: CustomTag): CustomTagMessage {
  return create(CustomTagSchema, { tag, type: typeInit(source) });
}

function typeInit(source: CustomTag["source"]): TypeInit {
  switch (source.kind) {
    case "literal":
      return { case: "literal", value: { value: source.value } };
    case "environment":
      return { case: "environment", value: { name: source.name, defaultValue: source.defaultValue } };
    case "request_header":
      return { case: "requestHeader", value: { name: source.name, defaultValue: source.defaultValue } };
  }
}
