/** What only the whole shows: references from one resource to another that lead nowhere, and addresses taken twice. */
import type { Problem } from "../core/errors.ts";
import { formatAddress } from "../model/address.ts";
import type { ConfigSource } from "../model/bootstrap.ts";
import type { FilterChain, Listener } from "../model/listener.ts";
import type { RequestMirror, RouteTable } from "../model/route.ts";
import type { Snapshot } from "../model/snapshot.ts";
import { type DownstreamTls, type UpstreamTls, WORKLOAD_CERT, WORKLOAD_ROOTS } from "../model/tls.ts";

export interface SnapshotSurroundings {
  /** Whether there is an ADS stream from which what is missing may still come. */
  readonly ads: boolean;
  /** Whether a CA hands out the workload's certificate and the mesh's roots under their well-known names. */
  readonly workloadIdentity: boolean;
  /** What paths begin with: `static_resources` for the resources of a bootstrap file, "" for others. */
  readonly root: "static_resources" | "";
}

/**
 * Everything that refers to nothing. As in Envoy, clusters are required of a route table inside its listener, of one
 * fetched by name only if it asks for that (`validate_clusters`), and of a TCP proxy never: its connections are closed.
 */
export function validateSnapshot(snapshot: Snapshot, surroundings: SnapshotSurroundings): Problem[] {
  const run = new Validation(snapshot, surroundings);
  run.listeners();
  run.tables();
  run.clusters();
  return run.problems;
}

class Validation {
  readonly problems: Problem[] = [];
  readonly #snapshot: Snapshot;
  readonly #surroundings: SnapshotSurroundings;

  constructor(snapshot: Snapshot, surroundings: SnapshotSurroundings) {
    this.#snapshot = snapshot;
    this.#surroundings = surroundings;
  }

  listeners(): void {
    const owners = new Map<string, string>();
    for (const [path, listener] of this.#placed("listeners", this.#snapshot.listeners)) {
      const at = new Reporter(this.problems, `listener ${JSON.stringify(listener.name)}`, path);
      this.#checkAddress(listener, owners, at);
      listener.filterChains.forEach((chain, i) => {
        this.#checkChain(chain, at.in(`filter_chains[${i}]`));
      });
      if (listener.defaultFilterChain) this.#checkChain(listener.defaultFilterChain, at.in("default_filter_chain"));
    }
  }

  tables(): void {
    for (const table of this.#snapshot.routes.values()) {
      const at = new Reporter(this.problems, `route configuration ${JSON.stringify(table.name)}`, "");
      if (table.validateClusters === true) this.#checkTable(table, at);
    }
  }

  clusters(): void {
    for (const [path, cluster] of this.#placed("clusters", this.#snapshot.clusters)) {
      const at = new Reporter(this.problems, `cluster ${JSON.stringify(cluster.name)}`, path);
      const { discovery } = cluster;
      if (discovery.kind === "eds") {
        const name = discovery.serviceName || cluster.name;
        const known = this.#snapshot.endpoints.has(name);
        this.#checkSource(`endpoints ${JSON.stringify(name)}`, known, discovery.source, at.in("eds_cluster_config"));
      }
      this.#checkTls(cluster.tls, at.in("transport_socket"));
      cluster.tlsMatches.forEach((match, i) => {
        this.#checkTls(match.tls, at.in(`transport_socket_matches[${i}].transport_socket`));
      });
    }
  }

  /** The values of a map with their paths: a static list keeps its order. */
  *#placed<T>(list: string, values: ReadonlyMap<string, T>): Generator<[string, T]> {
    let i = 0;
    for (const value of values.values())
      yield [this.#surroundings.root ? `static_resources.${list}[${i++}]` : "", value];
  }

