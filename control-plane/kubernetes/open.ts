/** The source of a control plane that runs in a cluster, or beside one. */
import type { Clock } from "../../core/clock.ts";
import type { Random } from "../../core/random.ts";
import { inClusterConnection, kubeconfigConnection } from "./connection.ts";
import { HttpApi } from "./http-api.ts";
import { KubernetesSource } from "./source.ts";

export interface OpenOptions {
  /** `KUBECONFIG` names a file; without it this is a pod. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Of this program. */
  readonly version: string;
  readonly clock: Clock;
  readonly random: Random;
}

/** Rejects with a `UserError` where neither is so, or the file can't be used. Nothing is read before `start`. */
export async function openKubernetes({ environment, version, clock, random }: OpenOptions): Promise<KubernetesSource> {
  const { KUBECONFIG: file } = environment;
  const connection = file ? await kubeconfigConnection(file) : inClusterConnection({ environment, clock });
  return new KubernetesSource({
    api: new HttpApi({ connection, userAgent: `outrigger/${version}` }),
    clock,
    random,
  });
}
