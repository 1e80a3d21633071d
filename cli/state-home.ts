/** Where state lives on one machine when nobody says otherwise: CA, join tokens, registrations, caches. */
import { homedir } from "node:os";
import path from "node:path";

/** `OUTRIGGER_STATE`, else `outrigger` under `XDG_STATE_HOME`, else `~/.local/state/outrigger`. */
export function defaultStateDir(env: NodeJS.ProcessEnv = process.env): string {
  const { OUTRIGGER_STATE, XDG_STATE_HOME } = env;
  if (OUTRIGGER_STATE) return OUTRIGGER_STATE;
  return path.join(XDG_STATE_HOME || path.join(homedir(), ".local", "state"), "outrigger");
}

/** What a running control plane leaves in its state directory, so that sidecars on the machine find its ports. */
export interface ControlPlaneRecord {
  readonly xds: string;
  readonly xdsTls: string;
  readonly status: string;
  readonly trustDomain: string;
}

export function controlPlaneRecordFile(stateDir: string): string {
  return path.join(stateDir, "control-plane.json");
}
