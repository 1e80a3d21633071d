/** The server's handshake on an accepted socket: proves the peer, or says in one sentence why not. */
import type { Socket } from "node:net";
import type { TLSSocket, TLSSocketOptions } from "node:tls";
import type { Clock } from "../../core/clock.ts";
import type { ConnectionTls } from "../../telemetry/stream-info.ts";
import { describeConnection, peerEvidence } from "./connection.ts";
import { explainHandshake, TlsFailure } from "./failure.ts";
import type { ServerMaterial, ServerTlsContext } from "./server-context.ts";
import { wrapSniffed } from "./sniff-wrap.ts";

/** What the TLS inspector read from the ClientHello. */
export interface ClientHelloInfo {
  /** "" for none. */
  readonly serverName: string;
  readonly alpn: readonly string[];
}

export interface AcceptResult {
  /** The handshake is done and the peer accepted. Listeners are the caller's to add; nothing has been read yet. */
  onAccepted(socket: TLSSocket, tls: ConnectionTls): void;
  /** Called once; the socket has been destroyed. */
  onFailed(failure: TlsFailure): void;
}

/**
 * Performs the handshake. `head` are bytes already read (the ClientHello), null for none. The result is called exactly
 * once, never from inside this call. Returns the way to give up (a timeout, a drain): the failure is then reported.
 */
export function acceptTls(
  socket: Socket,
  head: Buffer | null,
  hello: ClientHelloInfo,
  context: ServerTlsContext,
  clock: Clock,
  result: AcceptResult,
): (reason: string) => void {
  let material: ServerMaterial;
  try {
    if (socket.destroyed)
      throw new TlsFailure("handshake", "the client closed the connection before the TLS handshake");
    material = context.material(hello.serverName);
  } catch (error) {
    const failure = error instanceof TlsFailure ? error : explainHandshake(error, "client");
    socket.destroy();
    queueMicrotask(() => result.onFailed(failure));
    return () => undefined;
  }
  const { config } = context;
  const alpn = context.selectAlpn(hello.alpn);
  const options: TLSSocketOptions = {
    secureContext: material.context,
    requestCert: config.validation !== null,
    // Only makes OpenSSL demand that there be a certificate, with a proper alert; whether it is good is judged below.
    rejectUnauthorized: material.certificateIsMandatory,
    ...(alpn === null ? {} : { ALPNProtocols: [alpn] }),
  };
  const secure = wrapSniffed(socket, head, options);
  let done = false;

  const fail = (failure: TlsFailure): void => {
    if (done) return;
    done = true;
    secure.off("secure", onSecure);
    secure.destroy();
    result.onFailed(failure);
  };
  const onError = (error: Error): void => fail(explainHandshake(error, "client"));
  const onClose = (): void =>
    fail(new TlsFailure("handshake", "the client closed the connection during the TLS handshake"));
  const onSecure = (): void => {
    const evidence = peerEvidence(secure);
    const { failure, verified } = material.check(evidence, material.rootsPem, clock.wallTime());
    if (failure) {
      fail(failure);
      return;
    }
    const tls = describeConnection(secure, evidence, verified, material.certificate);
    if (config.requireSni && tls.sni === "") {
      fail(new TlsFailure("sni_required", "the client named no server (SNI)"));
      return;
    }
    done = true;
    secure.off("error", onError);
    secure.off("close", onClose);
    secure.off("end", onClose);
    result.onAccepted(secure, tls);
  };
  secure.on("error", onError);
  secure.on("close", onClose);
  // A half-open socket does not close by itself when the client stops in the middle.
  secure.on("end", onClose);
  secure.once("secure", onSecure);
  return (reason) => fail(new TlsFailure("handshake", reason));
}
