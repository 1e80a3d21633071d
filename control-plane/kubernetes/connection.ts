/**
 * How an API server is reached and who asks: within a pod by what Kubernetes mounts there, elsewhere by a kubeconfig file,
 * which `@kubernetes/client-node` reads with all of its ways to prove who one is. That package costs 88 MB of memory and a
 * second at start, so that nobody loads it who does not need it.
 */
import { readFile } from "node:fs/promises";
import type { RequestOptions } from "node:https";
import path from "node:path";
import type { Clock } from "../../core/clock.ts";
import { messageOf, UserError } from "../../core/errors.ts";

export interface ApiConnection {
  /** `https://10.0.0.1:6443` */
  readonly server: URL;
  /** TLS settings and headers for one request: tokens expire, so that they are asked for each time. */
  credentials(): Promise<RequestOptions>;
}

const MOUNT = "/var/run/secrets/kubernetes.io/serviceaccount";
/** How long a token is used until its file is read again, ms: kubelet renews it long before it expires. */
const TOKEN_MS = 60_000;

export interface InClusterOptions {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  /** Where token and CA are mounted. Default: Kubernetes' own place. */
  readonly mount?: string;
}

/** By the service account of this pod. Throws a `UserError` outside of one. */
export function inClusterConnection({ environment, clock, mount = MOUNT }: InClusterOptions): ApiConnection {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = environment;
  if (!host || !port) {
    throw new UserError(
      "this is no pod of a cluster (KUBERNETES_SERVICE_HOST is not set): name a kubeconfig file by KUBECONFIG",
    );
  }
  let held: { readonly at: number; readonly credentials: RequestOptions } | null = null;
  return {
    server: new URL(`https://${host.includes(":") ? `[${host}]` : host}:${port}`),
    async credentials() {
      if (held !== null && clock.now() - held.at < TOKEN_MS) return held.credentials;
      try {
        const [ca, token] = await Promise.all([
          readFile(path.join(mount, "ca.crt")),
          readFile(path.join(mount, "token"), "utf8"),
        ]);
        held = { at: clock.now(), credentials: { ca, headers: { authorization: `Bearer ${token.trim()}` } } };
        return held.credentials;
      } catch (error) {
        throw new Error(`cannot read this pod's service account: ${messageOf(error)}`);
      }
    },
  };
}

/** What is used of `KubeConfig`. */
interface KubeConfig {
  loadFromFile(file: string): void;
  getCurrentCluster(): { readonly server: string; readonly proxyUrl?: string } | null;
  applyToHTTPSOptions(options: RequestOptions): Promise<void>;
}

/** Not known to the compiler or the bundler: whoever has a kubeconfig file installs it. */
const CLIENT_PACKAGE: string = "@kubernetes/client-node";

/** By the current context of a kubeconfig file. Rejects with a `UserError` for one that can't be used. */
export async function kubeconfigConnection(file: string): Promise<ApiConnection> {
  let config: KubeConfig;
  try {
    const client = (await import(CLIENT_PACKAGE)) as { readonly KubeConfig: new () => KubeConfig };
    config = new client.KubeConfig();
  } catch (error) {
    throw new UserError(`a kubeconfig file needs the package ${CLIENT_PACKAGE}: ${messageOf(error)}`);
  }
  let cluster: ReturnType<KubeConfig["getCurrentCluster"]>;
  try {
    config.loadFromFile(file);
    cluster = config.getCurrentCluster();
  } catch (error) {
    throw new UserError(`kubeconfig ${file}: ${messageOf(error)}`);
  }
  if (cluster === null || !URL.canParse(cluster.server)) {
    throw new UserError(`kubeconfig ${file}: its current context names no cluster with a server`);
  }
  const { server, proxyUrl = "" } = cluster;
  return {
    server: new URL(server),
    async credentials() {
      const options: RequestOptions = {};
      await config.applyToHTTPSOptions(options);
      const { agent, ...credentials } = options;
      // Without a proxy theirs keeps no connections, and the first client certificate for ever.
      return proxyUrl === "" || agent === undefined ? credentials : { ...credentials, agent };
    },
  };
}
