/** A filter chain ready to run: its TLS context, its network rules, and the HTTP connection manager at its end. */
import type { ConnectionInfo } from "../../telemetry/stream-info.ts";
import type { HttpServerOptions } from "../http/compile-runtime.ts";
import type { HttpRuntime } from "../http/runtime.ts";
import type { ServerTlsContext } from "../tls/server-context.ts";

export interface CompiledFilterChain {
  readonly name: string;
  /** null: plaintext. */
  readonly tls: ServerTlsContext | null;
  /** 0: no limit. */
  readonly handshakeTimeoutMs: number;
  /** Network-level access rules: the reason for refusing the connection, or null. */
  readonly check: (info: ConnectionInfo) => string | null;
  readonly serverOptions: HttpServerOptions;
  /** What callers may speak; `auto`: ALPN or their first bytes tell. */
  readonly codecType: "auto" | "http1" | "http2";
  /** The connection manager as configured now; routes may change under a connection. */
  readonly runtime: () => HttpRuntime;
}
