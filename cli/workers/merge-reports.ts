/** What several workers count, as if one had counted it: amounts are added up, what each of them knows alike is not. */
import type { ClusterView, EndpointView } from "../../telemetry/cluster-view.ts";
import { ENDPOINT_NUMBERS } from "../../telemetry/cluster-view.ts";
import { mergeFamilies } from "../../telemetry/metrics.ts";
import type { WorkerReport } from "./messages.ts";

type Numbers = { readonly [name: string]: number | Numbers };

/** A number that goes down as well. */
const isGauge = (name: string): boolean => /_active$/.test(name);

/** Every worker is told of the same endpoints and resolves the same names: counted once, and not once for each. */
const isAlike = (name: string): boolean => /^(?:membership|update)_/.test(name);

/** The rising trouble of a breaker. */
const BREAKER_ORDER = ["closed", "half_open", "open"];

/** Where they say different things of a state, the first or the worst counts. */
export function mergeReports(reports: readonly WorkerReport[]): WorkerReport {
  const stats = new Map<string, number>();
  const connections = new Map<string, number>();
  for (const report of reports) {
    for (const [name, value] of report.stats) stats.set(name, (stats.get(name) ?? 0) + value);
    for (const [name, value] of report.connections) connections.set(name, (connections.get(name) ?? 0) + value);
  }
  const clusters = Map.groupBy(
    reports.flatMap((report) => report.clusters),
    ({ name }) => name,
  );
  return {
    families: mergeFamilies(reports.map(({ families }) => families)),
    clusters: [...clusters.values()].map(mergeClusters),
    stats: [...stats],
    connections,
    cpuSeconds: reports.reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0),
  };
}

/** What stays of a worker that has ended: its counters, so that none goes backwards. */
export function countersOf(report: WorkerReport): WorkerReport {
  return {
    families: report.families.filter(({ type }) => type !== "gauge"),
    clusters: report.clusters.map((cluster) => ({
      ...cluster,
      ready: true,
      breaker: null,
      stats: countersIn(cluster.stats as Numbers),
      endpoints: cluster.endpoints.map((endpoint) => ({
        ...endpoint,
        ...countersIn(numbersOf(endpoint)),
        health: "healthy",
        out: "",
      })),
    })),
    stats: report.stats.filter(([name]) => !isGauge(name)),
    connections: new Map(),
    cpuSeconds: report.cpuSeconds,
  };
}

/** The workers' counts with those of ended ones; of clusters and endpoints only what there still is. */
export function mergeWithEnded(live: readonly WorkerReport[], ended: readonly WorkerReport[]): WorkerReport {
  const endpoints = new Map<string, Set<string>>();
  for (const cluster of live.flatMap(({ clusters }) => clusters)) {
    const known = endpoints.get(cluster.name) ?? new Set();
    for (const { address } of cluster.endpoints) known.add(address);
    endpoints.set(cluster.name, known);
  }
  const left = ended.map((report) => ({
    ...report,
    clusters: report.clusters
      .filter(({ name }) => endpoints.has(name))
      .map((cluster) => ({
        ...cluster,
        endpoints: cluster.endpoints.filter(({ address }) => endpoints.get(cluster.name)?.has(address)),
      })),
  }));
  return mergeReports([...live, ...left]);
}

function mergeClusters(views: readonly ClusterView[]): ClusterView {
  const [first] = views as [ClusterView];
  const breakers = views.flatMap(({ breaker }) => (breaker === null ? [] : [breaker]));
  breakers.sort((a, b) => BREAKER_ORDER.indexOf(b.state) - BREAKER_ORDER.indexOf(a.state));
  const endpoints = Map.groupBy(
    views.flatMap((view) => view.endpoints),
    ({ address }) => address,
  );
  return {
    ...first,
    ready: views.every(({ ready }) => ready),
    stats: views.map(({ stats }) => stats as Numbers).reduce(addNumbers),
    breaker: breakers[0] ?? null,
    endpoints: [...endpoints.values()].map(mergeEndpoints),
  };
}

function mergeEndpoints(views: readonly EndpointView[]): EndpointView {
  const [first] = views as [EndpointView];
  const { health, out } = views.find((view) => view.out !== "") ?? first;
  return { ...first, ...views.map(numbersOf).reduce(addNumbers), health, out };
}

function numbersOf(endpoint: EndpointView): Numbers {
  return Object.fromEntries(ENDPOINT_NUMBERS.map((name) => [name, endpoint[name]]));
}

function addNumbers(a: Numbers, b: Numbers): Numbers {
  const sum: Record<string, number | Numbers> = { ...a };
  for (const [name, value] of Object.entries(b)) {
    const known = sum[name];
    if (typeof value !== "number") sum[name] = typeof known === "object" ? addNumbers(known, value) : value;
    else if (typeof known !== "number") sum[name] = value;
    else sum[name] = isAlike(name) ? Math.max(known, value) : known + value;
  }
  return sum;
}

function countersIn(numbers: Numbers): Numbers {
  const kept = Object.entries(numbers).flatMap(([name, value]): [string, number | Numbers][] => {
    if (typeof value !== "number") return [[name, countersIn(value)]];
    return [[name, isGauge(name) || isAlike(name) ? 0 : value]];
  });
  return Object.fromEntries(kept);
}
