/** What sidecars log where a MeshPolicy asks for errors only: the control plane's filter, run as the sidecar runs it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { DEFAULT_SETTINGS, type MeshSettings } from "../control-plane/mesh/state.ts";
import { accessLogs } from "../control-plane/translate/telemetry.ts";
import { HeaderMap } from "../core/header-map.ts";
import { systemRandom } from "../core/random.ts";
import { Flag } from "../model/flags.ts";
import { compileHeaderMatch } from "../proxy/router/compile-matcher.ts";
import { compileLogFilter } from "../telemetry/access-log/filter.ts";
import type { FormatContext } from "../telemetry/format.ts";
import { StreamInfo } from "../telemetry/stream-info.ts";

const SETTINGS: MeshSettings = { ...DEFAULT_SETTINGS, accessLog: "Errors" };

const [log] = accessLogs(SETTINGS);
assert.ok(log?.filter);
const isWritten = compileLogFilter(log.filter, compileHeaderMatch, systemRandom);

interface Call {
  readonly status: number;
  readonly flags?: number;
  /** Of a gRPC call; "" for one without. */
  readonly grpcStatus?: string;
}

function written({ status, flags = 0, grpcStatus }: Call): boolean {
  const info = new StreamInfo({
    id: 1,
    remoteAddress: "127.0.0.1",
    remotePort: 1,
    localAddress: "127.0.0.1",
    localPort: 2,
    tls: null,
    listener: "",
    filterChain: "",
  });
  info.responseCode = status;
  info.flags = flags;
  const headers = HeaderMap.of(grpcStatus === undefined ? {} : { "content-type": "application/grpc+proto" });
  const trailers = HeaderMap.of(grpcStatus ? { "grpc-status": grpcStatus } : {});
  const context: FormatContext = {
    info,
    request: { method: "POST", path: "/a.B/C", authority: "b", scheme: "http", protocol: "HTTP/2", headers },
    responseHeaders: HeaderMap.of({}),
    responseTrailers: trailers,
  };
  return isWritten(context);
}

test("plain calls are written by their status and flags", () => {
  assert.equal(written({ status: 200 }), false);
  // In gRPC's words 400 would be INTERNAL.
  assert.equal(written({ status: 400 }), false);
  assert.equal(written({ status: 503 }), true);
  assert.equal(written({ status: 0, flags: Flag.DC }), true);
});

test("gRPC calls are written where the service failed, although HTTP says 200", () => {
  const statuses = Array.from({ length: 17 }, (_, status) => status);
  const logged = statuses.filter((status) => written({ status: 200, grpcStatus: String(status) }));
  assert.deepEqual(logged, [2, 4, 8, 13, 14, 15]);
  assert.equal(written({ status: 200, grpcStatus: "" }), true);
});
