/** How the application finds its peers: the variables that Kubernetes sets for services, and `http_proxy`. */
import type { Listener } from "../../model/listener.ts";

/** Calls to these never go through the proxy that `http_proxy` names: they are the sidecar's own or the machine's. */
const NO_PROXY = "localhost,127.0.0.0/8,127.0.0.1,::1";

/**
 * `STOCK_SERVICE_HOST` and `STOCK_SERVICE_PORT` (and `_PORT_HTTP` for a named port) of each service in the namespace: where
 * the sidecar listens for it, or with interception the service's own address. Where a service has several ports the first
 * counts, as in Kubernetes.
 */
export function serviceEnvironment(listeners: Iterable<Listener>, namespace: string): Record<string, string> {
  const env: Record<string, string> = {};
  const ports = [...listeners]
    .flatMap(({ address, outrigger }) =>
      outrigger?.service && address.kind === "tcp" ? [{ service: outrigger.service, at: address }] : [],
    )
    .filter(({ service }) => service.namespace === namespace)
    .sort((a, b) => a.service.port - b.service.port);
  for (const { service, at } of ports) {
    const prefix = service.name.toUpperCase().replaceAll(/[^A-Z0-9]/g, "_");
    env[`${prefix}_SERVICE_HOST`] ??= at.host;
    env[`${prefix}_SERVICE_PORT`] ??= String(at.port);
    if (service.portName)
      env[`${prefix}_SERVICE_PORT_${service.portName.toUpperCase().replaceAll(/[^A-Z0-9]/g, "_")}`] = String(at.port);
  }
  return env;
}

/** For programs that ask for a proxy: the sidecar is one. */
export function proxyEnvironment(url: string): Record<string, string> {
  return { http_proxy: url, HTTP_PROXY: url, no_proxy: NO_PROXY, NO_PROXY };
}
