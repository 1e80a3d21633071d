/**
 * Finds in a decoded protobuf message what the subset does not declare, at every depth: fields that landed in
 * `$unknown`, and enum values without a name. Runs once over each message before its decoder sees it.
 */
import type { DescEnum, DescField, DescMessage, Message } from "@bufbuild/protobuf";
import { harmlessField } from "./harmless.ts";
import type { Place } from "./place.ts";
import { unsupportedFieldName } from "./unsupported.ts";

interface FieldCheck {
  readonly field: DescField;
  /** Why the field is ignored; its content is not looked at. */
  readonly harmless: string | undefined;
  readonly checks: MessageChecks | null;
  readonly enumeration: DescEnum | null;
}

interface MessageChecks {
  readonly typeName: string;
  readonly fields: FieldCheck[];
}

type Fields = Readonly<Record<string, unknown>> & Pick<Message, "$unknown">;

const compiled = new Map<string, MessageChecks>();

/** Reports every unknown field and enum value in `message`, and notes every field that is ignored. */
export function reportUnknown(schema: DescMessage, message: Message, at: Place): void {
  checkMessage(checksOf(schema), message as unknown as Fields, at);
}

function checksOf(schema: DescMessage): MessageChecks {
  const known = compiled.get(schema.typeName);
  if (known) return known;
  const checks: MessageChecks = { typeName: schema.typeName, fields: [] };
  // Registered before its fields are compiled: messages may hold themselves.
  compiled.set(schema.typeName, checks);
  for (const field of schema.fields) {
    const harmless = harmlessField(schema.typeName, field.name);
    const enumeration = field.enum ?? null;
    const inner = field.message && !isLeaf(field.message) ? checksOf(field.message) : null;
    if (harmless !== undefined || enumeration || inner)
      checks.fields.push({ field, harmless, checks: inner, enumeration });
  }
  return checks;
}

/** Well-known types hold data of the user or bytes to be unpacked later. */
function isLeaf(schema: DescMessage): boolean {
  return schema.typeName.startsWith("google.protobuf.");
}

function checkMessage(checks: MessageChecks, message: Fields, at: Place): void {
  for (const { no } of message.$unknown ?? []) {
    const name = unsupportedFieldName(checks.typeName, no);
    at.error(name ? `${name} is not supported` : `unknown field #${no} of ${checks.typeName}`);
  }
  for (const check of checks.fields) checkField(check, message, at);
}

function checkField(check: FieldCheck, message: Fields, at: Place): void {
  const { field } = check;
  const value = fieldValue(field, message);
  if (value === undefined || isDefault(field, value)) return;
  if (check.harmless !== undefined) {
    at.field(field.name).note(`ignored: ${check.harmless}`);
    return;
  }
  if (field.fieldKind === "list") {
    (value as readonly unknown[]).forEach((item, i) => {
      checkValue(check, item, () => at.item(field.name, i));
    });
  } else if (field.fieldKind === "map") {
    for (const [key, item] of Object.entries(value as object)) checkValue(check, item, () => at.entry(field.name, key));
  } else {
    checkValue(check, value, () => at.field(field.name));
  }
}

function checkValue(check: FieldCheck, value: unknown, at: () => Place): void {
  if (check.checks) checkMessage(check.checks, value as Fields, at());
  else if (check.enumeration && !check.enumeration.value[value as number]) {
    at().error(`unknown value ${String(value)} of enum ${check.enumeration.typeName}`);
  }
}

function fieldValue(field: DescField, message: Fields): unknown {
  if (!field.oneof) return message[field.localName];
  const chosen = message[field.oneof.localName] as { readonly case?: string; readonly value?: unknown };
  return chosen.case === field.localName ? chosen.value : undefined;
}

/** Fields without presence count as set where they differ from their default. */
function isDefault(field: DescField, value: unknown): boolean {
  if (field.fieldKind === "list") return (value as readonly unknown[]).length === 0;
  if (field.fieldKind === "map") return Object.keys(value as object).length === 0;
  if (field.oneof || field.fieldKind === "message") return false;
  return value === 0 || value === "" || value === false || value === 0n;
}
