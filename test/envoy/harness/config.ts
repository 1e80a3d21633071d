/** Builders of Envoy configuration for the cases' tables, and the assembly of an area's bootstrap. */
import type { Area, Case, JsonObject } from "./case.ts";

const TYPES: Readonly<Record<string, string>> = {
  HttpConnectionManager: "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
  Router: "envoy.extensions.filters.http.router.v3.Router",
  RBAC: "envoy.extensions.filters.http.rbac.v3.RBAC",
  RBACPerRoute: "envoy.extensions.filters.http.rbac.v3.RBACPerRoute",
  NetworkRBAC: "envoy.extensions.filters.network.rbac.v3.RBAC",
  Cors: "envoy.extensions.filters.http.cors.v3.Cors",
  CorsPolicy: "envoy.extensions.filters.http.cors.v3.CorsPolicy",
  HTTPFault: "envoy.extensions.filters.http.fault.v3.HTTPFault",
  FilterConfig: "envoy.config.route.v3.FilterConfig",
  TcpProxy: "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
  HttpInspector: "envoy.extensions.filters.listener.http_inspector.v3.HttpInspector",
  OriginalDst: "envoy.extensions.filters.listener.original_dst.v3.OriginalDst",
  TlsInspector: "envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector",
  DownstreamTlsContext: "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
  UpstreamTlsContext: "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
  HttpProtocolOptions: "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
  PreviousHostsPredicate: "envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate",
  UuidRequestIdConfig: "envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig",
  RawBuffer: "envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer",
  FileAccessLog: "envoy.extensions.access_loggers.file.v3.FileAccessLog",
};

/** A `google.protobuf.Any` of one of Envoy's types, by its short name. */
export function typed(type: string, fields: JsonObject = {}): JsonObject {
  const full = TYPES[type];
  if (full === undefined) throw new Error(`no type "${type}"`);
  return { "@type": `type.googleapis.com/${full}`, ...fields };
}

/** An HTTP, network or listener filter. */
export function filter(name: string, type: string, fields: JsonObject = {}): JsonObject {
  return { name, typed_config: typed(type, fields) };
}

/** A route to the case's cluster. */
export function to(match: JsonObject, action: JsonObject = {}, more: JsonObject = {}): JsonObject {
  const named = ["cluster", "weighted_clusters", "cluster_header"].some((key) => key in action);
  return { match, route: named ? action : { cluster: "{cluster}", ...action }, ...more };
}

/** A route that answers with its name, so that the answer tells which route was taken. */
export function named(name: string, match: JsonObject): JsonObject {
  return { name, match, direct_response: { status: 200, body: { inline_string: name } } };
}

/** A `HeaderValueOption`. */
export function add(key: string, value: string, action?: string, more: JsonObject = {}): JsonObject {
  return { header: { key, value }, ...(action === undefined ? {} : { append_action: action }), ...more };
}

export const ANY: JsonObject = { prefix: "/" };

/** A host of a static cluster: one of the area's upstreams, or `closed`, where nothing listens. */
export function host(upstream: string, more: JsonObject = {}, hostname = ""): JsonObject {
  const address = { socket_address: { address: "127.0.0.1", port_value: `{port:${upstream}}` } };
  return { endpoint: { address, hostname }, ...more };
}

export function assignment(name: string, hosts: readonly JsonObject[], more: JsonObject = {}): JsonObject {
  return { cluster_name: name, endpoints: [{ lb_endpoints: hosts }], ...more };
}

export function cluster(name: string, hosts: readonly JsonObject[], more: JsonObject = {}): JsonObject {
  return { name, type: "STATIC", connect_timeout: "1s", load_assignment: assignment(name, hosts), ...more };
}

/** `HttpProtocolOptions` of a cluster. */
export function upstreamOptions(fields: JsonObject): JsonObject {
  const options = { explicit_http_config: { http_protocol_options: {} }, ...fields };
  return {
    typed_extension_protocol_options: {
      "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": typed("HttpProtocolOptions", options),
    },
  };
}

/** By both ends of a connection its log lines are found again. */
const LOG_KEY = "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS%>%DOWNSTREAM_LOCAL_PORT%";

const LOG_FORMAT = [
  "%RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS%",
  "rx=%BYTES_RECEIVED% tx=%BYTES_SENT% attempts=%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
  "cluster=%UPSTREAM_CLUSTER% host=%UPSTREAM_HOST% route=%ROUTE_NAME% %PROTOCOL% %REQ(:METHOD)% %REQ(:PATH)%",
].join(" ");

function logFormat(log: Case["log"]): JsonObject {
  if (typeof log === "object") return { json_format: { "": LOG_KEY, ...log } };
  return { text_format_source: { inline_string: `${LOG_KEY} ${log ?? LOG_FORMAT}\n` } };
}

