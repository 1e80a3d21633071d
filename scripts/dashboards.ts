/**
 * Grafana's dashboards (`charts/outrigger/dashboards/`), each a list of questions and the queries that answer them.
 * `npm test -- --update test/charts/dashboards.test.ts` writes them anew; the test holds every metric to those that there are.
 */

/** Grafana's names of units. */
type Unit = "reqps" | "percentunit" | "s" | "bytes" | "Bps" | "short" | "cps";

interface Panel {
  readonly title: string;
  readonly description: string;
  readonly unit: Unit;
  /** PromQL, and the legend of its series. */
  readonly queries: readonly (readonly [expression: string, legend: string])[];
}

interface Dashboard {
  readonly title: string;
  readonly description: string;
  /** By name: the query of Grafana whose values can be chosen from. */
  readonly variables: Readonly<Record<string, string>>;
  readonly rows: readonly { readonly title: string; readonly panels: readonly Panel[] }[];
}

const panel = (title: string, unit: Unit, description: string, ...queries: Panel["queries"]): Panel => ({
  title,
  unit,
  description,
  queries,
});

/** Quantiles of a histogram of seconds. */
function quantiles(metric: string, labels: string): Panel["queries"] {
  return [0.5, 0.95, 0.99].map(
    (q) =>
      [
        `histogram_quantile(${q}, sum by (le) (rate(${metric}_bucket${labels}[$__rate_interval])))`,
        `p${q * 100}`,
      ] as const,
  );
}

const rate = (metric: string, labels: string, by: string) =>
  `sum by (${by}) (rate(${metric}${labels}[$__rate_interval]))`;

/** As the callers' sidecars see it: what never arrived is among it. */
const EDGE = '{direction="outbound", source=~"$source", destination=~"$destination"}';
const FAILED = EDGE.replace("}", ', code=~"5..|0"}');
const POD = '{namespace=~"$namespace", pod=~"$pod"}';

