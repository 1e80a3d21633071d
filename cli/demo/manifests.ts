/** The manifests of the demo's mesh: what a user would write, and what the script edits while traffic flows. */
import { JOURNAL_PORT } from "./apps/journal.ts";
import { APP_PORT } from "./apps/peer.ts";

/** The port of every service: what Kubernetes users are used to, or what the programs themselves listen at. */
function servicePort(transparent: boolean): number {
  return transparent ? APP_PORT : 80;
}

const HTTP_SERVICES = [
  ["shop", ""],
  ["orders", ""],
  // Orders has two versions, each with a Service of its own that a route can name.
  ["orders-v1", ", version: v1"],
  ["orders-v2", ", version: v2"],
  ["stock", ""],
] as const;

/** The services that speak HTTP. */
export function services(transparent: boolean): string {
  const port = servicePort(transparent);
  const http = HTTP_SERVICES.map(([name, label]) => service(name, `${name.replace(/-v.$/, "")}${label}`, "http", port));
  return [...http, service("prices", "prices", "grpc", port)].join("---");
}

function service(name: string, selector: string, protocol: string, port: number): string {
  return `
apiVersion: v1
kind: Service
metadata: { name: ${name} }
spec: { selector: { app: ${selector} }, ports: [{ name: ${protocol}, port: ${port} }] }
`;
}

/** A service of which nothing is said but its port: what it speaks is found out. */
export const JOURNAL = `
apiVersion: v1
kind: Service
metadata: { name: journal }
spec: { selector: { app: journal }, ports: [{ port: ${JOURNAL_PORT} }] }
`;

/** How calls to orders are split between its versions; weights are relative. */
export function ordersRoute(v1: number, v2: number, transparent: boolean): string {
  const port = servicePort(transparent);
  return `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: orders }
spec:
  parentRefs: [{ kind: Service, name: orders }]
  rules:
    - name: split
      backendRefs:
        - { name: orders-v1, port: ${port}, weight: ${v1} }
        - { name: orders-v2, port: ${port}, weight: ${v2} }
`;
}

/** Retries for calls to orders that its application answered with an error. */
export function ordersRetries(attempts: number): string {
  return `
apiVersion: outrigger.dev/v1alpha1
kind: ResiliencePolicy
metadata: { name: orders }
spec:
  targetRefs: [{ kind: HTTPRoute, name: orders }]
  retry: { on: [5xx, connect-failure, reset], attempts: ${attempts}, backoff: { base: 5ms, max: 50ms } }
`;
}

/** For stock: no attempt may take long, another instance is asked instead, and one that fails is left alone a while. */
export const STOCK_POLICY = `
apiVersion: outrigger.dev/v1alpha1
kind: ResiliencePolicy
metadata: { name: stock }
spec:
  targetRefs: [{ kind: Service, name: stock }]
  timeouts: { request: 5s, perTry: 400ms }
  retry: { on: [5xx, connect-failure, reset], attempts: 5, backoff: { base: 5ms, max: 50ms } }
  outlierDetection: { consecutiveErrors: 5, openFor: 4s, maxEjectedPercent: 50 }
`;

/** Retries of gRPC calls by the status that prices answered. */
export const PRICES_RETRIES = `
apiVersion: outrigger.dev/v1alpha1
kind: ResiliencePolicy
metadata: { name: prices }
spec:
  targetRefs: [{ kind: Service, name: prices }]
  retry: { on: [unavailable, connect-failure], attempts: 5, backoff: { base: 5ms, max: 50ms } }
`;
