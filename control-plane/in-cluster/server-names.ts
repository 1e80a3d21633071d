/** Under which names a control plane's Service is called. */

export interface ServicePlace {
  readonly service: string;
  readonly namespace: string;
  readonly clusterDomain: string;
}

/** `SERVICE`, and it with namespace, `svc` and the cluster's domain, as resolvers complete names. */
export function serverNames({ service, namespace, clusterDomain }: ServicePlace): readonly string[] {
  const inNamespace = `${service}.${namespace}`;
  return [service, inNamespace, `${inNamespace}.svc`, `${inNamespace}.svc.${clusterDomain}`];
}
