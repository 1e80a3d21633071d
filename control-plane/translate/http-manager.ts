/** The HTTP connection manager as the mesh's listeners have it. */

import type { HttpConnectionManager, HttpFilter } from "../../model/http.ts";
import type { MeshSettings } from "../mesh/state.ts";
import { HTTP_CONNECTION_MANAGER } from "./envoy-defaults.ts";
import { HTTP2 } from "./mesh-protocol.ts";
import { accessLogs, tracing } from "./telemetry.ts";

/** A head that takes longer than this is an attack or a dead peer. */
const HEAD_DEADLINE_MS = 15_000;

export const ROUTER: HttpFilter = {
  kind: "router",
  name: "envoy.filters.http.router",
  disabled: false,
  suppressEnvoyHeaders: false,
  respectExpectedRqTimeout: false,
};

/** `tracedAs`: the service whose sidecar the spans are of. */
export function connectionManager(
  statPrefix: string,
  tracedAs: string,
  settings: MeshSettings,
  parts: Pick<HttpConnectionManager, "routes"> & Partial<HttpConnectionManager>,
): HttpConnectionManager {
  return {
    ...HTTP_CONNECTION_MANAGER,
    statPrefix,
    filters: [ROUTER],
    http2: HTTP2,
    accessLogs: accessLogs(settings),
    tracing: tracing(settings, tracedAs),
    upgrades: [{ type: "websocket", enabled: true }],
    requestHeadersTimeoutMs: HEAD_DEADLINE_MS,
    // The application's own `server` header is part of its answer.
    serverHeader: "pass_through",
    ...parts,
  };
}

export function http1Options(defaultHost: string): HttpConnectionManager["http1"] {
  return {
    ...HTTP_CONNECTION_MANAGER.http1,
    acceptHttp10: true,
    defaultHostForHttp10: defaultHost,
    enableTrailers: true,
    // Applications choose their methods, not the mesh.
    allowCustomMethods: true,
  };
}