export interface AssembledCase {
  readonly id: string;
  readonly case: Case;
  /** Of the listener that the case's requests go to. */
  readonly listener: number;
}

export interface Assembled {
  readonly cases: readonly AssembledCase[];
  readonly listeners: number;
  /** The bootstrap, once ports and paths are known. */
  bootstrap(places: Places): string;
}

export interface Places {
  /** By listener. */
  readonly ports: readonly number[];
  readonly upstreams: Readonly<Record<string, number>>;
  readonly logFile: string;
}

interface ListenerPlan {
  readonly cases: { readonly id: string; readonly case: Case }[];
}

/** Replaces a case's placeholders. */
export function fillCase(text: string, id: string, testCase: Case): string {
  return text
    .replaceAll("{case}", id)
    .replaceAll("{host}", `${id}.test`)
    .replaceAll("{cluster}", testCase.cluster === undefined ? "up" : id);
}

/** Gathers an area's cases into as few listeners as their connection managers allow. */
export function assemble(area: Area): Assembled {
  const plans: ListenerPlan[] = [];
  const shared = new Map<string, number>();
  const cases = area.cases.map((testCase, index): AssembledCase => {
    const id = `${area.name}-${index}`;
    const { manager, table, filters, router, listener, log, logFilter } = testCase;
    const own = testCase.virtualHosts !== undefined || testCase.chains !== undefined;
    const key = own
      ? id
      : fillCase(JSON.stringify({ manager, table, filters, router, listener, log, logFilter }), id, testCase);
    const known = shared.get(key);
    const place = known ?? plans.push({ cases: [] }) - 1;
    shared.set(key, place);
    plans[place]?.cases.push({ id, case: testCase });
    return { id, case: testCase, listener: place };
  });
  return {
    cases,
    listeners: plans.length,
    bootstrap: (places) => writeBootstrap(plans, places),
  };
}

function writeBootstrap(plans: readonly ListenerPlan[], places: Places): string {
  const clusters: JsonObject[] = [cluster("up", [host("up")])];
  const listeners = plans.map((plan, index) => {
    for (const { id, case: testCase } of plan.cases) {
      if (testCase.cluster !== undefined)
        clusters.push(fill(cluster(id, [host("up")], testCase.cluster), id, testCase));
      for (const further of testCase.clusters ?? []) clusters.push(fill(further, id, testCase));
    }
    return listenerOf(plan, places.ports[index] ?? 0, places.logFile);
  });
  const text = JSON.stringify({ static_resources: { listeners, clusters } }, null, 1);
  return text.replaceAll(/"\{port:([\w-]+)\}"/g, (_, name: string) => {
    const port = places.upstreams[name];
    if (port === undefined) throw new Error(`there is no upstream "${name}"`);
    return String(port);
  });
}

function fill<T extends JsonObject>(config: T, id: string, testCase: Case): T {
  return JSON.parse(fillCase(JSON.stringify(config), id, testCase)) as T;
}

function listenerOf(plan: ListenerPlan, port: number, logFile: string): JsonObject {
  const first = plan.cases[0];
  if (first === undefined) throw new Error("a listener without a case");
  const { manager, table, filters, router, listener, chains, log, logFilter } = first.case;
  const virtualHosts = plan.cases.flatMap(({ id, case: testCase }): JsonObject[] => {
    const hosts = testCase.virtualHosts ?? [
      { name: id, domains: ["{host}"], routes: testCase.routes ?? [to(ANY)], ...testCase.virtualHost },
    ];
    return hosts.map((virtualHost) => fill(virtualHost, id, testCase));
  });
  const access = filter("file", "FileAccessLog", { path: logFile, log_format: logFormat(log) });
  const config = filter(
    "envoy.filters.network.http_connection_manager",
    "HttpConnectionManager",
    fill(
      {
        stat_prefix: "test",
        delayed_close_timeout: "0.05s",
        ...manager,
        route_config: { name: "routes", ...table, virtual_hosts: [] },
        http_filters: [...(filters ?? []), filter("envoy.filters.http.router", "Router", router)],
        access_log: [logFilter === undefined ? access : { ...access, filter: logFilter }],
      },
      first.id,
      first.case,
    ),
  );
  const typedConfig = config["typed_config"] as JsonObject;
  const routeConfig = { ...(typedConfig["route_config"] as JsonObject), virtual_hosts: virtualHosts };
  const complete = { ...config, typed_config: { ...typedConfig, route_config: routeConfig } };
  const built = chains === undefined ? [{ filters: [complete] }] : chains(complete);
  return {
    name: first.id,
    address: { socket_address: { address: "127.0.0.1", port_value: port } },
    filter_chains: built,
    ...listener,
  };
}
