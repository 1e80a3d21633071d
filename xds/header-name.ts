/** What may stand in a header: names and values are checked where they are configured, never when they are sent. */
import type { Place } from "./place.ts";

/** RFC 9110, section 5.6.2. Envoy itself only refuses NUL, CR and LF, but would send a malformed head with the rest. */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** Envoy's limit for a configured name or value, in bytes. */
const MAX_BYTES = 16384;

/** The name in lower case; reports one that is no field name. `pseudo`: `:path` and the like are names here too. */
export function decodeHeaderName(name: string, at: Place, pseudo = false): string {
  if (name === "") at.error("a header name must not be empty");
  else if (!TOKEN.test(pseudo && name.startsWith(":") ? name.slice(1) : name)) {
    at.error(`${JSON.stringify(name)} is not a valid header name`);
  } else if (name.length > MAX_BYTES) at.error(`a header name must not be longer than ${MAX_BYTES} bytes`);
  return name.toLowerCase();
}

/** Reports NUL, CR and LF, which would end the header that the text becomes part of. Returns the text. */
export function checkHeaderValue(value: string, at: Place): string {
  if (/[\0\r\n]/.test(value)) at.error("must not contain NUL, CR or LF");
  else if (Buffer.byteLength(value) > MAX_BYTES) at.error(`must not be longer than ${MAX_BYTES} bytes`);
  return value;
}
