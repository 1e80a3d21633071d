/**
 * Turns protobuf's JSON form into messages. protobuf-es has `fromJson`, but that stops at the first thing it dislikes;
 * a bootstrap file deserves to hear everything at once, each with its path, so the descriptors are walked here.
 */
import {
  create,
  type DescEnum,
  type DescField,
  type DescMessage,
  fromJson,
  type JsonValue,
  type Message,
  type MessageShape,
  ScalarType,
  toBinary,
} from "@bufbuild/protobuf";
import { type Any, AnySchema, DurationSchema, isWrapperDesc } from "@bufbuild/protobuf/wkt";
import { messageOf } from "../core/errors.ts";
import { harmlessField, harmlessType } from "./harmless.ts";
import { scalarFromJson } from "./json-scalar.ts";
import type { Place } from "./place.ts";
import { extensionType } from "./registry.ts";
import { isUnsupportedField } from "./unsupported.ts";

type JsonObject = Readonly<Record<string, unknown>>;
type Fields = Record<string, unknown>;

/** Fields by both names that JSON may use for them: the proto file's and its camelCase. */
const fieldsByName = new Map<DescMessage, ReadonlyMap<string, DescField>>();

/** Messages that stand inside an `Any` of a parsed JSON value: what unpacking the bytes would give. */
const parsedAnys = new WeakMap<Any, Message>();

/** The message that `any` was made of, if it came from JSON: it has been checked already. */
export function parsedAny(any: Any): Message | undefined {
  return parsedAnys.get(any);
}

/** Builds a message from its JSON form; reports each unknown field, wrong type and unknown enum value at its place. */
export function messageFromJson<D extends DescMessage>(schema: D, json: unknown, at: Place): MessageShape<D> {
  const message = create(schema);
  if (isObject(json)) fill(schema, message, json, at);
  else at.error(`expected an object, got ${typeName(json)}`);
  return message;
}

function fill(schema: DescMessage, message: Message, json: JsonObject, at: Place): void {
  const names = namesOf(schema);
  for (const name in json) {
    const value = json[name];
    const field = names.get(name);
    if (!field) {
      if (name === "@type") continue;
      if (isUnsupportedField(schema.typeName, name)) at.field(name).error("is not supported");
      else at.field(name).error(`${schema.typeName} has no field "${name}"`);
      continue;
    }
    if (value === null && field.message?.typeName !== "google.protobuf.Value") continue;
    const harmless = harmlessField(schema.typeName, field.name);
    if (harmless !== undefined) {
      at.field(field.name).note(`ignored: ${harmless}`);
      continue;
    }
    setField(field, message as unknown as Fields, value, at);
  }
}

function setField(field: DescField, message: Fields, json: unknown, at: Place): void {
  if (field.fieldKind === "list") {
    if (!Array.isArray(json)) {
      at.field(field.name).error(`expected a list, got ${typeName(json)}`);
      return;
    }
    const list: unknown[] = [];
    json.forEach((item, i) => {
      const value = singleValue(field, item, () => at.item(field.name, i), false);
      if (value !== undefined) list.push(value);
    });
    message[field.localName] = list;
    return;
  }
  if (field.fieldKind === "map") {
    if (!isObject(json)) {
      at.field(field.name).error(`expected an object, got ${typeName(json)}`);
      return;
    }
    const map: Fields = {};
    for (const key in json) {
      const value = singleValue(field, json[key], () => at.entry(field.name, key), false);
      if (value !== undefined) map[key] = value;
    }
    message[field.localName] = map;
    return;
  }
  const value = singleValue(field, json, () => at.field(field.name), !field.oneof);
  if (value === undefined) return;
  if (!field.oneof) {
    message[field.localName] = value;
    return;
  }
  const group = message[field.oneof.localName] as { readonly case?: string };
  if (group.case !== undefined) at.field(field.name).error(`only one of ${oneofNames(field)} may be set`);
  message[field.oneof.localName] = { case: field.localName, value };
}

/** One value of a field; undefined after an error was reported. `bare`: wrapper messages stand for their value alone. */
function singleValue(field: DescField, json: unknown, at: () => Place, bare: boolean): unknown {
  if (field.enum) return enumFromJson(field.enum, json, at);
  if (field.message) return messageValue(field.message, json, at, bare);
  return scalarFromJson(field.scalar ?? ScalarType.STRING, json, at);
}

