/** The HTTP connection manager as the end of a filter chain. */
import type { Socket } from "node:net";
import type { ConnectionInfo, ConnectionTls } from "../../telemetry/stream-info.ts";
import { MULTIPLEXED } from "../codec/http2/protocol.ts";
import type { ServedConnection, Terminal } from "../listener/terminal.ts";
import type { HttpServerOptions } from "./compile-runtime.ts";
import { HttpConnection, type HttpVersion } from "./connection.ts";
import type { HttpRuntime } from "./runtime.ts";

/** What callers may speak; `auto`: ALPN or their first bytes tell. */
export type CodecType = "auto" | "http1" | "http2";

export class HttpTerminal implements Terminal {
  readonly opaque = null;
  readonly #codecType: CodecType;
  readonly #options: HttpServerOptions;
  readonly #runtime: () => HttpRuntime;

  /** `runtime` gives the connection manager as configured now: routes may change under a connection. */
  constructor(codecType: CodecType, options: HttpServerOptions, runtime: () => HttpRuntime) {
    this.#codecType = codecType;
    this.#options = options;
    this.#runtime = runtime;
  }

  serve(socket: Socket, head: Buffer | null, info: ConnectionInfo, onClosed: () => void): ServedConnection {
    const version = httpVersion(this.#codecType, info.tls);
    const connection = new HttpConnection(socket, version, this.#options, info, this.#runtime, onClosed);
    if (head !== null) connection.feed(head);
    return connection;
  }
}

/** What the codec of a connection is, as Envoy's AUTO settles it: by ALPN, else by the first bytes. */
function httpVersion(codecType: CodecType, tls: ConnectionTls | null): HttpVersion {
  if (tls?.alpn === MULTIPLEXED) return "multiplexed";
  if (codecType !== "auto") return codecType;
  if (tls?.alpn === "h2") return "http2";
  return tls?.alpn === "http/1.1" ? "http1" : "auto";
}
