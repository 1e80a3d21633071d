/**
 * The numbers of Envoy's `grpc_stats` filter under its own names (`cluster.<cluster>.grpc.<service>.<method>.<number>`), for
 * the admin page that prints Envoy's statistics.
 */
import type { HeaderMap } from "../../core/header-map.ts";
import type { GrpcStats } from "../../model/http.ts";
import type { StreamInfo } from "../stream-info.ts";

/** Callers choose the names: past this, a cluster's methods are counted together. Envoy has no bound. */
const MAX_METHODS = 1000;

/** An upstream writes the statuses: past this, those of a method are counted together, and so are those too long. */
const MAX_STATUSES = 50;
const LONGEST_STATUS = 10;
const OTHER = "other";

/** Counts one call when it is over. */
export type GrpcStatsRecorder = (
  info: StreamInfo,
  responseHeaders: HeaderMap | null,
  responseTrailers: HeaderMap | null,
) => void;

class MethodStats {
  readonly byStatus = new Map<string, number>();
  requests = 0;
  responses = 0;

  charge(given: string): void {
    const room = this.byStatus.has(given) || this.byStatus.size < MAX_STATUSES;
    const status = room && given.length <= LONGEST_STATUS ? given : OTHER;
    this.byStatus.set(status, (this.byStatus.get(status) ?? 0) + 1);
  }
}

export class GrpcFilterStats {
  /** By cluster, then by the part of the name that tells the method: `a.S.M.`, "" for methods that are not told apart. */
  readonly #clusters = new Map<string, Map<string, MethodStats>>();

  /** What a filter of this configuration counts with. */
  recorder(config: GrpcStats): GrpcStatsRecorder {
    const prefixOf = methodNames(config);
    return (info, headers, trailers) => {
      if (info.grpc === null || info.cluster === "") return;
      const prefix = prefixOf(info.originalPath);
      if (prefix === null) return;
      const stats = this.#statsOf(info.cluster, prefix);
      stats.requests += info.grpc.requestMessages;
      stats.responses += info.grpc.responseMessages;
      // As in Envoy, only what was said counts: no status, no call.
      const status = trailers?.get("grpc-status") ?? headers?.get("grpc-status") ?? "";
      if (status !== "") stats.charge(status);
    };
  }

  /** Every number with its name. */
  *stats(): Generator<readonly [name: string, value: number]> {
    for (const [cluster, methods] of this.#clusters) {
      for (const [prefix, { byStatus, requests, responses }] of methods) {
        const name = `cluster.${cluster}.grpc.${prefix}`;
        let total = 0;
        for (const [status, count] of byStatus) {
          total += count;
          yield [name + status, count];
        }
        const success = byStatus.get("0") ?? 0;
        yield [`${name}success`, success];
        yield [`${name}failure`, total - success];
        yield [`${name}total`, total];
        yield [`${name}request_message_count`, requests];
        yield [`${name}response_message_count`, responses];
      }
    }
  }

  #statsOf(cluster: string, wanted: string): MethodStats {
    let methods = this.#clusters.get(cluster);
    if (methods === undefined) {
      methods = new Map();
      this.#clusters.set(cluster, methods);
    }
    const prefix = methods.has(wanted) || methods.size < MAX_METHODS ? wanted : "";
    let stats = methods.get(prefix);
    if (stats === undefined) {
      stats = new MethodStats();
      methods.set(prefix, stats);
    }
    return stats;
  }
}

/** Gives the part of the name that tells a path's method; null: the path names no method, and is not counted. */
function methodNames({ methods, replaceDots }: GrpcStats): (path: string) => string | null {
  const listed = typeof methods === "string" ? [] : methods;
  const allowed = new Set(listed.flatMap((one) => one.methods.map((method) => `/${one.service}/${method}`)));
  return (path) => {
    const [root, service = "", method = "", ...more] = (path.split("?", 1)[0] as string).split("/");
    if (root !== "" || service === "" || method === "" || more.length > 0) return null;
    if (methods !== "all" && !allowed.has(`/${service}/${method}`)) return "";
    const name = methods === "all" && replaceDots ? service.replaceAll(".", "_") : service;
    return `${name}.${method}.`;
  };
}
