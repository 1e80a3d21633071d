/**
 * Which connections a workload takes at which of its ports, as its sidecar chooses among the filter chains that the control
 * plane gives it: modes of mutual TLS, kinds of ports, probes, everything that may arrive.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { buildState } from "../control-plane/mesh/build.ts";
import type { Workload } from "../control-plane/mesh/workload.ts";
import { intercepted, objectsOf, workload } from "../control-plane/testing/workloads.ts";
import { translate } from "../control-plane/translate/translate.ts";
import type { FilterChain, Listener } from "../model/listener.ts";
import { type ConnectionFacts, compileFilterChains } from "../proxy/listener/filter-chain-match.ts";

const SERVICES = `
apiVersion: v1
kind: Service
metadata: { name: app }
spec:
  ports:
    - { name: http, port: 80, targetPort: 8080 }
    - { name: redis, port: 6379 }
    - { name: web, port: 7000 }
    - { name: https, port: 8443 }
`;

/** What may arrive at a port. */
const ARRIVALS = {
  "mesh HTTP": { tls: true, sni: true, protocols: ["outrigger-mux/1", "h2", "http/1.1"] },
  "mesh bytes": { tls: true, sni: true, protocols: ["outrigger-tcp/1"] },
  "mesh bytes, many": { tls: true, sni: true, protocols: ["outrigger-tcp-mux/1", "outrigger-tcp/1"] },
  "own TLS": { tls: true, sni: false, protocols: ["h2", "http/1.1"] },
  "own TLS, no name": { tls: true, sni: null, protocols: [] },
  "HTTP/1": { tls: false, sni: null, protocols: ["http/1.1"] },
  "HTTP/2": { tls: false, sni: null, protocols: ["h2c"] },
  bytes: { tls: false, sni: null, protocols: [] },
} as const;

type Arrival = keyof typeof ARRIVALS;

function factsOf(arrival: Arrival, port: number, servicePort: number): ConnectionFacts {
  const { tls, sni, protocols } = ARRIVALS[arrival];
  return {
    destinationAddress: "10.0.0.1",
    destinationPort: port,
    sourceAddress: "10.0.0.2",
    sourcePort: 40_000,
    serverName: sni === null ? "" : sni ? `outbound_.${servicePort}_._.app.default` : "app.example",
    transportProtocol: tls ? "tls" : "raw_buffer",
    applicationProtocols: protocols,
  };
}

/** How a chain serves a connection. */
function kindOf(chain: FilterChain | null): string {
  if (chain === null) return "refused";
  const last = chain.filters.at(-1);
  const probes =
    last?.kind === "http_connection_manager" && last.config.filters.some(({ name }) => name === "outrigger.probes");
  const what = probes ? "probes" : last?.kind === "http_connection_manager" ? "HTTP" : "bytes";
  return chain.tls === null ? what : `mTLS ${what}`;
}

function inboundOf(of: Workload, policy: string): Listener {
  const objects = objectsOf(`${SERVICES}${policy}`);
  const registrations = [{ workload: of, servicePort: 8080, serving: true }];
  const state = buildState({ trustDomain: "cluster.local", objects, registrations });
  const listener = translate(state, of).listeners.find(({ trafficDirection }) => trafficDirection === "inbound");
  assert.ok(listener);
  return listener;
}

function mode(spec: string): string {
  return `---\napiVersion: outrigger.dev/v1alpha1\nkind: MeshPolicy\nmetadata: { name: m }\nspec: { mtls: ${spec} }\n`;
}

/** By arrival, what becomes of it at a port. */
function outcomes(listener: Listener, port: number, servicePort = port): Readonly<Record<string, string>> {
  const choose = compileFilterChains(listener, (chain) => chain);
  return Object.fromEntries(
    (Object.keys(ARRIVALS) as Arrival[]).map((arrival) => [
      arrival,
      kindOf(choose(factsOf(arrival, port, servicePort))),
    ]),
  );
}

const APP = intercepted("app", 1, {
  probes: [
    { port: 8080, path: "/healthz" },
    { port: 9999, path: "/ready" },
  ],
});

describe("a STRICT port takes mutual TLS alone", () => {
  const listener = inboundOf(APP, "");
  const plaintext = { "HTTP/1": "refused", "HTTP/2": "refused", bytes: "refused" };
  const all = (what: string, bytes = what) => ({
    "mesh HTTP": what,
    "mesh bytes": bytes,
    "mesh bytes, many": bytes,
    "own TLS": what,
    "own TLS, no name": what,
  });
  for (const [what, port, servicePort, expected] of [
    ["HTTP, whose health is asked in plaintext", 8080, 80, { ...all("mTLS HTTP"), ...probed() }],
    ["bytes", 6379, 6379, { ...all("mTLS bytes"), ...plaintext }],
    ["not declared", 7000, 7000, { ...all("mTLS HTTP", "mTLS bytes"), ...plaintext }],
    ["its own TLS", 8443, 8443, { ...all("mTLS bytes"), ...plaintext }],
    ["unknown to the mesh", 5000, 5000, { ...all("mTLS bytes"), ...plaintext }],
    ["known for its probes only", 9999, 9999, { ...all("mTLS bytes"), ...probed() }],
  ] as const) {
    test(what, () => assert.deepEqual(outcomes(listener, port, servicePort), expected));
  }

  function probed() {
    return { "HTTP/1": "probes", "HTTP/2": "probes", bytes: "refused" };
  }
});