export const DASHBOARDS: Readonly<Record<string, Dashboard>> = {
  mesh: {
    title: "Outrigger / Mesh",
    description: "Calls between services, as the callers' sidecars see them",
    variables: {
      source: "label_values(outrigger_requests_total, source)",
      destination: "label_values(outrigger_requests_total, destination)",
    },
    rows: [
      {
        title: "Requests",
        panels: [
          panel("Requests", "reqps", "By destination", [
            rate("outrigger_requests_total", EDGE, "destination"),
            "{{destination}}",
          ]),
          panel("Failed requests", "percentunit", "5xx, and calls without any answer", [
            `${rate("outrigger_requests_total", FAILED, "destination")} / ${rate("outrigger_requests_total", EDGE, "destination")}`,
            "{{destination}}",
          ]),
          panel(
            "Duration",
            "s",
            "From a request's first byte to the last of its response",
            ...quantiles("outrigger_request_duration_seconds", EDGE),
          ),
          panel("Why requests failed", "reqps", "Envoy's response flags: UH, UF, UO, URX …", [
            rate("outrigger_requests_total", EDGE.replace("}", ', flags!="-"}'), "destination, flags"),
            "{{destination}} {{flags}}",
          ]),
        ],
      },
      {
        title: "gRPC",
        panels: [
          panel("Calls", "reqps", "By service and method", [
            rate("outrigger_grpc_calls_total", EDGE, "service, method"),
            "{{service}}/{{method}}",
          ]),
          panel("Failed calls", "reqps", "By status", [
            rate("outrigger_grpc_calls_total", EDGE.replace("}", ', status!="OK"}'), "service, method, status"),
            "{{service}}/{{method}} {{status}}",
          ]),
          panel(
            "Duration",
            "s",
            "To the status; of streams, how long they lasted",
            ...quantiles("outrigger_grpc_call_duration_seconds", EDGE),
          ),
        ],
      },
      {
        title: "Connections that are not HTTP",
        panels: [
          panel("Open connections", "short", "By destination", [
            `sum by (destination) (outrigger_tcp_connections_active${EDGE})`,
            "{{destination}}",
          ]),
          panel(
            "Bytes",
            "Bps",
            "As they pass",
            [rate("outrigger_tcp_received_bytes_total", EDGE, "destination"), "from callers of {{destination}}"],
            [rate("outrigger_tcp_sent_bytes_total", EDGE, "destination"), "to callers of {{destination}}"],
          ),
        ],
      },
      {
        title: "Identity",
        panels: [
          panel("Denied", "reqps", "By access policies", [
            'sum by (outcome) (rate(outrigger_filter_outcomes_total{filter="rbac", outcome=~".*denied"}[$__rate_interval]))',
            "{{outcome}}",
          ]),
          panel("Failed TLS handshakes", "cps", "By reason", [
            rate("outrigger_tls_handshake_failures_total", "", "reason"),
            "{{reason}}",
          ]),
          panel("First certificate to expire", "s", "In all of the mesh", [
            "min by (role) (outrigger_certificate_expiry_seconds)",
            "{{role}}",
          ]),
        ],
      },
    ],
  },
  sidecar: {
    title: "Outrigger / Sidecars",
    description: "What sidecars do and what they cost",
    variables: {
      namespace: "label_values(outrigger_build_info, namespace)",
      pod: 'label_values(outrigger_build_info{namespace=~"$namespace"}, pod)',
    },
    rows: [
      {
        title: "Resilience",
        panels: [
          panel("Breakers", "short", "0 closed, 1 half open, 2 open", [
            `max by (cluster) (outrigger_upstream_breaker_state${POD})`,
            "{{cluster}}",
          ]),
          panel("Endpoints that are left out", "short", "Ejected or unhealthy", [
            `sum by (cluster, state) (outrigger_upstream_endpoints${POD.replace("}", ', state=~"ejected|unhealthy"}')})`,
            "{{cluster}} {{state}}",
          ]),
          panel(
            "Retries",
            "reqps",
            "Made, and refused by budget or number",
            [rate("outrigger_upstream_retries_total", POD, "cluster"), "{{cluster}}"],
            [
              rate("outrigger_upstream_retries_refused_total", POD, "cluster, reason"),
              "{{cluster}} refused: {{reason}}",
            ],
          ),
          panel(
            "Timeouts and full queues",
            "reqps",
            "Calls that were cut, or that a limit refused",
            [rate("outrigger_upstream_timeouts_total", POD, "cluster, timeout"), "{{cluster}} {{timeout}}"],
            [rate("outrigger_upstream_limit_overflows_total", POD, "cluster, limit"), "{{cluster}} limit: {{limit}}"],
          ),
          panel("What policies in dry run would refuse", "reqps", "By breaker and limits", [
            rate("outrigger_dry_run_refusals_total", POD, "cluster, policy"),
            "{{cluster}} {{policy}}",
          ]),
        ],
      },
      {
        title: "Configuration",
        panels: [
          panel("Sidecars without a control plane", "short", "They go on with what they have", [
            `count by (namespace) (outrigger_xds_connected${POD} == 0)`,
            "{{namespace}}",
          ]),
          panel("Refused updates", "cps", "By kind of resource", [
            rate("outrigger_xds_rejected_total", POD, "type"),
            "{{type}}",
          ]),
          panel("Revisions in force", "short", "How many sidecars run which", [
            `count by (revision) (outrigger_build_info${POD})`,
            "{{revision}}",
          ]),
        ],
      },
      {
        title: "Cost",
        panels: [
          panel("CPU", "short", "Cores", [
            `sum by (pod) (rate(process_cpu_seconds_total${POD}[$__rate_interval]))`,
            "{{pod}}",
          ]),
          panel("Memory", "bytes", "Resident", [`max by (pod) (process_resident_memory_bytes${POD})`, "{{pod}}"]),
          panel("Event loop", "s", "The worst delay: above 0.1 s a CPU limit or a neighbour is stealing time", [
            `max by (pod) (outrigger_event_loop_lag_seconds${POD.replace("}", ', quantile="1"}')})`,
            "{{pod}}",
          ]),
          panel("Open connections of callers", "short", "By pod", [
            `sum by (pod) (outrigger_downstream_connections_active${POD})`,
            "{{pod}}",
          ]),
        ],
      },
    ],
  },
  "control-plane": {
    title: "Outrigger / Control plane",
    description: "What the control plane reads, sends, and is refused",
    variables: { namespace: "label_values(outrigger_control_plane_revision, namespace)" },
    rows: [
      {
        title: "Sidecars",
        panels: [
          panel("Streams", "short", "By control plane", [
            'sum by (pod) (outrigger_control_plane_sidecars_connected{namespace=~"$namespace"})',
            "{{pod}}",
          ]),
          panel("Workloads", "short", "By stage", [
            'max by (stage) (outrigger_control_plane_workloads{namespace=~"$namespace"})',
            "{{stage}}",
          ]),
          panel("Responses", "cps", "By kind of resource", [
            rate("outrigger_control_plane_xds_pushes_total", '{namespace=~"$namespace"}', "kind"),
            "{{kind}}",
          ]),
          panel(
            "Refusals",
            "cps",
            "Responses that sidecars refused, and sidecars that were not admitted",
            [rate("outrigger_control_plane_xds_nacks_total", '{namespace=~"$namespace"}', "kind"), "{{kind}}"],
            [
              rate("outrigger_control_plane_streams_refused_total", '{namespace=~"$namespace"}', "pod"),
              "{{pod}} not admitted",
            ],
          ),
        ],
      },
      {
        title: "Injector",
        panels: [
          panel("Reviews of pods", "cps", "By how they ended", [
            rate("outrigger_injector_reviews_total", '{namespace=~"$namespace"}', "outcome"),
            "{{outcome}}",
          ]),
          panel(
            "Duration",
            "s",
            "From a review's first line to its answer",
            ...quantiles("outrigger_injector_review_duration_seconds", '{namespace=~"$namespace"}'),
          ),
        ],
      },
      {
        title: "Configuration",
        panels: [
          panel(
            "Objects",
            "short",
            "In force, and not as they are written",
            ['max(outrigger_control_plane_manifests{namespace=~"$namespace"})', "in force"],
            ['max(outrigger_control_plane_manifests_rejected{namespace=~"$namespace"})', "rejected"],
          ),
          panel("Changes", "cps", "Of the mesh's configuration", [
            'sum by (pod) (rate(outrigger_control_plane_revision{namespace=~"$namespace"}[$__rate_interval]))',
            "{{pod}}",
          ]),
          panel("Translated", "cps", "The cost of changes, by kind of resource", [
            rate("outrigger_control_plane_translated_total", '{namespace=~"$namespace"}', "kind"),
            "{{kind}}",
          ]),
        ],
      },
    ],
  },
};

