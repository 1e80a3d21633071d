/** One HTTP request straight to a sidecar's inbound port, with or without TLS and a certificate. */
import net from "node:net";
import tls from "node:tls";
import { systemClock } from "../../core/clock.ts";
import { codeOf, messageOf } from "../../core/errors.ts";

const TIMEOUT_MS = 3000;
const REQUEST = "GET / HTTP/1.1\r\nhost: shop.default\r\nconnection: close\r\n\r\n";

export type Shown =
  | { readonly kind: "plaintext" }
  | { readonly kind: "tls"; readonly certificate: { readonly key: string; readonly cert: string } | null };

export interface Knock {
  /** The status line; null: none came. */
  readonly answer: string | null;
  /** How the connection ended where there was no answer. */
  readonly reason: string;
}

/** Never rejects. */
export function knock(host: string, port: number, shown: Shown): Promise<Knock> {
  return new Promise((resolve) => {
    // The server's certificate is not what is tried here.
    const socket =
      shown.kind === "plaintext"
        ? net.connect({ host, port })
        : tls.connect({ host, port, rejectUnauthorized: false, ALPNProtocols: ["http/1.1"], ...shown.certificate });
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
    socket.write(REQUEST);
  });
}
