/** `/stats` under Envoy's names, and `/stats/prometheus`. */
import { CONTENT_TYPE } from "../../telemetry/metrics.ts";
import type { AdminSource } from "./admin-source.ts";
import { type AdminPage, type AdminResponse, json, text } from "./handler.ts";
import { nameFilter } from "./name-filter.ts";

async function prometheus(source: AdminSource): Promise<AdminResponse> {
  return { status: 200, contentType: CONTENT_TYPE, body: await source.metrics() };
}

export const prometheusPage: AdminPage = {
  path: "/stats/prometheus",
  refreshes: true,
  help: "print metrics in Prometheus format",
  handle: ({ source }) => prometheus(source),
};

export const statsPage: AdminPage = {
  path: "/stats",
  refreshes: true,
  help: "print server stats under Envoy's names",
  parameters: {
    usedonly: "Only include stats that are not zero",
    filter: "Regular expression (RE2) for filtering stats by name",
    format: "text (the default), json or prometheus",
  },
  handle({ source, query }) {
    const format = query.get("format") ?? "text";
    if (format === "prometheus") return prometheus(source);
    const matches = nameFilter(query.get("filter"));
    const usedOnly = query.has("usedonly");
    const stats = [...allStats(source)]
      .filter(([name, value]) => (!usedOnly || value !== 0) && matches(name))
      .sort(([a], [b]) => (a < b ? -1 : 1));
    if (format === "json") return json({ stats: stats.map(([name, value]) => ({ name, value })) });
    if (format !== "text") return text("usage: /stats?format=(json|prometheus|text)\n\n", 400);
    return text(stats.map(([name, value]) => `${name}: ${value}\n`).join(""));
  },
};

function* allStats(source: AdminSource): Generator<readonly [string, number]> {
  yield* source.stats();
  for (const cluster of source.clusters()) {
    for (const [name, value] of Object.entries(cluster.stats)) {
      if (typeof value === "number") yield [`cluster.${cluster.name}.${name}`, value];
    }
  }
}
