/** The manifests of the demo's mesh: what a user would write, and what the script edits while traffic flows. */

/** The services. Orders has two versions, each with a Service of its own that a route can name. */
export const SERVICES = `
apiVersion: v1
kind: Service
metadata: { name: shop }
spec: { selector: { app: shop }, ports: [{ name: http, port: 80 }] }
---
apiVersion: v1
kind: Service
metadata: { name: orders }
spec: { selector: { app: orders }, ports: [{ name: http, port: 80 }] }
---
apiVersion: v1
kind: Service
metadata: { name: orders-v1 }
spec: { selector: { app: orders, version: v1 }, ports: [{ name: http, port: 80 }] }
---
apiVersion: v1
kind: Service
metadata: { name: orders-v2 }
spec: { selector: { app: orders, version: v2 }, ports: [{ name: http, port: 80 }] }
---
apiVersion: v1
kind: Service
metadata: { name: stock }
spec: { selector: { app: stock }, ports: [{ name: http, port: 80 }] }
---
apiVersion: v1
kind: Service
metadata: { name: prices }
spec: { selector: { app: prices }, ports: [{ name: grpc, port: 80 }] }
`;

/** How calls to orders are split between its versions; weights are relative. */
export function ordersRoute(v1: number, v2: number): string {
  return `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: orders }
spec:
  parentRefs: [{ kind: Service, name: orders }]
  rules:
    - name: split
      backendRefs:
        - { name: orders-v1, port: 80, weight: ${v1} }
        - { name: orders-v2, port: 80, weight: ${v2} }
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
