/** What the connection manager and the router write into responses: `server`, `date`, `via`, ids and times. */
import type { Clock } from "../../core/clock.ts";
import type { HeaderMap } from "../../core/header-map.ts";
import type { HttpConnectionManager } from "../../model/http.ts";
import type { StreamInfo } from "../../telemetry/stream-info.ts";
import { Group } from "./header-groups.ts";
import { encodeUtf8 } from "./regex.ts";
import type { ResponseStage } from "./request-stage.ts";
import { compileResponseVia } from "./via.ts";

export function compileResponseStages(config: HttpConnectionManager, clock: Clock): readonly ResponseStage[] {
  return [
    compileDate(clock),
    compileServer(config),
    config.alwaysSetRequestIdInResponse ? setRequestId : null,
    compileResponseVia(config.via),
  ].filter((stage) => stage !== null);
}

function compileServer(config: HttpConnectionManager): ResponseStage | null {
  const name = encodeUtf8(config.serverName);
  switch (config.serverHeader) {
    case "overwrite":
      return ({ headers }, _info, _request, seen) => {
        if ((seen & Group.server) !== 0) headers.remove("server");
        headers.append("server", name);
      };
    case "append_if_absent":
      return ({ headers }, _info, _request, seen) => {
        if ((seen & Group.server) === 0 || !headers.has("server")) headers.append("server", name);
      };
    case "pass_through":
      return null;
  }
}

/** RFC 9110, section 6.6.1: a recipient adds the date if the origin did not. Its text is made once a second. */
function compileDate(clock: Clock): ResponseStage {
  let second = -1;
  let text = "";
  return ({ headers }, _info, _request, seen) => {
    if ((seen & Group.date) !== 0 && headers.has("date")) return;
    const now = clock.wallTime();
    const current = Math.floor(now / 1000);
    if (current !== second) {
      second = current;
      text = new Date(now).toUTCString();
    }
    headers.append("date", text);
  };
}

const setRequestId: ResponseStage = ({ headers }, _info, request) => {
  const id = request.headers.first("x-request-id");
  if (id !== null) headers.set("x-request-id", id);
};

/** Milliseconds from the end of the request to the upstream's response; left out while the request still arrives. */
export function addServiceTime(headers: HeaderMap, info: StreamInfo, now: number): void {
  if (info.requestEndAt === 0) return;
  const received = info.upstreamFirstByteReceivedAt === 0 ? now : info.upstreamFirstByteReceivedAt;
  headers.set("x-envoy-upstream-service-time", String(Math.max(0, Math.floor(received - info.requestEndAt))));
}
