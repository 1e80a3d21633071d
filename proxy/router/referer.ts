/** A `referer` that is no URI reference, or gives away a fragment or credentials, does not pass (RFC 9110, 10.1.3). */

/** An absolute URI with an authority that holds no user information, without a fragment. */
const ABSOLUTE = /^[a-zA-Z][a-zA-Z0-9+.-]*:\/\/[^/?#@\s]+(?:[/?][^#\s]*)?$/;
/** A relative reference: no colon in its first segment, no fragment. */
const RELATIVE = /^[^:/#\s]*(?:\/[^#\s]*)?$/;

export function isValidReferer(referer: string | null): boolean {
  return referer !== null && (ABSOLUTE.test(referer) || RELATIVE.test(referer));
}
