/** `via` (RFC 9110, section 7.6.3): the configured name is appended both ways. */
import type { HeaderMap } from "../../core/header-map.ts";
import { Group } from "./header-groups.ts";
import { encodeUtf8 } from "./regex.ts";
import type { RequestStage, ResponseStage } from "./request-stage.ts";

export function compileRequestVia(via: string): RequestStage | null {
  if (via === "") return null;
  const value = encodeUtf8(via);
  return ({ headers }, _info, seen) => append(headers, value, seen);
}

export function compileResponseVia(via: string): ResponseStage | null {
  if (via === "") return null;
  const value = encodeUtf8(via);
  return ({ headers }, _info, _request, seen) => append(headers, value, seen);
}

function append(headers: HeaderMap, value: string, seen: number): void {
  const before = (seen & Group.via) === 0 ? null : headers.get("via");
  if (before === null) headers.append("via", value);
  else headers.set("via", `${before}, ${value}`);
}
