/** Reading a finished handshake: what was negotiated, and what it says about the peer. */
import type { TLSSocket } from "node:tls";
import type { CertificateMaterial } from "../../model/secret.ts";
import type { ConnectionTls } from "../../telemetry/stream-info.ts";
import { localCertificate } from "./local-certificate.ts";
import type { PeerEvidence } from "./peer-check.ts";
import { peerInfo } from "./peer-info.ts";

/**
 * The parts of Node's TLSSocket that its types leave out. Its own servers use them; a TLSSocket that wraps an accepted
 * socket has nobody else to use them for it.
 */
interface Internals {
  readonly ssl?: { verifyError?(): { readonly code?: string; readonly message: string } | null } | null;
  _releaseControl?(): boolean;
}

/** From here on, errors of the TLS layer reach the socket's `error` event, as they do on a client's socket. */
export function releaseErrors(socket: TLSSocket): void {
  (socket as unknown as Internals)._releaseControl?.();
}

/** The peer's certificate and OpenSSL's verdict on its chain. */
export function peerEvidence(socket: TLSSocket): PeerEvidence {
  const { ssl } = socket as unknown as Internals;
  // Without a verdict there is no trust.
  const verdict = ssl?.verifyError ? (ssl.verifyError() ?? null) : { message: "UNSPECIFIED" };
  return {
    certificate: socket.getPeerX509Certificate(),
    verifyError: verdict === null ? null : ((verdict as { code?: string }).code ?? verdict.message),
  };
}

/** The connection as RBAC, XFCC, logs and metrics see it. `local` is the certificate that this side offered first. */
export function describeConnection(
  socket: TLSSocket,
  evidence: PeerEvidence,
  verified: boolean,
  local: CertificateMaterial | undefined,
): ConnectionTls {
  const own = local === undefined ? null : localCertificate(local);
  const name: unknown = socket.servername;
  return {
    version: socket.getProtocol() ?? "",
    cipher: socket.getCipher().name,
    // Node writes false where the client sent none.
    sni: typeof name === "string" ? name : "",
    alpn: socket.alpnProtocol || "",
    resumed: socket.isSessionReused(),
    peer: evidence.certificate ? peerInfo(evidence.certificate, verified) : null,
    localUriSans: own?.info.uris ?? [],
    localSubject: own?.info.subject ?? "",
  };
}