  #checkAddress(listener: Listener, owners: Map<string, string>, at: Reporter): void {
    const more = listener.additionalAddresses ?? [];
    [listener.address, ...more].forEach((address, i) => {
      // Port 0 is another port each time, unless it is only a name by which other listeners find this one.
      if (address.kind === "tcp" && address.port === 0 && listener.bindToPort) return;
      const shown = formatAddress(address);
      const namespace = address.kind === "tcp" ? (address.networkNamespace ?? "") : "";
      const key = `${namespace}\0${shown}`;
      const owner = owners.get(key);
      const place = at.in(i === 0 ? "address" : `additional_addresses[${i - 1}].address`);
      if (owner === undefined) owners.set(key, listener.name);
      else place.error(`${shown} is already the address of listener ${JSON.stringify(owner)}`);
    });
  }

  #checkChain(chain: FilterChain, at: Reporter): void {
    this.#checkTls(chain.tls, at.in("transport_socket"));
    chain.filters.forEach((filter, i) => {
      if (filter.kind !== "http_connection_manager") return;
      const config = at.in(`filters[${i}].typed_config`);
      const { routes } = filter.config;
      if (routes.kind === "rds") {
        const known = this.#snapshot.routes.has(routes.name);
        this.#checkSource(`routes ${JSON.stringify(routes.name)}`, known, routes.source, config.in("rds"));
      } else if (routes.table.validateClusters !== false) this.#checkTable(routes.table, config.in("route_config"));
    });
  }

  #checkTable(table: RouteTable, at: Reporter): void {
    this.#checkMirrors(table.requestMirrors, at);
    table.virtualHosts.forEach((host, i) => {
      const hostAt = at.in(`virtual_hosts[${i}]`);
      this.#checkMirrors(host.requestMirrors, hostAt);
      host.routes.forEach(({ action }, j) => {
        if (action.kind !== "forward") return;
        const routeAt = hostAt.in(`routes[${j}].route`);
        const { cluster } = action;
        if (cluster.kind === "name") this.#checkCluster(cluster.name, routeAt.in("cluster"));
        else if (cluster.kind === "weighted") {
          cluster.clusters.forEach(({ name }, k) => {
            this.#checkCluster(name, routeAt.in(`weighted_clusters.clusters[${k}].name`));
          });
        }
        this.#checkMirrors(action.requestMirrors, routeAt);
      });
    });
  }

  #checkMirrors(mirrors: readonly RequestMirror[], at: Reporter): void {
    mirrors.forEach(({ cluster }, i) => {
      this.#checkCluster(cluster, at.in(`request_mirror_policies[${i}].cluster`));
    });
  }

  #checkCluster(name: string, at: Reporter): void {
    if (!this.#snapshot.clusters.has(name)) at.error(`there is no cluster ${JSON.stringify(name)}`);
  }

  #checkTls(tls: DownstreamTls | UpstreamTls | null, at: Reporter): void {
    if (!tls) return;
    const context = at.in("typed_config.common_tls_context");
    const roots = tls.validation?.roots;
    for (const ref of roots ? [...tls.certificates, roots] : tls.certificates) {
      if (ref.kind !== "sds") continue;
      const isOwn = ref.name === WORKLOAD_CERT || ref.name === WORKLOAD_ROOTS;
      const known = this.#snapshot.secrets.has(ref.name) || (isOwn && this.#surroundings.workloadIdentity);
      const what = `secret ${JSON.stringify(ref.name)}`;
      // A secret without a source is one of the static ones.
      if (ref.source) this.#checkSource(what, known, ref.source, context);
      else if (!known) context.error(`there is no ${what}`);
    }
  }

  /** Whether what is named is there, or may come from where it is said to come from. */
  #checkSource(what: string, known: boolean, source: ConfigSource | undefined, at: Reporter): void {
    if (known) return;
    const kind = source?.kind ?? "ads";
    if (kind === "ads" && !this.#surroundings.ads) at.error(`${what} cannot come: there is no ADS stream`);
    if (source?.kind !== "grpc") return;
    for (const name of source.source.clusters) {
      // A cluster whose own endpoints must be fetched first could not carry the fetch.
      const kindOfCluster = this.#snapshot.clusters.get(name)?.discovery.kind;
      if (kindOfCluster === undefined) at.error(`${what} cannot come: there is no cluster ${JSON.stringify(name)}`);
      if (kindOfCluster === "eds") at.error(`${what} cannot come through ${JSON.stringify(name)}, an EDS cluster`);
    }
  }
}

/** A place in one resource. */
class Reporter {
  readonly #problems: Problem[];
  readonly #resource: string;
  readonly #path: string;

  constructor(problems: Problem[], resource: string, path: string) {
    this.#problems = problems;
    this.#resource = resource;
    this.#path = path;
  }

  in(path: string): Reporter {
    return new Reporter(this.#problems, this.#resource, this.#path ? `${this.#path}.${path}` : path);
  }

  error(message: string): void {
    this.#problems.push({ message, resource: this.#resource, ...(this.#path ? { path: this.#path } : {}) });
  }
}
