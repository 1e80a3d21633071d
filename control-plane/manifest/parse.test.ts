import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { formatProblem } from "../../core/errors.ts";
import { parseManifests } from "./parse.ts";
import { APP_PROTOCOLS } from "./port-protocol.ts";

/** All problems of a text, as people see them, in the order of their positions. */
function problems(text: string): readonly string[] {
  return parseManifests("m.yaml", text)
    .flatMap((document) => document.problems)
    .sort((a, b) => (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0))
    .map(formatProblem);
}

/** The text without its marks `¦`, and the position of each. */
function marked(text: string): { readonly plain: string; readonly positions: readonly string[] } {
  const [first = "", ...rest] = text.split("¦");
  let plain = first;
  const positions = rest.map((part) => {
    const lines = plain.split("\n");
    const position = `m.yaml:${lines.length}:${(lines.at(-1)?.length ?? 0) + 1}: `;
    plain += part;
    return position;
  });
  return { plain, positions };
}

const KNOWN = Object.keys(APP_PROTOCOLS).join(", ");

const HEAD = {
  service: "apiVersion: v1\nkind: Service\nmetadata: { name: a }\n",
  route: "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: { name: a }\n",
  resilience: "apiVersion: outrigger.dev/v1alpha1\nkind: ResiliencePolicy\nmetadata: { name: a }\n",
  access: "apiVersion: outrigger.dev/v1alpha1\nkind: AccessPolicy\nmetadata: { name: a }\n",
  mesh: "apiVersion: outrigger.dev/v1alpha1\nkind: MeshPolicy\nmetadata: { name: a }\n",
  slice: "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: { name: a }\n",
};

const GRPC = `${HEAD.route.replace("HTTPRoute", "GRPCRoute")}spec:\n  parentRefs: [{ kind: Service, name: a }]\n`;
const ROUTE = `${HEAD.route}spec:\n  parentRefs: [{ kind: Service, name: a }]\n`;

