/** Names of Envoy's fields that the subset does not declare, so that an error can call them by name. */
import { UNSUPPORTED_FIELDS } from "./unsupported-fields.ts";

const byMessage = new Map<string, ReadonlyMap<number, string>>();

/** The name of the field in Envoy's protos, or undefined if there is none. */
export function unsupportedFieldName(message: string, number: number): string | undefined {
  return fieldsOf(message).get(number);
}

/** Whether Envoy has a field of that name (as the proto file writes it, or in JSON's camelCase) that is not supported. */
export function isUnsupportedField(message: string, name: string): boolean {
  const snake = name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  for (const known of fieldsOf(message).values()) if (known === snake) return true;
  return false;
}

function fieldsOf(message: string): ReadonlyMap<number, string> {
  let fields = byMessage.get(message);
  if (!fields) {
    const list = UNSUPPORTED_FIELDS[message]?.split(" ") ?? [];
    fields = new Map(
      list.map((item) => {
        const colon = item.indexOf(":");
        return [Number(item.slice(0, colon)), item.slice(colon + 1)];
      }),
    );
    byMessage.set(message, fields);
  }
  return fields;
}
