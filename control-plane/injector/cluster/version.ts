/** Whether the cluster knows native sidecars: an older one would take the sidecar for an init container, and wait for its end for ever. */
import { UserError } from "../../../core/errors.ts";
import { type JsonValue, objectOf, textOf } from "../../json.ts";
import type { CallCluster } from "./call.ts";

/** The first minor version of Kubernetes 1 in which `restartPolicy: Always` of init containers is on by default. */
const FIRST_MINOR = 29;

/** Rejects with a UserError for a cluster that is too old; with the call's error where it cannot be asked. */
export async function requireNativeSidecars(call: CallCluster): Promise<void> {
  const { major, minor, gitVersion } = objectOf((await call({ method: "GET", path: "/version" })) as JsonValue);
  // Some providers write `29+`.
  const [, digits = ""] = /^(\d+)/.exec(textOf(minor)) ?? [];
  if (textOf(major) !== "1" || digits === "" || Number(digits) >= FIRST_MINOR) return;
  throw new UserError(
    `Kubernetes ${textOf(gitVersion) || `1.${digits}`} has no native sidecar containers: 1.${FIRST_MINOR} or newer is needed`,
  );
}
