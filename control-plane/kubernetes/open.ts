/** The API of the cluster that a control plane runs in, or beside. */
import type { Clock } from "../../core/clock.ts";
import type { KubernetesApi } from "./api.ts";
import { inClusterConnection, kubeconfigConnection } from "./connection.ts";
import { HttpApi } from "./http-api.ts";

export interface OpenOptions {
  /**
   * `KUBECONFIG` names a file; without it this is a pod, whose token and CA are where Kubernetes mounts them or where
   * `OUTRIGGER_SERVICE_ACCOUNT_DIR` says.
   */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Of this program. */
  readonly version: string;
  readonly clock: Clock;
}

/** Rejects with a `UserError` where neither is so, or the file can't be used. Nothing is asked of it yet. */
export async function openApi({ environment, version, clock }: OpenOptions): Promise<KubernetesApi> {
  const { KUBECONFIG: file, OUTRIGGER_SERVICE_ACCOUNT_DIR: mount } = environment;
  const connection = file
    ? await kubeconfigConnection(file)
    : inClusterConnection({ environment, clock, ...(mount ? { mount } : {}) });
  return new HttpApi({ connection, userAgent: `outrigger/${version}` });
}
