/** Starts the control plane and leaves its ports in the state directory, where sidecars on the machine find them. */
import { mkdirSync, writeFileSync } from "node:fs";
import { startControlPlane } from "../control-plane/control-plane.ts";
import { messageOf, UserError } from "../core/errors.ts";
import { logger } from "../core/log.ts";
import type { ControlPlaneFlags } from "./control-plane-command.ts";
import { handleSignals } from "./lifecycle.ts";
import { type ControlPlaneRecord, controlPlaneRecordFile, defaultStateDir } from "./state-home.ts";

const log = logger("control-plane");

export async function runControlPlane(flags: ControlPlaneFlags): Promise<void> {
  const stateDir = flags.state ?? defaultStateDir();
  try {
    mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new UserError(`the state directory ${stateDir} cannot be made: ${messageOf(error)}`);
  }
  const controlPlane = await startControlPlane({
    configDir: flags.config ?? null,
    stateDir,
    trustDomain: flags.trustDomain,
    xdsPort: flags.xdsPort,
    xdsTlsPort: flags.xdsTlsPort,
    xdsTlsHost: flags.host,
    statusPort: flags.statusPort,
    ...(flags.certLifetime === undefined ? {} : { certLifetimeMs: flags.certLifetime * 1000 }),
  });
  const record: ControlPlaneRecord = { ...controlPlane.addresses, trustDomain: flags.trustDomain };
  // It stays when the control plane stops: a sidecar that starts meanwhile waits at the right place.
  writeFileSync(controlPlaneRecordFile(stateDir), `${JSON.stringify(record)}\n`, { mode: 0o600 });
  log.info({ ...record, stateDir }, "control plane is up");
  handleSignals({
    onStop: async () => {
      await controlPlane.close();
    },
    onReopenLogs: () => undefined,
  });
}
