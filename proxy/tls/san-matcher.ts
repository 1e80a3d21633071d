/** Subject alternative name matchers (`SubjectAltNameMatcher`), compiled when configuration arrives. */
import type { CertificateInfo } from "../../certs/inspect.ts";
import { formatIp, parseIp } from "../../core/ip.ts";
import type { SanMatch } from "../../model/tls.ts";
import { compileStringMatch, type StringTest } from "../router/compile-matcher.ts";

/** True if any matcher accepts any name of its type. Throws on a regex that is not RE2 syntax. */
export function compileSanMatchers(matchers: readonly SanMatch[]): (names: CertificateInfo) => boolean {
  const compiled = matchers.map(compile);
  return (names) => compiled.some((matches) => matches(names));
}

function compile({ type, match }: SanMatch): (names: CertificateInfo) => boolean {
  const test = compileStringMatch(match);
  // A certificate's wildcard covers one label (RFC 6125 section 6.4.3); only an exact name asks for a host.
  const dns: StringTest = match.kind === "exact" ? (pattern) => dnsNameMatches(match.value, pattern) : test;
  switch (type) {
    case "uri":
      return (names) => names.uris.some(test);
    case "dns":
      return (names) => names.dnsNames.some(dns);
    case "ip":
      return (names) => names.ipAddresses.some((ip) => test(canonicalIp(ip)));
    case "email":
      return (names) => names.emails.some(test);
    case "any":
      return (names) =>
        names.uris.some(test) ||
        names.dnsNames.some(dns) ||
        names.emails.some(test) ||
        names.ipAddresses.some((ip) => test(canonicalIp(ip)));
  }
}

/** Whether a certificate's DNS name, perhaps with one `*` in its first label, covers `host`. Case does not count. */
export function dnsNameMatches(host: string, pattern: string): boolean {
  const name = host.toLowerCase();
  const against = pattern.toLowerCase();
  if (name === against) return true;
  const nameDot = name.indexOf(".");
  const patternDot = against.indexOf(".");
  if (nameDot <= 0 || patternDot <= 0 || name.slice(nameDot) !== against.slice(patternDot)) return false;
  const label = name.slice(0, nameDot);
  const wild = against.slice(0, patternDot);
  const star = wild.indexOf("*");
  // An A-label is an encoding of something else: a `*` in it stands for nothing.
  if (star < 0 || star !== wild.lastIndexOf("*") || wild.startsWith("xn--")) return false;
  const before = wild.slice(0, star);
  const after = wild.slice(star + 1);
  return label.length >= before.length + after.length && label.startsWith(before) && label.endsWith(after);
}

/** OpenSSL writes IPv6 as eight groups of upper case; people, and Envoy, write RFC 5952. */
function canonicalIp(text: string): string {
  const ip = parseIp(text);
  return ip === null ? text : formatIp(ip);
}
