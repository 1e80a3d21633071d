/** The chart in a real API server, without Helm's own part: what it would create, and the control plane's service account. */
import { type Helm, type KubeObject, NAMESPACE, render } from "./helm.ts";
import type { KubeApiServer } from "./kube-api-server.ts";
import type { KubeClient } from "./kube-client.ts";
import { only } from "./pod-spec.ts";

export { NAMESPACE };

const RIGHTS = new Set(["ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"]);

export interface InstalledChart {
  readonly objects: readonly KubeObject[];
  /** Who asks as the control plane does. */
  readonly account: KubeClient;
  readonly token: string;
}

/** Creates the namespace and the control plane's rights, as the chart has them. */
export async function installRights(
  server: KubeApiServer,
  helm: Helm,
  values: object | string = {},
): Promise<InstalledChart> {
  const { admin } = server;
  const objects = render(helm, "outrigger", values);
  if ((await admin.status("GET", `/api/v1/namespaces/${NAMESPACE}`)) === 404) await admin.namespace(NAMESPACE);
  for (const object of objects) if (RIGHTS.has(object.kind)) await admin.apply(object);
  const token = await admin.token(NAMESPACE, only<KubeObject>(objects, "ServiceAccount").metadata.name);
  return { objects, token, account: server.withToken(token) };
}

/**
 * Creates the webhook's configuration, and the Service that it names: where the chart's leads to pods this one leads to
 * this machine, under the same name.
 */
export async function installWebhook(
  { admin }: KubeApiServer,
  objects: readonly KubeObject[],
  port: number,
): Promise<KubeObject> {
  const configuration = only<{ webhooks: readonly Webhook[] }>(objects, "MutatingWebhookConfiguration");
  const { metadata } = only<KubeObject>(objects, "Service");
  const spec = { type: "ExternalName", externalName: "localhost" };
  await admin.apply({ apiVersion: "v1", kind: "Service", metadata, spec });
  const webhooks = configuration.webhooks.map(({ clientConfig, ...webhook }) => ({
    ...webhook,
    clientConfig: { service: { ...clientConfig.service, port } },
  }));
  await admin.apply({ ...configuration, webhooks });
  return configuration;
}

interface Webhook {
  readonly clientConfig: { readonly service: object };
}
