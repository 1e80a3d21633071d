/** Connecting to a proxy: TCP, and TLS where the case wants it. */
import net from "node:net";
import tls from "node:tls";
import type { ClientTls } from "./case.ts";
import { certificate } from "./certificates.ts";

export interface Connected {
  readonly raw: net.Socket;
  /** What requests are written to; null where the handshake failed. */
  readonly socket: net.Socket | null;
  readonly localPort: number;
  /** Both ends, as access logs of the test bench write them. */
  readonly ports: string;
  /** Server certificate, protocol and ALPN; "refused" where the handshake failed; "" in plaintext. */
  readonly tls: string;
}

export async function connect(port: number, security: ClientTls | undefined, host = "127.0.0.1"): Promise<Connected> {
  const raw = net.connect({ port, host, noDelay: true, allowHalfOpen: true });
  await new Promise<void>((resolve, reject) => raw.once("connect", resolve).once("error", reject));
  const localPort = raw.localPort ?? 0;
  const ends = { raw, localPort, ports: `${localPort}>${port}` };
  if (security === undefined) return { ...ends, socket: raw, tls: "" };
  const { socket, description } = await handshake(raw, security);
  return { ...ends, socket, tls: description };
}

async function handshake(
  raw: net.Socket,
  security: ClientTls,
): Promise<{ readonly socket: tls.TLSSocket | null; readonly description: string }> {
  const own = security.certificate === undefined ? null : certificate(security.certificate);
  const socket = tls.connect({
    socket: raw,
    rejectUnauthorized: false,
    ...(security.sni === undefined ? {} : { servername: security.sni }),
    ...(security.alpn === undefined ? {} : { ALPNProtocols: [...security.alpn] }),
    ...(own === null ? {} : { cert: own.chain, key: own.key }),
  });
  return new Promise((resolve) => {
    socket.once("secureConnect", () => {
      const san = socket.getPeerX509Certificate()?.subjectAltName ?? "none";
      const description = `${socket.getProtocol()} alpn=${socket.alpnProtocol || "none"} server=${san}`;
      resolve({ socket, description });
    });
    const refused = (): void => resolve({ socket: null, description: "refused" });
    socket.on("error", refused);
    socket.on("close", refused);
  });
}
