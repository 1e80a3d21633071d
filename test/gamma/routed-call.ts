/** What the sidecar of a caller does with one request, by manifests alone: translated, compiled and asked, without a socket. */
import { buildState } from "../../control-plane/mesh/build.ts";
import { objectsOf } from "../../control-plane/testing/workloads.ts";
import { routeScope, serviceRouteTable } from "../../control-plane/translate/route-table.ts";
import type { Random } from "../../core/random.ts";
import { type CompiledRouteTable, compileRouteTable } from "../../proxy/router/compile-routes.ts";
import { type Fields, headerMap, lines, request, streamInfo } from "../support/routes.ts";

export interface Call {
  readonly path: string;
  readonly method?: string;
  /** Default: the Service's name. */
  readonly authority?: string;
  readonly headers?: Fields;
  /** The caller asked for an instance's own address. */
  readonly toInstance?: boolean;
  /** Names of fields in the answer of the backend. */
  readonly answer?: Fields;
}

/** What became of a call. */
export interface Routed {
  /** Name of the route, "" where none takes it. */
  readonly route: string;
  /** Service whose instances are called: `stock-v1`, with its namespace where it is not `default`; "" where none is. */
  readonly backend: string;
  /** Of an answer that the sidecar gives by itself; 0: the backend answers. */
  readonly status: number;
  readonly location: string;
  readonly path: string;
  readonly authority: string;
  /** As they leave for the backend, `name: value`. */
  readonly headers: readonly string[];
  /** Of the answer, as the caller gets them. */
  readonly answer: readonly string[];
}

/** Calls to a port of a Service (`namespace/name`) from a namespace. */
export function caller(
  manifests: string,
  { service = "default/stock", port = 80, from = "default" } = {},
): (call: Call, random?: Random) => Routed {
  const state = buildState({ trustDomain: "cluster.local", objects: objectsOf(manifests), registrations: [] });
  const found = state.services.get(service);
  if (!found) throw new Error(`no Service ${service}`);
  const table = compileRouteTable(serviceRouteTable(found, port, routeScope(found, from)));
  return (call, random = () => 0) => ask(table, found.definition.name, call, random);
}

function ask(table: CompiledRouteTable, name: string, call: Call, random: Random): Routed {
  const { path, method = "GET", authority = name, headers = [], toInstance = false, answer = [] } = call;
  const head = request(path, headers, { method, authority });
  const info = streamInfo(toInstance ? { pinned: "an instance" } : {});
  const compiled = table.find(head, info, random);
  const nothing = { route: "", backend: "", status: 404, location: "", answer: [] };
  if (compiled === null) return { ...nothing, path, authority, headers: lines(head.headers) };
  const { action, name: route } = compiled.route;
  const answered = headerMap(answer);
  if (action.kind === "forward") compiled.applyRequest(head, info, false);
  compiled.applyResponse(answered, info, head);
  return {
    route,
    backend: action.kind === "forward" ? backendOf(compiled.cluster) : "",
    status: "status" in action ? action.status : 0,
    location: action.kind === "redirect" ? compiled.redirectLocation(head) : "",
    path: head.path,
    authority: head.authority,
    headers: lines(head.headers),
    answer: lines(answered),
  };
}

function backendOf(cluster: string): string {
  return cluster.slice(cluster.lastIndexOf("|") + 1).replace(/\.default$/, "");
}

/** A Service manifest with ports 80 (`http`) and 8080 (`http-alt`). */
export function serviceOf(name: string, namespace = "default"): string {
  const ports = "[{ name: http, port: 80 }, { name: http-alt, port: 8080 }]";
  return `---\napiVersion: v1\nkind: Service\nmetadata: { name: ${name}, namespace: ${namespace} }\nspec: { ports: ${ports} }\n`;
}

export interface RouteParts {
  readonly kind?: "HTTPRoute" | "GRPCRoute";
  readonly name?: string;
  readonly namespace?: string;
  /** Fields of the parent besides its kind. */
  readonly parent?: string;
}

/** A route manifest with these rules, each in YAML's flow style. */
export function routeOf(
  rules: readonly string[],
  { kind = "HTTPRoute", name = "r", namespace = "default", parent = "name: stock" }: RouteParts = {},
): string {
  const spec = `{ parentRefs: [{ kind: Service, ${parent} }], rules: [${rules.join(", ")}] }`;
  return `---\napiVersion: gateway.networking.k8s.io/v1\nkind: ${kind}\nmetadata: { name: ${name}, namespace: ${namespace} }\nspec: ${spec}\n`;
}