describe("one problem, one sentence, one place", () => {
  const cases: readonly (readonly [name: string, text: string, expected: readonly string[]])[] = [
    [
      "every unknown field, with the likely one",
      `${HEAD.service}spec:\n  ports:\n    - ¦prot: 80\n      port: 81\n  ¦selektor: { app: a }\n  ¦zzz: 1\n`,
      [
        'Service default/a: spec.ports[0].prot: unknown field (did you mean "port"?)',
        'Service default/a: spec.selektor: unknown field (did you mean "selector"?)',
        "Service default/a: spec.zzz: unknown field",
      ],
    ],
    [
      "wrong types",
      `${HEAD.service}spec: { ports: [{ port: ¦"80" }] }\n`,
      ['Service default/a: spec.ports[0].port: expected a whole number, found "80"'],
    ],
    [
      "numbers out of range",
      `${HEAD.service}spec: { ports: [{ port: ¦70000 }] }\n`,
      ["Service default/a: spec.ports[0].port: must be between 1 and 65535, found 70000"],
    ],
    ["what is missing", `¦${HEAD.service}`, ["Service default/a: spec: is required"]],
    [
      "an empty value is a missing one",
      `${HEAD.service}spec:\n  ¦ports:\n`,
      ["Service default/a: spec.ports: is required"],
    ],
    [
      "names",
      "apiVersion: v1\nkind: Service\nmetadata: { name: ¦A_b }\nspec: { ports: [{ port: 80 }] }\n",
      ['Service default/A_b: metadata.name: "A_b" is not a DNS name (lower-case letters, digits, - and .)'],
    ],
    [
      "protocols that are not carried",
      `${HEAD.service}spec: { ports: [{ port: 80, protocol: ¦UDP }] }\n`,
      ['Service default/a: spec.ports[0].protocol: "UDP" is not carried: only TCP is'],
    ],
    [
      "an unknown kind, with the likely one",
      "¦apiVersion: v1\nkind: Servise\nmetadata: { name: a }\n",
      ['Servise default/a: kind "Servise" is not known (did you mean "Service"?)'],
    ],
    [
      "kinds of later days",
      "¦apiVersion: gateway.networking.k8s.io/v1alpha2\nkind: UDPRoute\nmetadata: { name: a }\n",
      ["UDPRoute default/a: UDP is not carried"],
    ],
    [
      "routes of connections without rules, with names that are none or given twice",
      `apiVersion: gateway.networking.k8s.io/v1\nkind: TLSRoute\nmetadata: { name: a }\nspec: { parentRefs: [{ kind: Service, name: a }], hostnames: [¦"*", ¦"*.A", ok.example], rules: ¦[] }\n`,
      [
        'TLSRoute default/a: spec.hostnames[0]: "*" is not a host name',
        'TLSRoute default/a: spec.hostnames[1]: "*.A" is not a host name',
        "TLSRoute default/a: spec.rules: expected 1 to 16 entries, found 0",
      ],
    ],
    [
      "a server name that a route gives twice",
      `apiVersion: gateway.networking.k8s.io/v1alpha2\nkind: TLSRoute\nmetadata: { name: a }\nspec: { parentRefs: [{ kind: Service, name: a }], hostnames: ¦[a.example, a.example], rules: [{}] }\n`,
      ["TLSRoute default/a: spec.hostnames: a name is given twice"],
    ],
    [
      "a wrong version",
      "¦apiVersion: outrigger.dev/v1\nkind: MeshPolicy\nmetadata: { name: a }\nspec: {}\n",
      ['MeshPolicy default/a: MeshPolicy is read as outrigger.dev/v1alpha1, not "outrigger.dev/v1"'],
    ],
    ["no kind", "¦metadata: { name: a }\n", ["kind is required"]],
    ["no object", "¦- 1\n", ["expected an object with apiVersion, kind and metadata"]],
    ["broken YAML", "kind: ¦Service\n  name: [\n", ["Nested mappings are not allowed in compact mappings"]],
    [
      "a field given twice",
      `${HEAD.service}spec: { ports: [{ port: 1 }], ¦ports: [{ port: 2 }] }\n`,
      ["Map keys must be unique"],
    ],
    [
      "durations",
      `${HEAD.resilience}spec: { targetRefs: [{ kind: Service, name: a }], timeouts: { request: ¦1.5s } }\n`,
      [
        'ResiliencePolicy default/a: spec.timeouts.request: "1.5s" is not a duration: write numbers with units h, m, s or ms, as in 1m30s or 250ms',
      ],
    ],
    [
      "a try that is longer than the whole",
      `${HEAD.resilience}spec: { targetRefs: [{ kind: Service, name: a }], timeouts: { request: 1s, perTry: ¦2s } }\n`,
      ["ResiliencePolicy default/a: spec.timeouts.perTry: perTry is longer than request"],
    ],
    [
      "cluster settings on a route",
      `${HEAD.resilience}spec: { targetRefs: [{ kind: HTTPRoute, name: a }], limits: ¦{ requests: 1 } }\n`,
      ["ResiliencePolicy default/a: spec.limits: shapes the calls to a Service as a whole: target the Service"],
    ],
    [
      "rules of a Service",
      `${HEAD.resilience}spec: { targetRefs: [{ kind: Service, name: a, sectionName: ¦x }] }\n`,
      ["ResiliencePolicy default/a: spec.targetRefs[0].sectionName: only a route has named rules"],
    ],
    [
      "words from a list",
      `${HEAD.resilience}spec: { targetRefs: [{ kind: Service, name: a }], loadBalancing: { policy: ¦leastRequest } }\n`,
      [
        'ResiliencePolicy default/a: spec.loadBalancing.policy: expected one of RoundRobin, LeastRequest, Random, found "leastRequest" (did you mean "LeastRequest"?)',
      ],
    ],
    [
      "a Gateway as parent",
      `${HEAD.route}spec: { parentRefs: [{ kind: ¦Gateway, name: a }] }\n`,
      ["HTTPRoute default/a: spec.parentRefs[0].kind: a route's parent must be a Service (GAMMA), not a Gateway"],
    ],
    [
      "regular expressions",
      `${ROUTE}  rules: [{ matches: [{ path: { type: RegularExpression, value: ¦"(" } }] }]\n`,
      [
        'HTTPRoute default/a: spec.rules[0].matches[0].path.value: "(" is not a regular expression (RE2 syntax): error parsing regexp: missing closing ): `(`',
      ],
    ],
    [
      "a filter without its field, and with another's",
      `${ROUTE}  rules: [{ filters: [¦{ type: URLRewrite, requestRedirect: ¦{} }] }]\n`,
      [
        "HTTPRoute default/a: spec.rules[0].filters[0].urlRewrite: type URLRewrite needs this field",
        "HTTPRoute default/a: spec.rules[0].filters[0].requestRedirect: does not belong to type URLRewrite",
      ],
    ],
    [
      "a prefix replaced where no prefix is matched",
      `${ROUTE}  rules:\n    - matches: ¦[{ path: { type: Exact, value: /a } }]\n      filters: [{ type: URLRewrite, urlRewrite: { path: { type: ReplacePrefixMatch, replacePrefixMatch: /b } } }]\n`,
      [
        "HTTPRoute default/a: spec.rules[0].matches: ReplacePrefixMatch needs every match of the rule to be a PathPrefix",
      ],
    ],
    [
      "retries in the wrong place",
      `${ROUTE}  rules: [{ retry: ¦{ attempts: 3 } }]\n`,
      ["HTTPRoute default/a: spec.rules[0].retry: write a ResiliencePolicy with this HTTPRoute as target instead"],
    ],
    [
      "protocols of applications that nobody knows",
      `${HEAD.service}spec: { ports: [{ name: a, port: 80, appProtocol: ¦HTTP }, { name: b, port: 81, appProtocol: ¦sip }] }\n`,
      [
        `Service default/a: spec.ports[0].appProtocol: "HTTP" is not known: ${KNOWN} are`,
        `Service default/a: spec.ports[1].appProtocol: "sip" is not known: ${KNOWN} are`,
      ],
    ],
    [
      "addresses of services that are none",
      `${HEAD.service}spec: { clusterIP: ¦anywhere, clusterIPs: [10.0.0.1, ¦"::x"], ports: [{ port: 80 }] }\n`,
      [
        'Service default/a: spec.clusterIP: "anywhere" is neither an IP address nor None',
        'Service default/a: spec.clusterIPs[1]: "::x" is neither an IP address nor None',
      ],
    ],
    [
      "gRPC services and methods that no call can name",
      `${GRPC}  rules: [{ matches: [{ method: { service: ¦shop/Stock, method: ¦Get-All } }, { method: ¦{ type: Exact } }, { method: { type: RegularExpression, method: ¦"(" } }] }]\n`,
      [
        'GRPCRoute default/a: spec.rules[0].matches[0].method.service: "shop/Stock" is not the full name of a gRPC service, as in package.Service',
        'GRPCRoute default/a: spec.rules[0].matches[0].method.method: "Get-All" is not the name of a gRPC method',
        "GRPCRoute default/a: spec.rules[0].matches[1].method: needs a service, a method or both; without this field all match",
        'GRPCRoute default/a: spec.rules[0].matches[2].method.method: "(" is not a regular expression (RE2 syntax): error parsing regexp: missing closing ): `(`',
      ],
    ],
    [
      "filters that gRPC has not, or not on a backend",
      `${GRPC}  rules:\n    - filters: [{ type: ¦URLRewrite, urlRewrite: {} }]\n      backendRefs: [{ name: a, port: 80, filters: ¦[{ type: RequestMirror, requestMirror: { backendRef: { name: b, port: 1 } } }] }]\n`,
      [
        "GRPCRoute default/a: spec.rules[0].filters[0].type: URLRewrite has no meaning for gRPC: only an HTTPRoute has it",
        "GRPCRoute default/a: spec.rules[0].backendRefs[0].filters: RequestMirror on a single backend is not carried: put it on the rule",
      ],
    ],
    [
      "an HTTPRoute's words in a GRPCRoute",
      `${GRPC}  hostnames: ¦[a.test]\n  rules: [{ timeouts: ¦{ request: 1s }, matches: [{ ¦path: { value: /a } }] }]\n`,
      [
        "GRPCRoute default/a: spec.hostnames: host names have no meaning on a route whose parent is a Service",
        "GRPCRoute default/a: spec.rules[0].timeouts: write a ResiliencePolicy with this GRPCRoute as target instead",
        "GRPCRoute default/a: spec.rules[0].matches[0].path: unknown field",
      ],
    ],
    [
      "rules of a GRPCRoute with one name",
      `${GRPC}  rules: ¦[{ name: x }, { name: x }]\n`,
      ["GRPCRoute default/a: spec.rules: two rules have the same name"],
    ],
    [
      "more matches than a route may have",
      `${GRPC}  rules: ¦[${new Array(3).fill(`{ matches: [${new Array(43).fill("{}").join(", ")}] }`).join(", ")}]\n`,
      ["GRPCRoute default/a: spec.rules: at most 128 matches in all rules together, found 129"],
    ],
    [
      "connections of a route",
      `${HEAD.resilience}spec: { targetRefs: [{ kind: GRPCRoute, name: a }], connection: ¦{ multiplex: "Off" } }\n`,
      ["ResiliencePolicy default/a: spec.connection: shapes the calls to a Service as a whole: target the Service"],
    ],
    [
      "rules that name nobody",
      `${HEAD.access}spec: { rules: [{ from: [¦{}] }] }\n`,
      ["AccessPolicy default/a: spec.rules[0].from[0]: names nobody: give serviceAccounts, namespaces or principals"],
    ],
    [
      "modes of mutual TLS that there are none of, or two of",
      `${HEAD.mesh}spec: { mtls: { mode: ¦strict, ports: [{ port: 1, mode: ¦OFF }] } }\n`,
      [
        'MeshPolicy default/a: spec.mtls.mode: expected one of STRICT, PERMISSIVE, DISABLE, found "strict" (did you mean "STRICT"?)',
        'MeshPolicy default/a: spec.mtls.ports[0].mode: expected one of STRICT, PERMISSIVE, DISABLE, found "OFF"',
      ],
    ],
    [
      "a port that has two modes",
      `${HEAD.mesh}spec: { mtls: { ports: ¦[{ port: 1, mode: STRICT }, { port: 1, mode: DISABLE }] } }\n`,
      ["MeshPolicy default/a: spec.mtls.ports: a port is given twice"],
    ],
    [
      "what holds for the mesh, said of one Service",
      `${HEAD.mesh}spec: ¦{ targetRefs: [{ kind: Service, name: a }], egress: ¦{ mode: AllowAny } }\n`,
      [
        "MeshPolicy default/a: spec: with targetRefs only mtls can be set, and it is not",
        "MeshPolicy default/a: spec.egress: holds for the whole mesh: set it without targetRefs",
      ],
    ],
    [
      "traces without a destination",
      `${HEAD.mesh}spec: { telemetry: { tracing: ¦{ samplingPercent: 5 } } }\n`,
      ["MeshPolicy default/a: spec.telemetry.tracing: traces need somewhere to go: give otlp.endpoint"],
    ],
    [
      "destinations of traces that are none, or that are not carried",
      `${HEAD.mesh}spec: { telemetry: { tracing: { otlp: { endpoint: ¦"https://c:4317" } } } }\n---\n${HEAD.mesh}spec: { telemetry: { tracing: { otlp: { endpoint: ¦"collector:4317" } } } }\n`,
      [
        "MeshPolicy default/a: spec.telemetry.tracing.otlp.endpoint: an OTLP endpoint over TLS is not carried yet: use a local collector",
        'MeshPolicy default/a: spec.telemetry.tracing.otlp.endpoint: "collector:4317" is not an OTLP endpoint: write grpc://HOST:PORT or http://HOST:PORT/v1/traces',
      ],
    ],
    [
      "names that are longer than Kubernetes has them",
      `${HEAD.access}spec: { targetRefs: [{ kind: Service, name: ¦${"a".repeat(64)} }], rules: [{ name: ¦${"r".repeat(64)}, from: [{ serviceAccounts: [¦${"s".repeat(318)}] }] }] }\n`,
      [
        `AccessPolicy default/a: spec.targetRefs[0].name: "${"a".repeat(64)}" is not a DNS label (lower-case letters, digits and -, at most 63 long)`,
        "AccessPolicy default/a: spec.rules[0].name: may hold letters, digits, dot, _ and - only, at most 63 of them",
        `AccessPolicy default/a: spec.rules[0].from[0].serviceAccounts[0]: "${"s".repeat(318)}" is not a service account: write its name, or namespace/name`,
      ],
    ],
    [
      "parts of a name that begin or end with a dash",
      `${HEAD.resilience}spec: { targetRefs: [{ kind: HTTPRoute, name: ¦a.-b }] }\n`,
      [
        'ResiliencePolicy default/a: spec.targetRefs[0].name: "a.-b" is not a DNS name (lower-case letters, digits, - and .)',
      ],
    ],
    [
      "a slice that belongs to nothing",
      `${HEAD.slice.replace("{ name", "¦{ name")}addressType: IPv4\nendpoints: ¦[{ addresses: ["::1"] }]\nports: [{ port: 80 }]\n`,
      [
        "EndpointSlice default/a: metadata: needs the label kubernetes.io/service-name, which names its Service",
        'EndpointSlice default/a: endpoints: "::1" is not an IPv4 address',
      ],
    ],
  ];
  for (const [name, text, expected] of cases) {
    test(name, () => {
      const { plain, positions } = marked(text);
      assert.deepEqual(
        problems(plain),
        expected.map((message, index) => `${positions[index]}${message}`),
      );
    });
  }
});

