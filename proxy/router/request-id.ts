/** `x-request-id`: one id per request, made at the edge and carried through the mesh. */
import { randomUUID } from "node:crypto";
import type { HttpConnectionManager } from "../../model/http.ts";
import { Group } from "./header-groups.ts";
import type { RequestStage } from "./request-stage.ts";

/** A UUID v4; Node draws its random bytes in pools. */
export function newRequestId(): string {
  return randomUUID();
}

/**
 * Sets the id. The first proxy of a mesh (`use_remote_address`) takes none from outside unless told to preserve it;
 * null where ids are not generated.
 */
export function compileRequestId(
  config: Pick<HttpConnectionManager, "generateRequestId" | "preserveExternalRequestId" | "useRemoteAddress">,
  newId: () => string,
): RequestStage | null {
  if (!config.generateRequestId) return null;
  const replaces = config.useRemoteAddress && !config.preserveExternalRequestId;
  return ({ headers }, _info, seen) => {
    if ((seen & Group.requestId) === 0) headers.append("x-request-id", newId());
    else if (replaces || !headers.get("x-request-id")) headers.set("x-request-id", newId());
  };
}