function messageValue(schema: DescMessage, json: unknown, at: () => Place, bare: boolean): unknown {
  switch (schema.typeName) {
    case "google.protobuf.Any":
      return anyFromJson(json, at());
    case "google.protobuf.Duration":
      return durationFromJson(json, at);
    case "google.protobuf.Struct":
      if (!isObject(json)) {
        at().error(`expected an object, got ${typeName(json)}`);
        return undefined;
      }
      // protobuf-es keeps a Struct in a field as plain JSON.
      return json;
    default:
      break;
  }
  if (isWrapperDesc(schema)) {
    const [inner] = schema.fields;
    const value = scalarFromJson(inner?.scalar ?? ScalarType.STRING, json, at);
    if (bare || value === undefined) return value;
    return create(schema, { value });
  }
  if (schema.typeName.startsWith("google.protobuf.") && schema.typeName !== "google.protobuf.Empty") {
    return wellKnown(schema, json, at);
  }
  return messageFromJson(schema, json, at());
}

function wellKnown(schema: DescMessage, json: unknown, at: () => Place): Message | undefined {
  try {
    return fromJson(schema, json as JsonValue);
  } catch (error) {
    at().error(messageOf(error));
    return undefined;
  }
}

const DURATION = /^(-?)(\d{1,12})(?:\.(\d{1,9}))?s$/;

function durationFromJson(json: unknown, at: () => Place): unknown {
  const match = typeof json === "string" ? DURATION.exec(json) : null;
  if (!match) {
    at().error(`expected a duration in seconds such as "1.5s", got ${shown(json)}`);
    return undefined;
  }
  const sign = match[1] === "-" ? -1 : 1;
  const nanos = Number((match[3] ?? "").padEnd(9, "0"));
  return create(DurationSchema, { seconds: BigInt(sign * Number(match[2])), nanos: nanos === 0 ? 0 : sign * nanos });
}

function anyFromJson(json: unknown, at: Place): Any | undefined {
  // protobuf's JSON form of an Any that holds nothing; Envoy's own examples switch filters off with `config: {}`.
  if (isObject(json) && Object.keys(json).length === 0) return create(AnySchema);
  const typeUrl = isObject(json) ? json["@type"] : undefined;
  if (!isObject(json) || typeof typeUrl !== "string") {
    at.error('expected an object with "@type"');
    return undefined;
  }
  const any = create(AnySchema, { typeUrl });
  if (harmlessType(typeUrl) !== undefined) return any;
  const schema = extensionType(typeUrl);
  // An unknown type is not an error by itself: whoever unpacks it says what would have been allowed in its place.
  if (schema) {
    const message = messageFromJson(schema, json, at);
    parsedAnys.set(any, message);
    // Hardly anyone wants the bytes, and making them costs as much as reading the JSON.
    Object.defineProperty(any, "value", { enumerable: true, get: () => toBinary(schema, message) });
  }
  return any;
}

function enumFromJson(desc: DescEnum, json: unknown, at: () => Place): number | undefined {
  const value = desc.values.find((known) => known.name === json || known.number === json);
  if (value) return value.number;
  at().error(`expected one of ${desc.values.map((known) => known.name).join(", ")}, got ${shown(json)}`);
  return undefined;
}

function namesOf(schema: DescMessage): ReadonlyMap<string, DescField> {
  let names = fieldsByName.get(schema);
  if (!names) {
    names = new Map(schema.fields.flatMap((field) => [[field.name, field] as const, [field.jsonName, field] as const]));
    fieldsByName.set(schema, names);
  }
  return names;
}

function oneofNames(field: DescField): string {
  return (field.oneof?.fields ?? []).map((member) => member.name).join(", ");
}

function isObject(json: unknown): json is JsonObject {
  return typeof json === "object" && json !== null && !Array.isArray(json);
}

function typeName(json: unknown): string {
  if (json === null) return "null";
  if (Array.isArray(json)) return "a list";
  return typeof json === "object" ? "an object" : `a ${typeof json}`;
}

function shown(json: unknown): string {
  const text = JSON.stringify(json) ?? String(json);
  return text.length > 60 ? typeName(json) : text;
}
