/** Which of several hosts is chosen, when a host is left out, and when a cluster takes no more. */
import type { Area, Case, JsonObject, Step } from "../harness/case.ts";
import { ANY, cluster, host, to } from "../harness/config.ts";
import { get, hangsUp, late, request, respond, times } from "../harness/http.ts";

/** How many calls each upstream got, and how callers were answered; whose turn was first is chance. */
const shares: NonNullable<Case["view"]> = (lines) => [
  ...count(lines, /^(\w+) \d+> GET/),
  ...count(lines, /^(?:\d+: )?< (HTTP.*)/),
];
/** The same without names, where chance decides which host is which. */
const sizes: NonNullable<Case["view"]> = (lines) =>
  count(lines, /^(\w+) \d+> GET/)
    .map((line) => line.split(": ")[1] ?? "")
    .sort();
/** Answers and log lines in their order. */
const outcome: NonNullable<Case["view"]> = (lines) =>
  lines
    .filter((line) => /^(?:\d+: )?(?:< HTTP|< {3}x-|connection)|^log/.test(line))
    .map((line) => line.replace(/host=\S+/, ""));

function count(lines: readonly string[], pattern: RegExp): string[] {
  const counts = new Map<string, number>();
  for (const line of lines) {
    const key = pattern.exec(line)?.[1];
    if (key !== undefined) counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return [...counts].map(([key, number]) => `${key}: ${number}`).sort();
}

function balanced(name: string, hosts: readonly JsonObject[], more: JsonObject, rest: Partial<Case>): Case {
  return {
    name,
    clusters: [cluster("{case}", hosts, more)],
    routes: [to(ANY, { cluster: "{case}" })],
    steps: times(12, get("/")),
    view: shares,
    ...rest,
  };
}

const weighted = (upstream: string, weight: number): JsonObject => host(upstream, { load_balancing_weight: weight });

const choices: Case[] = [
  balanced("round robin", [host("a"), host("b"), host("c")], {}, {}),
  balanced("round robin with weights", [weighted("a", 1), weighted("b", 2), weighted("c", 3)], {}, {}),
  balanced("round robin with one host", [host("a")], {}, {}),
  balanced(
    "least request avoids a busy host",
    [host("a"), host("b")],
    { lb_policy: "LEAST_REQUEST" },
    {
      // The host of the first call is busy while the others are made.
      answers: ({ number }) => (number === 1 ? late(900, respond(200)) : respond(200)),
      connections: [get("/"), [{ waitMs: 150 }, ...times(40, get("/"))]],
      view: (lines) => [busyShare(lines)],
    },
  ),
  balanced("unhealthy hosts are left out", [host("a"), host("b", { health_status: "UNHEALTHY" }), host("c")], {}, {}),
  balanced("draining hosts are left out", [host("a"), host("b", { health_status: "DRAINING" }), host("c")], {}, {}),
  balanced(
    "degraded hosts take what the healthy ones can't",
    [host("a"), host("b", { health_status: "DEGRADED" })],
    {},
    {
      steps: times(40, get("/")),
      // Seven in ten requests go to the healthy host, drawn by lot.
      view: (lines) => [`the healthy host got the larger part: ${calls(lines, "a") > calls(lines, "b")}`],
    },
  ),
  balanced(
    "panic: too few healthy hosts, all are used",
    [host("a"), host("b", { health_status: "UNHEALTHY" }), host("c", { health_status: "UNHEALTHY" })],
    {},
    {},
  ),
  balanced(
    "no panic: only healthy hosts",
    [host("a"), host("b", { health_status: "UNHEALTHY" }), host("c", { health_status: "UNHEALTHY" })],
    { common_lb_config: { healthy_panic_threshold: { value: 0 } } },
    {},
  ),
  balanced(
    "no host is healthy and no panic",
    [host("a", { health_status: "UNHEALTHY" })],
    { common_lb_config: { healthy_panic_threshold: { value: 0 } } },
    { steps: get("/"), view: outcome },
  ),
  {
    name: "the next priority when the first has nobody",
    clusters: [
      cluster("{case}", [], {
        load_assignment: {
          cluster_name: "{case}",
          endpoints: [
            { priority: 0, lb_endpoints: [host("a", { health_status: "UNHEALTHY" })] },
            { priority: 1, lb_endpoints: [host("b")] },
          ],
        },
      }),
    ],
    routes: [to(ANY, { cluster: "{case}" })],
    steps: times(6, get("/")),
    view: shares,
  },
  {
    name: "localities by weight",
    clusters: [
      cluster("{case}", [], {
        common_lb_config: { locality_weighted_lb_config: {} },
        load_assignment: {
          cluster_name: "{case}",
          endpoints: [
            { locality: { zone: "one" }, load_balancing_weight: 3, lb_endpoints: [host("a")] },
            { locality: { zone: "two" }, load_balancing_weight: 1, lb_endpoints: [host("b")] },
          ],
        },
      }),
    ],
    routes: [to(ANY, { cluster: "{case}" })],
    steps: times(12, get("/")),
    view: shares,
  },
  balanced(
    "ring hash by a header keeps to one host",
    [host("a"), host("b"), host("c")],
    { lb_policy: "RING_HASH" },
    {
      routes: [to(ANY, { cluster: "{case}", hash_policy: [{ header: { header_name: "x-user" } }] })],
      steps: times(6, get("/", { "x-user": "someone" })),
      view: sizes,
    },
  ),
  balanced(
    "ring hash by address keeps to one host",
    [host("a"), host("b"), host("c")],
    { lb_policy: "RING_HASH" },
    {
      routes: [to(ANY, { cluster: "{case}", hash_policy: [{ connection_properties: { source_ip: true } }] })],
      steps: times(6, get("/")),
      view: sizes,
    },
  ),
  balanced(
    "ring hash by a cookie that it sets",
    [host("a"), host("b")],
    { lb_policy: "RING_HASH" },
    {
      routes: [to(ANY, { cluster: "{case}", hash_policy: [{ cookie: { name: "stick", ttl: "60s", path: "/" } }] })],
      steps: get("/"),
      view: (lines) => [
        ...lines
          .filter((line) => line.startsWith("<   set-cookie"))
          .map((line) => line.replace(/="[^"]*"|=\w{8,}/, "=(hash)")),
        ...sizes(lines),
      ],
    },
  ),
];

function calls(lines: readonly string[], upstream: string): number {
  return lines.filter((line) => line.startsWith(`${upstream} `) && line.includes("> GET")).length;
}

function busyShare(lines: readonly string[]): string {
  const [least = 0] = count(lines, /^(\w+) \d+> GET/)
    .map((line) => Number(line.split(": ")[1]))
    .sort((x, y) => x - y);
  return least <= 18 ? "the busy host got the smaller part" : `the busy host got ${least}`;
}

const FIVE = {
  outlier_detection: { consecutive_5xx: 3, base_ejection_time: "30s", interval: "30s", max_ejection_percent: 50 },
};
const onlyB = ({ upstream }: { readonly upstream: string }) => (upstream === "a" ? respond(500) : respond(200));

/** Envoy ejects on its main thread: the next request must not be quicker. */
const apart: readonly Step[] = [...get("/"), { waitMs: 25 }];

const outliers: Case[] = [
  balanced("a host that fails in a row is ejected", [host("a"), host("b")], FIVE, {
    answers: onlyB,
    steps: times(20, apart),
  }),
  balanced(
    "gateway errors in a row eject",
    [host("a"), host("b")],
    {
      outlier_detection: {
        consecutive_gateway_failure: 2,
        enforcing_consecutive_gateway_failure: 100,
        enforcing_consecutive_5xx: 0,
        interval: "30s",
      },
    },
    { answers: ({ upstream }) => (upstream === "a" ? respond(503) : respond(200)), steps: times(16, apart) },
  ),
  balanced(
    "500 is no gateway error",
    [host("a"), host("b")],
    {
      outlier_detection: {
        consecutive_gateway_failure: 2,
        enforcing_consecutive_gateway_failure: 100,
        enforcing_consecutive_5xx: 0,
        interval: "30s",
      },
    },
    { answers: onlyB, steps: times(8, apart) },
  ),
  balanced("resets in a row eject", [host("a"), host("b")], FIVE, {
    answers: ({ upstream }) => (upstream === "a" ? hangsUp : respond(200)),
    steps: times(20, apart),
  }),
  balanced(
    "connections refused in a row eject",
    [host("closed"), host("b")],
    {
      outlier_detection: {
        split_external_local_origin_errors: true,
        consecutive_local_origin_failure: 2,
        interval: "30s",
      },
    },
    { steps: times(16, apart) },
  ),
  balanced("a success in between starts the count anew", [host("a")], FIVE, {
    answers: ({ number }) => (number % 3 === 0 ? respond(200) : respond(500)),
    steps: times(12, apart),
  }),
  balanced(
    "the only host is not ejected beyond the share",
    [host("a")],
    { outlier_detection: { consecutive_5xx: 2, interval: "30s", max_ejection_percent: 10 } },
    {
      answers: [respond(500)],
      steps: times(6, apart),
      view: outcome,
    },
  ),
  balanced(
    "no more than the share is ejected",
    [host("a"), host("b"), host("c")],
    { outlier_detection: { consecutive_5xx: 2, interval: "30s", max_ejection_percent: 34 } },
    {
      answers: ({ upstream }) => (upstream === "c" ? respond(200) : respond(500)),
      steps: times(30, apart),
      view: (lines) => [
        `a and b: ${Math.min(...["a", "b"].map((name) => lines.filter((line) => line.startsWith(`${name} `) && line.includes("> GET")).length))}`,
      ],
    },
  ),
  balanced(
    "an ejected host comes back",
    [host("a"), host("b")],
    {
      outlier_detection: {
        consecutive_5xx: 2,
        interval: "0.1s",
        base_ejection_time: "1s",
        max_ejection_time_jitter: "0s",
        max_ejection_percent: 50,
      },
    },
    {
      answers: ({ upstream, number }) => (upstream === "a" && number < 8 ? respond(500) : respond(200)),
      steps: [...times(8, apart), { waitMs: 2000 }, ...times(4, apart)],
      view: (lines) => {
        const hosts = lines.filter((line) => line.startsWith("log")).map((line) => /host=(\S+)/.exec(line)?.[1]);
        return [`ejected: ${new Set(hosts.slice(6, 8)).size === 1}`, `back: ${new Set(hosts.slice(-4)).size === 2}`];
      },
    },
  ),
];

const SLOW = [late(400, respond(200, {}, "ok"))];
const limited = (limits: JsonObject, more: JsonObject = {}): JsonObject => ({
  circuit_breakers: { thresholds: [{ ...limits, ...more }] },
});
/** Requests that are all under way at once, begun one after the other. */
const together = (number: number, options: { readonly path?: string } = {}): readonly (readonly Step[])[] =>
  Array.from({ length: number }, (_, index) => [
    { waitMs: index * 40 },
    { send: request("GET", options.path ?? "/") },
    { read: "response" as const },
  ]);

const limits: Case[] = [
  {
    name: "no pending request",
    cluster: limited({ max_connections: 1, max_pending_requests: 0 }),
    steps: get("/"),
    view: outcome,
  },
  { name: "no request at all", cluster: limited({ max_requests: 0 }), steps: get("/") },
  {
    name: "one request at a time",
    cluster: limited({ max_requests: 1 }),
    answers: SLOW,
    connections: together(3),
    view: outcome,
  },
  {
    name: "one connection, one request waits, one is refused",
    cluster: limited({ max_connections: 1, max_pending_requests: 1 }),
    answers: SLOW,
    connections: together(3),
    view: outcome,
  },
  {
    name: "limits of the high priority are apart",
    cluster: { circuit_breakers: { thresholds: [{ max_requests: 0 }, { priority: "HIGH", max_requests: 10 }] } },
    routes: [to({ prefix: "/high" }, { priority: "HIGH" }), to(ANY)],
    steps: [...get("/high"), ...get("/low")],
  },
  {
    name: "overflow is not retried as a connect failure",
    cluster: limited({ max_requests: 0 }),
    routes: [
      to(ANY, {
        retry_policy: { retry_on: "connect-failure,5xx", num_retries: 2, retry_back_off: { base_interval: "0.005s" } },
      }),
    ],
    steps: get("/"),
  },
];

export const balancing: Area = {
  name: "balancing",
  upstreams: { a: null, b: null, c: null },
  concurrency: 12,
  cases: [...choices, ...outliers, ...limits],
};
