/** Scalars in protobuf's JSON form: numbers may be written as strings, bytes are base64, 64-bit integers are bigint. */
import { ScalarType } from "@bufbuild/protobuf";
import { base64Decode } from "@bufbuild/protobuf/wire";
import type { Place } from "./place.ts";

const INT32 = { min: -(2 ** 31), max: 2 ** 31 - 1 };
const UINT32 = { min: 0, max: 2 ** 32 - 1 };
const INT64 = { min: -(2n ** 63n), max: 2n ** 63n - 1n };
const UINT64 = { min: 0n, max: 2n ** 64n - 1n };

/** The value of a scalar field; undefined after an error was reported. */
export function scalarFromJson(type: ScalarType, json: unknown, at: () => Place): unknown {
  const value = read(type, json);
  if (value === undefined) at().error(`expected ${DESCRIPTION[type]}, got ${shown(json)}`);
  return value;
}

const DESCRIPTION: Readonly<Record<ScalarType, string>> = {
  [ScalarType.DOUBLE]: "a number",
  [ScalarType.FLOAT]: "a number",
  [ScalarType.INT64]: "a 64-bit integer",
  [ScalarType.UINT64]: "a non-negative 64-bit integer",
  [ScalarType.INT32]: "a 32-bit integer",
  [ScalarType.FIXED64]: "a non-negative 64-bit integer",
  [ScalarType.FIXED32]: "a non-negative 32-bit integer",
  [ScalarType.BOOL]: "true or false",
  [ScalarType.STRING]: "a string",
  [ScalarType.BYTES]: "base64",
  [ScalarType.UINT32]: "a non-negative 32-bit integer",
  [ScalarType.SFIXED32]: "a 32-bit integer",
  [ScalarType.SFIXED64]: "a 64-bit integer",
  [ScalarType.SINT32]: "a 32-bit integer",
  [ScalarType.SINT64]: "a 64-bit integer",
};

function read(type: ScalarType, json: unknown): unknown {
  switch (type) {
    case ScalarType.STRING:
      return typeof json === "string" ? json : undefined;
    case ScalarType.BOOL:
      return typeof json === "boolean" ? json : undefined;
    case ScalarType.BYTES:
      return bytes(json);
    case ScalarType.DOUBLE:
    case ScalarType.FLOAT:
      return number(json);
    case ScalarType.INT32:
    case ScalarType.SINT32:
    case ScalarType.SFIXED32:
      return integer(json, INT32.min, INT32.max);
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return integer(json, UINT32.min, UINT32.max);
    case ScalarType.INT64:
    case ScalarType.SINT64:
    case ScalarType.SFIXED64:
      return bigInteger(json, INT64.min, INT64.max);
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return bigInteger(json, UINT64.min, UINT64.max);
  }
}

function number(json: unknown): number | undefined {
  if (typeof json === "number") return json;
  if (typeof json !== "string") return undefined;
  if (json === "NaN" || json === "Infinity" || json === "-Infinity") return Number(json);
  return /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/.test(json) ? Number(json) : undefined;
}

function integer(json: unknown, min: number, max: number): number | undefined {
  const value = number(json);
  return value !== undefined && Number.isInteger(value) && value >= min && value <= max ? value : undefined;
}

function bigInteger(json: unknown, min: bigint, max: bigint): bigint | undefined {
  let value: bigint | undefined;
  if (typeof json === "bigint") value = json;
  else if (typeof json === "string" && /^-?\d{1,20}$/.test(json)) value = BigInt(json);
  else {
    const plain = number(json);
    if (plain !== undefined && Number.isInteger(plain)) value = BigInt(plain);
  }
  return value !== undefined && value >= min && value <= max ? value : undefined;
}

function bytes(json: unknown): Uint8Array | undefined {
  if (typeof json !== "string") return undefined;
  try {
    return base64Decode(json);
  } catch {
    return undefined;
  }
}

function shown(json: unknown): string {
  const text = JSON.stringify(json, (_, value: unknown) => (typeof value === "bigint" ? String(value) : value));
  if (text !== undefined && text.length <= 60) return text;
  return Array.isArray(json) ? "a list" : `a ${typeof json}`;
}
