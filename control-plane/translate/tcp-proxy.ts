/** Connections whose bytes are not looked into. */
import type { NetworkFilter } from "../../model/listener.ts";
import type { TcpProxy } from "../../model/tcp.ts";
import { DEFAULT_OPAQUE_IDLE_MS } from "../mesh/defaults.ts";
import type { MeshSettings } from "../mesh/state.ts";
import { tcpAccessLogs } from "./telemetry.ts";

export function tcpProxy(
  statPrefix: string,
  cluster: TcpProxy["cluster"],
  settings: MeshSettings,
  parts: Partial<Pick<TcpProxy, "idleTimeoutMs" | "maxConnectAttempts">> = {},
): NetworkFilter {
  return {
    kind: "tcp_proxy",
    config: {
      statPrefix,
      cluster,
      idleTimeoutMs: DEFAULT_OPAQUE_IDLE_MS,
      maxConnectAttempts: 1,
      maxDownstreamConnectionDurationMs: 0,
      accessLogs: tcpAccessLogs(settings),
      logOnConnected: false,
      logIntervalMs: 0,
      hashSourceIp: false,
      ...parts,
    },
  };
}
