/**
 * Envoy's fields that the subset leaves out, as `number:name` by message. Made from the full protos by
 * `node --test test/xds-subset.test.ts` with `UPDATE=1`; the same test checks it.
 */
export const UNSUPPORTED_FIELDS: Readonly<Record<string, string>> = {};
