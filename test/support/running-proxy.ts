/**
 * A whole proxy in the test's own process, from an Envoy bootstrap to listening sockets, so that a test can talk to it
 * byte by byte and afterwards look for what it left behind: counters, timers, connections.
 */
import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import type { ConnectionOptions } from "node:tls";
import { ProxyProcess } from "../../cli/proxy-process.ts";
import { loadBootstrap, processDecodeOptions } from "../../control-client/bootstrap.ts";
import type { Problem } from "../../core/errors.ts";
import { setLogLevel } from "../../core/log.ts";
import { nextValue } from "../../core/watch.ts";
import type { Snapshot } from "../../model/snapshot.ts";
import type { UpstreamCluster } from "../../proxy/outbound.ts";
import { address, chain, hcm, host, type Json, listener, named, route } from "../../xds/testing/bootstrap-json.ts";
import { CERTIFICATE, PRIVATE_KEY } from "../../xds/testing/pem.ts";
import { connectTo, until, type Wire } from "./wire.ts";

setLogLevel("off");

/** What a test says of the proxy it wants; the rest is Envoy's defaults. */
export interface ProxyConfig {
  /** Endpoints of the cluster `up`, ports on 127.0.0.1. */
  readonly upstreams?: readonly number[];
  /** Fields of that cluster. */
  readonly cluster?: Json;
  /** Fields of the route's action. */
  readonly action?: Json;
  /** In the place of the one route to `up`. */
  readonly routes?: readonly Json[];
  /** Fields of the connection manager. */
  readonly manager?: Json;
  /** Fields of the listener. */
  readonly listener?: Json;
  readonly clusters?: readonly Json[];
}

export function endpoints(name: string, ports: readonly number[]): Json {
  const lbEndpoints = ports.map((port) => ({ endpoint: { address: address("127.0.0.1", port) } }));
  return { cluster_name: name, endpoints: [{ lb_endpoints: lbEndpoints }] };
}

export function bootstrapOf(config: ProxyConfig): Json {
  const up = {
    name: "up",
    type: "STATIC",
    connect_timeout: "2s",
    load_assignment: endpoints("up", config.upstreams ?? []),
    ...config.cluster,
  };
  const routes = config.routes ?? [route({ route: { cluster: "up", ...config.action } })];
  const table = { name: "routes", virtual_hosts: [host({ routes })] };
  const manager = hcm({ delayed_close_timeout: "0.2s", route_config: table, ...config.manager });
  return {
    static_resources: {
      listeners: [listener({ name: "main", filter_chains: [chain([named("http", manager)])], ...config.listener })],
      clusters: [up, ...(config.clusters ?? [])],
    },
  };
}

const TLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3";

/** A transport socket that serves TLS with the certificate that tests share. */
export const SERVER_TLS: Json = {
  name: "tls",
  typed_config: {
    "@type": `${TLS}.DownstreamTlsContext`,
    common_tls_context: {
      tls_certificates: [
        { certificate_chain: { inline_string: CERTIFICATE }, private_key: { inline_string: PRIVATE_KEY } },
      ],
    },
  },
};

/** A transport socket that speaks TLS and verifies nobody. */
export const CLIENT_TLS: Json = { name: "tls", typed_config: { "@type": `${TLS}.UpstreamTlsContext` } };

/** A listener whose one chain serves TLS. */
export function secured(config: ProxyConfig): ProxyConfig {
  const { listeners } = bootstrapOf(config)["static_resources"] as { listeners: { filter_chains: Json[] }[] };
  const chains = listeners.flatMap((one) =>
    one.filter_chains.map((plain) => ({ ...plain, transport_socket: SERVER_TLS })),
  );
  return { ...config, listener: { ...config.listener, filter_chains: chains } };
}

/** The snapshot that a bootstrap's static resources make. */
export function snapshotOf(bootstrap: Json): Snapshot {
  return load(bootstrap).static;
}

function load(bootstrap: Json) {
  return loadBootstrap({ configYaml: JSON.stringify(bootstrap), decode: processDecodeOptions() }).bootstrap;
}

export class RunningProxy {
  readonly process: ProxyProcess;
  readonly #clients: Wire[] = [];

  constructor(process: ProxyProcess) {
    this.process = process;
  }

  /** A client's connection to the listener `main`. */
  async connect(secure: ConnectionOptions | null = null): Promise<Wire> {
    const wire = await connectTo(this.port, secure);
    this.#clients.push(wire);
    return wire;
  }

  /** The port that a listener is bound to. */
  portOf(name = "main"): number {
    for (const runtime of this.process.dataPlane.listeners) {
      if (runtime.config.name === name && runtime.boundAddress !== null) return runtime.boundAddress.port;
    }
    throw new Error(`listener "${name}" is not bound`);
  }

