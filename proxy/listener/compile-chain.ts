/** A filter chain ready to run: its TLS context, its network rules, and the terminal filter at its end. */
import type { ConnectionInfo } from "../../telemetry/stream-info.ts";
import type { ConnectionVerdict } from "../filters/rbac-network.ts";
import type { ServerTlsContext } from "../tls/server-context.ts";
import type { Terminal } from "./terminal.ts";

export interface CompiledFilterChain {
  readonly name: string;
  /** null: plaintext. */
  readonly tls: ServerTlsContext | null;
  /** The handshake goes by what the client asks for: its ClientHello is to be read before. */
  readonly readsHello: boolean;
  /** Whether the configuration still has the chain, and it means the same to its connections. */
  readonly inForce: boolean;
  /** 0: no limit. */
  readonly handshakeTimeoutMs: number;
  /** Network-level access rules: why they refuse the connection, null where they let it pass. */
  readonly check: (info: ConnectionInfo) => ConnectionVerdict | null;
  /** null: the chain has no filters, its connections are closed (as in Envoy). */
  readonly terminal: Terminal | null;
}
