/** Checks a control plane's certificate as Envoy's validation context asks: by SAN and by hash. The chain is OpenSSL's. */
import { createHash, X509Certificate } from "node:crypto";
import type { PeerCertificate } from "node:tls";
import { parseAltNames } from "../certs/inspect.ts";
import { re2 } from "../core/re2.ts";
import type { StringMatch } from "../model/matcher.ts";
import type { PeerValidation, SanMatch } from "../model/tls.ts";

const SAN_TYPES: Record<string, SanMatch["type"]> = { URI: "uri", DNS: "dns", email: "email", "IP Address": "ip" };

/** Why the peer is not to be trusted, or undefined. Envoy asks for no name unless SANs are configured. */
export function checkPeer(validation: PeerValidation, certificate: PeerCertificate): Error | undefined {
  if (!matchesHash(validation, certificate)) {
    return new Error("the control plane's certificate has none of the expected hashes");
  }
  const names = parseAltNames(certificate.subjectaltname ?? "").flatMap(({ type, value }) => {
    const known = SAN_TYPES[type];
    return known ? [{ type: known, value }] : [];
  });
  const wanted = validation.subjectAltNames;
  if (wanted.length === 0 || names.some((name) => wanted.some((san) => matchesSan(san, name)))) return undefined;
  const given = names.map(({ value }) => value).join(", ") || "none";
  return new Error(`the control plane's certificate has none of the expected names (it has: ${given})`);
}

function matchesHash(validation: PeerValidation, certificate: PeerCertificate): boolean {
  const { certificateHashes, spkiHashes } = validation;
  if (certificateHashes.length === 0 && spkiHashes.length === 0) return true;
  if (certificateHashes.includes(certificate.fingerprint256.replaceAll(":", "").toLowerCase())) return true;
  if (spkiHashes.length === 0) return false;
  const { publicKey } = new X509Certificate(certificate.raw);
  const spki = publicKey.export({ type: "spki", format: "der" });
  return spkiHashes.includes(createHash("sha256").update(spki).digest("base64"));
}

function matchesSan(san: SanMatch, name: { readonly type: SanMatch["type"]; readonly value: string }): boolean {
  return (san.type === "any" || san.type === name.type) && matchesString(san.match, name.value);
}

function matchesString(match: StringMatch, value: string): boolean {
  if (match.kind === "regex") return re2().compile(match.value).matches(value);
  const [text, pattern] = match.ignoreCase ? [value.toLowerCase(), match.value.toLowerCase()] : [value, match.value];
  switch (match.kind) {
    case "exact":
      return text === pattern;
    case "prefix":
      return text.startsWith(pattern);
    case "suffix":
      return text.endsWith(pattern);
    case "contains":
      return text.includes(pattern);
  }
}