describe("a PERMISSIVE port takes plaintext and the application's own TLS besides", () => {
  const listener = inboundOf(APP, mode("{ mode: PERMISSIVE }"));
  const ownTls = { "own TLS": "bytes", "own TLS, no name": "bytes" };
  for (const [what, port, servicePort, mesh, plaintext] of [
    ["HTTP", 8080, 80, "mTLS HTTP", { "HTTP/1": "HTTP", "HTTP/2": "HTTP", bytes: "HTTP" }],
    ["bytes", 6379, 6379, "mTLS bytes", { "HTTP/1": "bytes", "HTTP/2": "bytes", bytes: "bytes" }],
    ["not declared", 7000, 7000, "mTLS HTTP", { "HTTP/1": "HTTP", "HTTP/2": "HTTP", bytes: "bytes" }],
    ["its own TLS", 8443, 8443, "mTLS bytes", { "HTTP/1": "bytes", "HTTP/2": "bytes", bytes: "bytes" }],
    // Nobody in the mesh calls it by a name of the mesh.
    ["unknown to the mesh", 5000, 5000, "bytes", { "HTTP/1": "bytes", "HTTP/2": "bytes", bytes: "bytes" }],
  ] as const) {
    test(what, () => {
      const bytes = what === "not declared" ? "mTLS bytes" : mesh;
      assert.deepEqual(outcomes(listener, port, servicePort), {
        "mesh HTTP": mesh,
        "mesh bytes": bytes,
        "mesh bytes, many": bytes,
        ...ownTls,
        ...plaintext,
      });
    });
  }
});

test("a port where mutual TLS is disabled takes everything as it comes", () => {
  const listener = inboundOf(APP, mode("{ mode: DISABLE }"));
  for (const [port, servicePort] of [
    [8080, 80],
    [6379, 6379],
    [7000, 7000],
    [5000, 5000],
  ] as const) {
    for (const [arrival, outcome] of Object.entries(outcomes(listener, port, servicePort))) {
      const http =
        port === 8080
          ? !arrival.includes("TLS") && !arrival.includes("mesh")
          : port === 7000 && arrival.startsWith("HTTP");
      assert.equal(outcome, http ? "HTTP" : "bytes", `${arrival} at ${port}`);
    }
  }
});

test("one port that is STRICT stays so among others that are not, also for what no chain of it takes", () => {
  const listener = inboundOf(APP, mode("{ mode: DISABLE, ports: [{ port: 6379, mode: STRICT }] }"));
  assert.equal(listener.defaultFilterChain, null);
  const { bytes, "HTTP/1": http, "mesh bytes": mesh } = outcomes(listener, 6379);
  assert.deepEqual([bytes, http, mesh], ["refused", "refused", "mTLS bytes"]);
});

test("ports of bytes that take no mutual TLS are not kept waiting for the client's first bytes", () => {
  const listener = inboundOf(APP, mode("{ ports: [{ port: 6379, mode: DISABLE }, { port: 8443, mode: DISABLE }] }"));
  const only = (port: number) => ({ kind: "ports", start: port, end: port + 1 });
  for (const { kind, disabled } of listener.listenerFilters) {
    assert.deepEqual(disabled, kind === "original_dst" ? undefined : { kind: "or", of: [only(6379), only(8443)] });
  }
});

describe("a sidecar without interception", () => {
  const app = workload("app");
  const outcomesOf = (policy: string, appPort = 8080, servicePort = 80) =>
    outcomes(inboundOf({ ...app, appPort }, policy), 15_006, servicePort);

  test("has one chain and looks at nothing where only mutual TLS for HTTP can come", () => {
    const listener = inboundOf(app, "");
    assert.deepEqual([listener.filterChains.length, listener.listenerFilters], [1, []]);
  });

  test("tells bytes from HTTP where the port is not declared", () => {
    const { "mesh HTTP": http, "mesh bytes": bytes, "HTTP/1": plaintext } = outcomesOf("", 7000, 7000);
    assert.deepEqual([http, bytes, plaintext], ["mTLS HTTP", "mTLS bytes", "refused"]);
  });

  test("takes plaintext and its application's TLS where that is asked for", () => {
    const { "mesh HTTP": mesh, "own TLS": own, "HTTP/1": plaintext } = outcomesOf(mode("{ mode: PERMISSIVE }"));
    assert.deepEqual([mesh, own, plaintext], ["mTLS HTTP", "bytes", "HTTP"]);
  });
});