  get port(): number {
    return this.portOf();
  }

  cluster(name = "up"): UpstreamCluster {
    const cluster = this.process.dataPlane.clusters.get(name);
    if (cluster === null) throw new Error(`there is no cluster "${name}"`);
    return cluster;
  }

  get downstreamConnections(): number {
    let open = 0;
    for (const runtime of this.process.dataPlane.listeners) open += runtime.connections;
    return open;
  }

  /** Puts another configuration in force. */
  apply(config: ProxyConfig | Snapshot): Promise<readonly Problem[]> {
    return this.process.dataPlane.apply("listeners" in config ? config : snapshotOf(bootstrapOf(config)));
  }

  /** What is still under way, by name; empty when nothing is. */
  leftovers(): Record<string, number> {
    const left: Record<string, number> = { downstreamConnections: this.downstreamConnections };
    for (const cluster of this.process.dataPlane.clusters.all()) {
      const { stats, limits, highLimits, name } = cluster;
      left[`${name}.upstream_rq_active`] = stats.upstream_rq_active;
      left[`${name}.upstream_rq_pending_active`] = stats.upstream_rq_pending_active;
      left[`${name}.connections not counted alike`] = limits.connections - stats.upstream_cx_active;
      for (const [kind, counts] of Object.entries({ default: limits, high: highLimits })) {
        left[`${name}.${kind}.requests`] = counts.requests;
        left[`${name}.${kind}.pending`] = counts.pending;
        left[`${name}.${kind}.retries`] = counts.retries;
      }
      let open = 0;
      let pools = 0;
      for (const endpoint of cluster.endpoints) {
        left[`${endpoint.name}.activeRequests`] = endpoint.activeRequests;
        open += endpoint.activeConnections;
        const pool = endpoint.pool;
        if (pool === null) continue;
        left[`${endpoint.name}.busy connections`] = pool.connections - pool.idleConnections;
        if (pool.idleConnections > 0) pools++;
      }
      left[`${name}.endpoint connections`] = open - stats.upstream_cx_active;
      left["timers"] = (left["timers"] ?? 0) - pools;
    }
    // A pool with idle connections has one timer to close them.
    left["timers"] = (left["timers"] ?? 0) + this.process.dataPlane.wheel.size;
    return Object.fromEntries(Object.entries(left).filter(([, count]) => count !== 0));
  }

  /** Ends all clients, and checks that nothing of their requests is left; `besides`: names of what may be. */
  async settled(withinMs = 3000, besides: readonly string[] = []): Promise<void> {
    for (const client of this.#clients.splice(0)) client.destroy();
    const left = (): object =>
      Object.fromEntries(Object.entries(this.leftovers()).filter(([name]) => !besides.includes(name)));
    await until(() => Object.keys(left()).length === 0, withinMs).catch(() => assert.deepEqual(left(), {}));
  }

  /** Ends the proxy and checks that no timer and no upstream connection outlives it. */
  async close(): Promise<void> {
    for (const client of this.#clients.splice(0)) client.destroy();
    const clusters = [...this.process.dataPlane.clusters.all()];
    await this.process.close();
    await until(() => clusters.every(({ stats }) => stats.upstream_cx_active === 0)).catch(() => undefined);
    for (const { name, stats, limits } of clusters) {
      assert.equal(stats.upstream_cx_active, 0, `${name}: open connections after the end`);
      assert.equal(limits.connections, 0, `${name}: connections counted after the end`);
    }
    await until(() => this.process.dataPlane.wheel.size === 0).catch(() => undefined);
    assert.equal(this.process.dataPlane.wheel.size, 0, "timers armed after the end");
  }
}

/**
 * Starts a proxy from a whole bootstrap, or from what is particular about it; resolves when it is ready. At the test's
 * end it is closed, and what then is left of it fails the test.
 */
export async function startProxy(t: TestContext, config: ProxyConfig | { readonly bootstrap: Json }) {
  const decode = processDecodeOptions();
  const process = new ProxyProcess({
    bootstrap: load("bootstrap" in config ? config.bootstrap : bootstrapOf(config)),
    client: { decode },
    identity: null,
    workload: "test",
    drainMs: 2000,
    fileFlushIntervalMs: 10,
  });
  const proxy = new RunningProxy(process);
  t.after(() => proxy.close());
  await nextValue(process.ready, (ready) => ready);
  if (process.problems.length > 0) assert.fail(process.problems.map(({ message }) => message).join("\n"));
  return proxy;
}
