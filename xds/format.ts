/**
 * Format strings (`%RESPONSE_CODE%`) are checked when they arrive: their grammar, and that each command is one that
 * the data plane can compute. `telemetry/format/` compiles them; a test beside this file holds the two together.
 */
import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import type { JsonTemplate } from "../model/http.ts";
import type { Place } from "./place.ts";

/** Commands without parentheses and without a length. */
const PLAIN = `
  ACCESS_LOG_TYPE BYTES_RECEIVED BYTES_SENT CONNECTION_ID CONNECTION_TERMINATION_DETAILS
  DOWNSTREAM_DIRECT_LOCAL_ADDRESS DOWNSTREAM_DIRECT_LOCAL_ADDRESS_WITHOUT_PORT DOWNSTREAM_DIRECT_LOCAL_PORT
  DOWNSTREAM_DIRECT_REMOTE_ADDRESS DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT DOWNSTREAM_DIRECT_REMOTE_PORT
  DOWNSTREAM_LOCAL_ADDRESS DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT DOWNSTREAM_LOCAL_PORT DOWNSTREAM_LOCAL_SUBJECT
  DOWNSTREAM_LOCAL_URI_SAN DOWNSTREAM_PEER_CERT DOWNSTREAM_PEER_DNS_SAN DOWNSTREAM_PEER_FINGERPRINT_256
  DOWNSTREAM_PEER_ISSUER DOWNSTREAM_PEER_SERIAL DOWNSTREAM_PEER_SUBJECT DOWNSTREAM_PEER_URI_SAN
  DOWNSTREAM_REMOTE_ADDRESS DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT DOWNSTREAM_REMOTE_PORT DOWNSTREAM_TLS_CIPHER
  DOWNSTREAM_TLS_VERSION DOWNSTREAM_TRANSPORT_FAILURE_REASON DURATION FILTER_CHAIN_NAME GRPC_STATUS_NUMBER HOSTNAME
  LOCAL_REPLY_BODY PROTOCOL REQUESTED_SERVER_NAME REQUEST_DURATION REQUEST_TX_DURATION RESPONSE_CODE
  RESPONSE_DURATION RESPONSE_FLAGS RESPONSE_FLAGS_LONG RESPONSE_TX_DURATION ROUTE_NAME SPAN_ID STREAM_ID TRACE_ID
  UPSTREAM_CLUSTER UPSTREAM_CLUSTER_RAW UPSTREAM_HOST UPSTREAM_LOCAL_ADDRESS UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT
  UPSTREAM_LOCAL_PORT UPSTREAM_REMOTE_ADDRESS UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT UPSTREAM_REMOTE_PORT
  UPSTREAM_REQUEST_ATTEMPT_COUNT UPSTREAM_TRANSPORT_FAILURE_REASON VIRTUAL_CLUSTER_NAME`;

/** Commands that need something in parentheses and may be cut to a length. */
const WITH_ARGUMENT = `
  COMMON_DURATION DYNAMIC_METADATA ENVIRONMENT FILTER_STATE QUERY_PARAM REQ REQUEST_HEADER RESP RESPONSE_HEADER
  RESPONSE_TRAILER TRAILER`;

/** Commands whose parentheses may be left out, and which take no length. */
const OPTIONAL_ARGUMENT = `
  DOWNSTREAM_PEER_CERT_V_END DOWNSTREAM_PEER_CERT_V_START EMIT_TIME GRPC_STATUS PATH RESPONSE_CODE_DETAILS START_TIME`;

type Shape = "plain" | "argument" | "optional";

const namesIn = (list: string): string[] => list.trim().split(/\s+/);

/** Every supported command and what it takes. */
export const COMMANDS: ReadonlyMap<string, Shape> = new Map<string, Shape>([
  ...namesIn(PLAIN).map((name) => [name, "plain"] as const),
  ...namesIn(WITH_ARGUMENT).map((name) => [name, "argument"] as const),
  ...namesIn(OPTIONAL_ARGUMENT).map((name) => [name, "optional"] as const),
]);

/** `%NAME(argument):length%`; an argument reaches to the first `)`. */
const COMMAND = /%([A-Z0-9_]+)(?:\(([^)]*)\))?(?::([0-9]+))?%/y;

/** Reports what is wrong with a format string. Returns it. */
export function checkTemplate(template: string, at: Place): string {
  let percent = template.indexOf("%");
  while (percent >= 0) {
    let end = percent + 2;
    if (template[percent + 1] !== "%") {
      COMMAND.lastIndex = percent;
      const match = COMMAND.exec(template);
      if (!match) {
        at.error(`no command at position ${percent} of the format (a percent sign is written %%)`);
        return template;
      }
      checkCommand(match[1] ?? "", match[2], match[3], at);
      end = COMMAND.lastIndex;
    }
    percent = template.indexOf("%", end);
  }
  return template;
}

function checkCommand(name: string, argument: string | undefined, length: string | undefined, at: Place): void {
  const shape = COMMANDS.get(name);
  if (shape === undefined) at.error(`format command %${name}% is not supported`);
  else if (shape === "argument" && !argument) at.error(`format command %${name}% needs something in parentheses`);
  else if (shape === "plain" && argument !== undefined)
    at.error(`format command %${name}% takes nothing in parentheses`);
  else if (shape !== "argument" && length !== undefined) at.error(`format command %${name}% takes no length`);
}

/** A JSON format: each string in it is a format string. */
export function decodeJsonTemplate(json: JsonValue, at: Place): JsonTemplate {
  if (typeof json === "string") return checkTemplate(json, at);
  if (Array.isArray(json)) return json.map((item) => decodeJsonTemplate(item, at));
  if (typeof json === "object" && json !== null) {
    return Object.fromEntries(
      Object.entries(json).map(([key, value]) => [key, decodeJsonTemplate(value, at.field(key))]),
    );
  }
  return json;
}

/** The `Struct` of a JSON format, as protobuf-es takes it. */
export function encodeJsonTemplate(template: JsonTemplate): JsonObject {
  const json = template as JsonValue;
  if (typeof json === "object" && json !== null && !Array.isArray(json)) return json;
  throw new TypeError("a JSON format is an object");
}