test("one broken document of a file leaves the others good", () => {
  const good = `${HEAD.service}spec: { ports: [{ port: 80 }] }\n`;
  const documents = parseManifests(
    "m.yaml",
    `${good}---\nkind: Nothing\n---\n${good.replace("name: a", "name: b")}---\n# only a comment\n`,
  );
  assert.deepEqual(
    documents.map(({ key, manifest }) => [key, manifest !== null]),
    [
      ["Service/default/a", true],
      [null, false],
      ["Service/default/b", true],
    ],
  );
  assert.equal(documents[2]?.manifest?.line, 8);
});

test("JSON is read too, and what an API server adds is no mistake", () => {
  const value = {
    apiVersion: "v1",
    kind: "Service",
    metadata: {
      name: "a",
      uid: "x",
      resourceVersion: "1",
      creationTimestamp: "2026-01-01T00:00:00Z",
      managedFields: [],
    },
    spec: { ports: [{ port: 80, targetPort: "web", nodePort: 30000 }], clusterIP: "10.0.0.1", type: "ClusterIP" },
    status: { loadBalancer: {} },
  };
  const [document] = parseManifests("m.json", JSON.stringify(value));
  assert.deepEqual(document?.problems, []);
  assert.equal(document?.manifest?.kind, "Service");
});

test("aliases stand for their anchors", () => {
  const text = `${HEAD.service}spec:\n  ports: [{ name: x, port: &p 80 }, { name: y, port: 81, targetPort: *p }]\n`;
  const [document] = parseManifests("m.yaml", text);
  assert.ok(document?.manifest?.kind === "Service");
  assert.equal(document.manifest.value.spec.ports[1]?.targetPort, 80);
});

test("no text makes the reader throw, and every refusal has a reason", () => {
  const words = fc.constantFrom(
    "apiVersion: v1\n",
    "kind: Service\n",
    "metadata:\n",
    "  name: a\n",
    "spec:\n",
    "  ports:\n",
    "  - port: 80\n",
    "---\n",
    "&a ",
    "*a\n",
    "[",
    "]",
    "{",
    "}",
    ": ",
    "- ",
    "\t",
    "\n",
    "!!map ",
    "'",
    '"',
    "? ",
    "|\n",
    "%YAML 1.1\n",
    "\u0000",
    "é",
  );
  fc.assert(
    fc.property(fc.array(words, { maxLength: 30 }), (parts) => {
      for (const { manifest, problems: found } of parseManifests("m.yaml", parts.join(""))) {
        assert.equal(manifest === null, found.length > 0);
      }
    }),
  );
});
