/** A control plane of a cluster as a process: its flags, what the pod says of itself, and where its settings are. */
import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import type { RootRotationPolicy } from "../../certs/root-rotation.ts";
import { startInCluster } from "../../control-plane/in-cluster/in-cluster.ts";
import type { InClusterControlPlane, InClusterInjector } from "../../control-plane/in-cluster/options.ts";
import { openApi } from "../../control-plane/kubernetes/open.ts";
import { systemClock } from "../../core/clock.ts";
import { systemRandom } from "../../core/random.ts";
import type { ControlPlaneFlags } from "../control-plane-command.ts";
import { readSettings } from "../inject/settings-of-file.ts";
import { VERSION } from "../version.ts";

export interface RunInClusterOptions {
  readonly flags: ControlPlaneFlags;
  readonly stateDir: string;
  /** null: --xds-port was not given, and there is no plaintext port: in a pod nobody needs it, in a node's network anybody could use it. */
  readonly xdsPort: number | null;
  readonly rootRotation: RootRotationPolicy | null;
  readonly environment: NodeJS.ProcessEnv;
  /** Ends it, also while it waits. */
  readonly signal: AbortSignal;
}

/** Rejects with a `UserError` for what waiting won't mend. */
export async function runInCluster(options: RunInClusterOptions): Promise<InClusterControlPlane> {
  const { flags, environment, signal } = options;
  const injector = injectorOf(flags);
  const api = await openApi({ environment, version: VERSION, clock: systemClock });
  const { namespace, revision, service, clusterDomain, trustDomain, lease, caSecret, rootsConfigMap, tokenAudience } =
    flags;
  return startInCluster(
    {
      api,
      namespace,
      revision,
      service,
      clusterDomain,
      instance: `${environment["POD_NAME"] || hostname()}_${randomBytes(4).toString("hex")}`,
      version: VERSION,
      trustDomain,
      stateDir: options.stateDir,
      host: flags.host,
      xdsTlsPort: flags.xdsTlsPort,
      xdsPort: options.xdsPort,
      statusHost: flags.statusHost,
      statusPort: flags.statusPort,
      lease,
      caSecret,
      rootsConfigMap,
      tokenAudience,
      ...(flags.certLifetime === undefined ? {} : { certLifetimeMs: flags.certLifetime * 1000 }),
      intermediate: flags.intermediate ?? false,
      rootRotation: options.rootRotation,
      injector,
      clock: systemClock,
      random: systemRandom,
    },
    signal,
  );
}

/** What the control plane itself goes by is said once, by its flags: they go before the settings of that name. */
function injectorOf(flags: ControlPlaneFlags): InClusterInjector | null {
  const { webhookPort, webhookConfiguration = "", trustDomain, tokenAudience, rootsConfigMap } = flags;
  if (webhookPort === undefined) return null;
  const settings = readSettings(flags.injectorSettings, { trustDomain, tokenAudience, rootsConfigMap });
  return { settings, port: webhookPort, configuration: webhookConfiguration };
}
