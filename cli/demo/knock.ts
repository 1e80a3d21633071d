/** One HTTP request straight to a sidecar's inbound port, with or without TLS and a certificate. */
import net from "node:net";
import tls from "node:tls";
import { systemClock } from "../../core/clock.ts";
import { codeOf, messageOf } from "../../core/errors.ts";
import type { ClientCertificate } from "./mesh-certificate.ts";

const TIMEOUT_MS = 3000;

/** What the caller shows of itself. With `verify`, the sidecar must show a valid certificate of the same CA. */
export type Shown =
  | { readonly kind: "plaintext" }
  | { readonly kind: "tls"; readonly certificate: ClientCertificate | null; readonly verify: boolean };

export interface Knock {
  /** The status line; null: none came. */
  readonly answer: string | null;
  /** How the connection ended where there was no answer. */
  readonly reason: string;
}

/** Calls `path` on a connection of its own. Never rejects. */
export function knock(host: string, port: number, path: string, shown: Shown): Promise<Knock> {
  return new Promise((resolve) => {
    const socket = connect(host, port, shown);
    let text = "";
    let reason = "connection closed";
    const timer = systemClock.after(TIMEOUT_MS, () => socket.destroy(new Error(`nothing for ${TIMEOUT_MS} ms`)));
    socket.on("data", (chunk: Buffer) => {
      text += chunk.toString("latin1");
    });
    socket.on("error", (error) => {
      reason = codeOf(error) ?? messageOf(error);
    });
    socket.on("close", () => {
      timer.cancel();
      const [line = ""] = text.split("\r\n", 1);
      resolve({ answer: line.startsWith("HTTP/") ? line : null, reason });
    });
    socket.write(`GET ${path} HTTP/1.1\r\nhost: shop.default\r\nconnection: close\r\n\r\n`);
  });
}

function connect(host: string, port: number, shown: Shown): net.Socket {
  if (shown.kind === "plaintext") return net.connect({ host, port });
  return tls.connect({
    host,
    port,
    ALPNProtocols: ["http/1.1"],
    rejectUnauthorized: shown.verify,
    // Workloads are known by their SPIFFE id; that its chain ends in the mesh's root is what is looked at here.
    checkServerIdentity: () => undefined,
    ...shown.certificate,
  });
}
