/** Why a TLS connection failed, in words that name the cause and, where it is known, what to do. */
import { codeOf, messageOf } from "../../core/errors.ts";

export type TlsFailureKind =
  /** The peer does not speak TLS. */
  | "plaintext_peer"
  /** The peer showed no certificate although one is required. */
  | "no_certificate"
  /** Its chain does not end in a trusted root, or is revoked or malformed. */
  | "untrusted"
  | "expired"
  | "not_yet_valid"
  | "san_mismatch"
  | "pin_mismatch"
  /** The client named no server although it must. */
  | "sni_required"
  /** The peer refused us, and said why. */
  | "refused_by_peer"
  /** Own certificate or roots are not there (yet), or cannot be used. */
  | "no_material"
  /** Versions, ciphers, broken records, a connection closed halfway. */
  | "handshake";

export class TlsFailure extends Error {
  readonly kind: TlsFailureKind;

  constructor(kind: TlsFailureKind, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "TlsFailure";
    this.kind = kind;
  }
}

/** What a peer means by an alert (RFC 8446 section 6.2), as OpenSSL codes it. */
const ALERTS: readonly (readonly [pattern: RegExp, meaning: string])[] = [
  [/ALERT_CERTIFICATE_REQUIRED|ALERT_NO_CERTIFICATE/, "it requires a client certificate, and none was sent"],
  [/ALERT_UNKNOWN_CA/, "it does not trust the authority that signed our certificate"],
  [/ALERT_CERTIFICATE_EXPIRED/, "it says that our certificate has expired: compare both clocks"],
  [/ALERT_CERTIFICATE_REVOKED/, "it says that our certificate is revoked"],
  [/ALERT_(BAD_CERTIFICATE|CERTIFICATE_UNKNOWN|UNSUPPORTED_CERTIFICATE)/, "it does not accept our certificate"],
  [/ALERT_ACCESS_DENIED/, "it denies us access"],
  [/ALERT_PROTOCOL_VERSION/, "it supports none of the TLS versions that are allowed here"],
  [
    /ALERT_HANDSHAKE_FAILURE|ALERT_INSUFFICIENT_SECURITY/,
    "it accepts none of our ciphers, or requires a client certificate",
  ],
  [/ALERT_NO_APPLICATION_PROTOCOL/, "it speaks none of the application protocols (ALPN) that were offered"],
  [/ALERT_UNRECOGNIZED_NAME/, "it knows no server of the name (SNI) that was asked for"],
];

/** Turns an error of a handshake into a failure; `side` is the peer's role. */
export function explainHandshake(error: unknown, side: "server" | "client"): TlsFailure {
  if (error instanceof TlsFailure) return error;
  const code = codeOf(error) ?? "";
  const peer = side === "server" ? "the peer" : "the client";
  if (code === "ERR_SSL_WRONG_VERSION_NUMBER" || code === "ERR_SSL_PACKET_LENGTH_TOO_LONG") {
    const message =
      side === "server" ? "the peer answered in plaintext: is it in the mesh?" : "the client did not speak TLS";
    return new TlsFailure("plaintext_peer", message, error);
  }
  if (code === "ERR_SSL_HTTP_REQUEST" || code === "ERR_SSL_HTTPS_PROXY_REQUEST") {
    return new TlsFailure("plaintext_peer", "the client sent plaintext HTTP to a TLS port: is it in the mesh?", error);
  }
  if (code === "ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE") return noCertificate(side);
  if (code === "ECONNRESET" || code === "EPIPE") {
    const message = `${peer} closed the connection during the TLS handshake: it may not speak TLS, or may not accept our certificate`;
    return new TlsFailure(
      "handshake",
      side === "server" ? message : `${peer} closed the connection during the TLS handshake`,
      error,
    );
  }
  if (code.includes("_ALERT_")) {
    const meaning = ALERTS.find(([pattern]) => pattern.test(code))?.[1] ?? reasonOf(error);
    return new TlsFailure("refused_by_peer", `${peer} refused the TLS handshake: ${meaning}`, error);
  }
  if (/NO_SHARED_CIPHER|UNSUPPORTED_PROTOCOL|NO_SHARED_GROUP/.test(code)) {
    return new TlsFailure(
      "handshake",
      `${peer} and this side have no TLS version or cipher in common (${reasonOf(error)})`,
      error,
    );
  }
  return new TlsFailure("handshake", `the TLS handshake failed: ${reasonOf(error)}`, error);
}

export function noCertificate(side: "server" | "client"): TlsFailure {
  const message =
    side === "client"
      ? "the client showed no certificate, and one is required: is it in the mesh?"
      : "the peer showed no certificate";
  return new TlsFailure("no_certificate", message);
}

/** OpenSSL's short reason (`wrong version number`) where there is one: its full line holds addresses and file names. */
function reasonOf(error: unknown): string {
  const reason = (error as { reason?: unknown } | null)?.reason;
  return typeof reason === "string" ? reason : messageOf(error);
}
