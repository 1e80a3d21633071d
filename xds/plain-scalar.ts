/**
 * What an unquoted YAML scalar means: as in Envoy, whose parser follows YAML 1.1 for booleans (`yes`, `off`, `n`) and
 * takes hexadecimal and octal integers, but not the rest of 1.1 (no base 60, no dates).
 */

const TRUE = /^(?:y|Y|yes|Yes|YES|true|True|TRUE|on|On|ON)$/;
const FALSE = /^(?:n|N|no|No|NO|false|False|FALSE|off|Off|OFF)$/;
const NULL = /^(?:~|null|Null|NULL|)$/;
const DECIMAL = /^[-+]?(?:0|[1-9]\d*)$/;
const OCTAL = /^([-+]?)0([0-7]+)$/;
const HEX = /^([-+]?)0x([0-9a-fA-F]+)$/;
const FLOAT = /^[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?$/;

/** What anything but a string begins with. */
const MAYBE_NOT_TEXT = /^[-+.~\dyYnNtTfFoO]/;

/** The value of an unquoted scalar; an integer that a double cannot hold stays a string, as protobuf's JSON wants it. */
export function plainScalar(text: string): string | number | boolean | null {
  if (text !== "" && !MAYBE_NOT_TEXT.test(text)) return text;
  if (NULL.test(text)) return null;
  if (TRUE.test(text)) return true;
  if (FALSE.test(text)) return false;
  if (DECIMAL.test(text)) return safe(Number(text), text.replace(/^\+/, ""));
  const octal = OCTAL.exec(text);
  if (octal) return signed(octal[1], Number.parseInt(octal[2] ?? "", 8));
  const hex = HEX.exec(text);
  if (hex) return signed(hex[1], Number.parseInt(hex[2] ?? "", 16));
  if (FLOAT.test(text)) return Number(text);
  return text;
}

function safe(value: number, text: string): number | string {
  return Number.isSafeInteger(value) ? value : text;
}

function signed(sign: string | undefined, magnitude: number): number {
  return sign === "-" ? -magnitude : magnitude;
}
