/** Finds the control planes, waits, and says how it went. */
import { parseDuration } from "../../control-plane/manifest/scalars.ts";
import { stayAlive, systemClock } from "../../core/clock.ts";
import { UserError } from "../../core/errors.ts";
import { defaultStateDir } from "../state-home.ts";
import { VERSION } from "../version.ts";
import type { WaitFlags } from "../wait-command.ts";
import { type ControlPlanes, controlPlanesAt, controlPlanesIn, localControlPlane } from "./control-planes.ts";
import { hasKubectl, kubectlApi } from "./kubectl.ts";
import { parseObjectName } from "./object-name.ts";
import { waitApplied } from "./wait-applied.ts";

/** Rejects with a `UserError` (exit code 1) where it is not in force everywhere in time. */
export async function runWait(object: string, flags: WaitFlags): Promise<void> {
  const timeoutMs = parseDuration(flags.timeout);
  if (timeoutMs === null) throw new UserError(`--timeout: "${flags.timeout}" is no duration, as 60s or 1m30s is`, 2);
  stayAlive();
  const said = await waitApplied({
    object: parseObjectName(object, flags.namespace),
    generation: flags.generation ?? null,
    revision: flags.revision ?? null,
    timeoutMs,
    controlPlanes: await controlPlanesFor(flags),
    clock: systemClock,
  });
  process.stdout.write(`${said}\n`);
  // Connections that are kept open are of no use any more.
  process.exit(0);
}

async function controlPlanesFor({ controlPlane, systemNamespace, state }: WaitFlags): Promise<ControlPlanes> {
  if (controlPlane) return controlPlanesAt(controlPlane);
  const { KUBECONFIG, KUBERNETES_SERVICE_HOST } = process.env;
  if (state !== undefined || !(KUBECONFIG || KUBERNETES_SERVICE_HOST)) {
    return localControlPlane(state ?? defaultStateDir());
  }
  // A kubeconfig file may name any way to prove who one is: kubectl knows them all.
  if (KUBECONFIG && (await hasKubectl())) return controlPlanesIn(kubectlApi(), systemNamespace);
  const { openApi } = await import("../../control-plane/kubernetes/open.ts");
  return controlPlanesIn(
    await openApi({ environment: process.env, version: VERSION, clock: systemClock }),
    systemNamespace,
  );
}
