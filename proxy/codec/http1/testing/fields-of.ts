/** The fields of a head as pairs, for comparing. */
import type { HeaderMap } from "../../../../core/header-map.ts";

export function fieldsOf(headers: HeaderMap): [name: string, value: string][] {
  const fields: [string, string][] = [];
  headers.forEach((name, value) => {
    fields.push([name, value]);
  });
  return fields;
}
