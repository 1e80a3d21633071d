/** Starts the control plane and leaves its ports in the state directory, where sidecars on the machine find them. */
import { mkdirSync, writeFileSync } from "node:fs";
import { LONGEST_LIFETIME_MS } from "../certs/ca.ts";
import type { RootRotationPolicy } from "../certs/root-rotation.ts";
import { type ControlPlane, startControlPlane } from "../control-plane/control-plane.ts";
import { validateManifests } from "../control-plane/validate.ts";
import { systemClock } from "../core/clock.ts";
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
  const stopping = new AbortController();
  const starting = start(flags, stateDir, stopping.signal);
  // From the beginning: what waits for an API server can be stopped, too, as the first process of a container.
  handleSignals({
    onStop: async () => {
      stopping.abort();
      const started = await starting.catch(() => null);
      await started?.close();
    },
    onReopenLogs: () => undefined,
  });
  let controlPlane: ControlPlane;
  try {
    controlPlane = await starting;
  } catch (error) {
    if (stopping.signal.aborted) return;
    throw error;
  }
  const record: ControlPlaneRecord = { ...controlPlane.addresses, trustDomain: flags.trustDomain };
  // It stays when the control plane stops: a sidecar that starts meanwhile waits at the right place.
  writeFileSync(controlPlaneRecordFile(stateDir), `${JSON.stringify(record)}\n`, { mode: 0o600 });
  log.debug({ stateDir }, "ports are written to the state directory");
}

async function start(flags: ControlPlaneFlags, stateDir: string, signal: AbortSignal): Promise<ControlPlane> {
  if (flags.kubernetes) {
    const { runInCluster } = await import("./control-plane/run-in-cluster.ts");
    return runInCluster({
      flags,
      stateDir,
      xdsPort: flags.xdsPort ?? null,
      rootRotation: rootRotation(flags.rotateRootAfter),
      environment: process.env,
      signal,
    });
  }
  return startControlPlane({
    configDir: flags.config ?? null,
    stateDir,
    trustDomain: flags.trustDomain,
    ...(flags.xdsPort === undefined ? {} : { xdsPort: flags.xdsPort }),
    xdsTlsPort: flags.xdsTlsPort,
    xdsTlsHost: flags.host,
    statusHost: flags.statusHost,
    statusPort: flags.statusPort,
    intermediate: flags.intermediate ?? false,
    rootRotation: rootRotation(flags.rotateRootAfter),
    ...(flags.certLifetime === undefined ? {} : { certLifetimeMs: flags.certLifetime * 1000 }),
  });
}

/** Says what is wrong with the manifests; rejects with a UserError where documents would be refused. */
export async function validateConfig({ config, trustDomain }: ControlPlaneFlags): Promise<void> {
  if (config === undefined)
    throw new UserError("--mode validate needs --config: which manifests are to be looked at?", 2);
  const { problems, findings, objects } = await validateManifests(config, trustDomain, systemClock);
  for (const { key, source, message } of findings) process.stdout.write(`note: ${source}: ${key}: ${message}\n`);
  if (problems.length > 0) throw new UserError(problems);
  process.stdout.write(`manifests in '${config}' OK: ${objects} objects, ${findings.length} notes\n`);
}

/** After this long every sidecar that is there has a new bundle. */
const LONGEST_DISTRIBUTION_MS = 3_600_000;

function rootRotation(afterSeconds: number | undefined): RootRotationPolicy | null {
  if (afterSeconds === undefined) return null;
  const rotateAfterMs = afterSeconds * 1000;
  const distributeMs = Math.min(LONGEST_DISTRIBUTION_MS, rotateAfterMs / 4);
  return { rotateAfterMs, distributeMs, retireAfterMs: LONGEST_LIFETIME_MS };
}
