/** Headers to add and remove (`core.v3.HeaderValueOption`), at each level that may have them. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  HeaderValueOption_HeaderAppendAction as AppendAction,
  type HeaderValueOption,
  HeaderValueOption_HeaderAppendActionSchema,
  HeaderValueOptionSchema,
} from "../generated/envoy/config/core/v3/base_pb.js";
import type { HeaderMutation, HeaderMutations } from "../model/route.ts";
import { checkTemplate } from "./format.ts";
import { checkHeaderValue, decodeHeaderName } from "./header-name.ts";
import type { Place } from "./place.ts";
import { numberOf, wordOf } from "./values.ts";

/** What route tables, virtual hosts, routes and weighted clusters have in common. */
interface MutationFields {
  requestHeadersToAdd: HeaderValueOption[];
  requestHeadersToRemove: string[];
  responseHeadersToAdd: HeaderValueOption[];
  responseHeadersToRemove: string[];
}

/** Envoy's limit for each list. */
const MAX_ADDED = 1000;

const ACTIONS: Readonly<Record<number, HeaderMutation["action"]>> = {
  [AppendAction.APPEND_IF_EXISTS_OR_ADD]: "append_if_exists_or_add",
  [AppendAction.ADD_IF_ABSENT]: "add_if_absent",
  [AppendAction.OVERWRITE_IF_EXISTS_OR_ADD]: "overwrite_if_exists_or_add",
  [AppendAction.OVERWRITE_IF_EXISTS]: "overwrite_if_exists",
};

export function decodeHeaderMutations(message: MutationFields, at: Place): HeaderMutations {
  return {
    requestHeadersToAdd: decodeHeadersToAdd(message.requestHeadersToAdd, "request_headers_to_add", at),
    requestHeadersToRemove: decodeHeadersToRemove(message.requestHeadersToRemove, "request_headers_to_remove", at),
    responseHeadersToAdd: decodeHeadersToAdd(message.responseHeadersToAdd, "response_headers_to_add", at),
    responseHeadersToRemove: decodeHeadersToRemove(message.responseHeadersToRemove, "response_headers_to_remove", at),
  };
}

export function encodeHeaderMutations(mutations: HeaderMutations): MutationFields {
  return {
    requestHeadersToAdd: mutations.requestHeadersToAdd.map(encodeHeaderMutation),
    requestHeadersToRemove: [...mutations.requestHeadersToRemove],
    responseHeadersToAdd: mutations.responseHeadersToAdd.map(encodeHeaderMutation),
    responseHeadersToRemove: [...mutations.responseHeadersToRemove],
  };
}

/** The repeated field `field` of the message at `at`. */
export function decodeHeadersToAdd(options: readonly HeaderValueOption[], field: string, at: Place): HeaderMutation[] {
  if (options.length > MAX_ADDED) at.field(field).error(`must not hold more than ${MAX_ADDED} headers`);
  return options.map((option, index) => decodeHeaderMutation(option, at.item(field, index)));
}

function decodeHeaderMutation(option: HeaderValueOption, at: Place): HeaderMutation {
  if (!option.header) at.field("header").error("is required");
  const { key = "", value = "" } = option.header ?? {};
  const header = at.field("header");
  const name = option.header ? decodeHeaderName(key, header.field("key"), true) : "";
  if (isPinned(name)) header.field("key").error(`${name} must not be modified: pseudo headers and host are routing's`);
  return {
    name,
    value: checkTemplate(checkHeaderValue(value, header.field("value")), header.field("value")),
    action: decodeAction(option, at),
    keepEmptyValue: option.keepEmptyValue,
  };
}

function decodeAction(option: HeaderValueOption, at: Place): HeaderMutation["action"] {
  const action = wordOf(
    HeaderValueOption_HeaderAppendActionSchema,
    option.appendAction,
    ACTIONS,
    at.field("append_action"),
  );
  if (option.append === undefined) return action ?? "append_if_exists_or_add";
  if (option.appendAction !== AppendAction.APPEND_IF_EXISTS_OR_ADD) {
    at.field("append").error("must not be set together with append_action");
  }
  return option.append ? "append_if_exists_or_add" : "overwrite_if_exists_or_add";
}

export function encodeHeaderMutation(mutation: HeaderMutation): HeaderValueOption {
  const init: MessageInitShape<typeof HeaderValueOptionSchema> = {
    header: { key: mutation.name, value: mutation.value },
    appendAction: numberOf(ACTIONS, mutation.action),
    keepEmptyValue: mutation.keepEmptyValue,
  };
  return create(HeaderValueOptionSchema, init);
}

function decodeHeadersToRemove(names: readonly string[], field: string, at: Place): string[] {
  return names.map((given, index) => {
    const place = at.item(field, index);
    const name = decodeHeaderName(given, place, true);
    if (isPinned(name)) place.error(`${name} must not be removed: pseudo headers and host are routing's`);
    return name;
  });
}

/** Envoy refuses these: they are changed by rewrites, which keep them consistent. */
function isPinned(name: string): boolean {
  return name.startsWith(":") || name === "host";
}