const DATASOURCE = { type: "prometheus", uid: "$datasource" };
const WIDTH = 24;
const HEIGHT = 8;

/** A dashboard as Grafana imports it. `name` makes its address, which stays the same across versions. */
export function grafana(name: string, { title, description, variables, rows }: Dashboard): string {
  const panels: object[] = [];
  let y = 0;
  for (const row of rows) {
    panels.push({
      type: "row",
      title: row.title,
      id: panels.length + 1,
      collapsed: false,
      panels: [],
      gridPos: { x: 0, y, w: WIDTH, h: 1 },
    });
    y += 1;
    const w = Math.floor(WIDTH / Math.min(row.panels.length, 3));
    row.panels.forEach((one, i) => {
      const perRow = WIDTH / w;
      const gridPos = { x: (i % perRow) * w, y: y + Math.floor(i / perRow) * HEIGHT, w, h: HEIGHT };
      panels.push({ ...timeseries(one), id: panels.length + 1, gridPos });
    });
    y += Math.ceil(row.panels.length / (WIDTH / w)) * HEIGHT;
  }
  const dashboard = {
    uid: `outrigger-${name}`,
    title,
    description,
    tags: ["outrigger"],
    schemaVersion: 39,
    editable: true,
    graphTooltip: 1,
    refresh: "30s",
    time: { from: "now-1h", to: "now" },
    templating: {
      list: [
        { name: "datasource", type: "datasource", query: "prometheus", label: "Data source" },
        ...Object.entries(variables).map(([variable, query]) => ({
          name: variable,
          type: "query",
          datasource: DATASOURCE,
          query: { query, refId: variable },
          definition: query,
          refresh: 2,
          sort: 1,
          multi: true,
          includeAll: true,
          allValue: ".*",
          current: { text: "All", value: "$__all" },
        })),
      ],
    },
    panels,
  };
  return `${JSON.stringify(dashboard, null, 2)}\n`;
}

function timeseries({ title, description, unit, queries }: Panel): object {
  return {
    type: "timeseries",
    title,
    description,
    datasource: DATASOURCE,
    fieldConfig: { defaults: { unit, min: 0, custom: { fillOpacity: 10, showPoints: "never" } }, overrides: [] },
    options: { legend: { displayMode: "list", placement: "bottom" }, tooltip: { mode: "multi", sort: "desc" } },
    targets: queries.map(([expr, legendFormat], i) => ({
      refId: String.fromCharCode("A".charCodeAt(0) + i),
      datasource: DATASOURCE,
      expr,
      legendFormat,
    })),
  };
}
