/**
 * Health probes at ports that take plaintext: the kubelet has no name that an AccessPolicy could allow, and must hear of
 * the application's health all the same. Judged as the sidecar judges, by what the control plane gives it.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { buildState } from "../control-plane/mesh/build.ts";
import { intercepted, objectsOf } from "../control-plane/testing/workloads.ts";
import { translate } from "../control-plane/translate/translate.ts";
import { compileRbac, NO_RBAC_COUNTERS } from "../proxy/filters/rbac.ts";
import { compileFilterChains } from "../proxy/listener/filter-chain-match.ts";
import { StreamInfo } from "../telemetry/stream-info.ts";
import { FakeContext } from "./support/filters.ts";
import { connection, request } from "./support/routes.ts";

const SERVICE = `
apiVersion: v1
kind: Service
metadata: { name: app }
spec: { ports: [{ name: web, port: 80, targetPort: 8080 }] }
`;
const ALLOW = "{ rules: [{ from: [{ serviceAccounts: [front] }] }] }";
const DENY = "{ action: Deny, rules: [{ to: [{ methods: [GET, POST] }] }] }";

/** Whether a call in plaintext reaches the application; null: it is not read as HTTP there. */
function passes(mode: string, policy: string, port: number, method: string, path: string): boolean | null {
  const app = intercepted("app", 1, { probes: [8080, 9090].map((at) => ({ port: at, path: "/healthz" })) });
  const objects = objectsOf(`${SERVICE}
---
apiVersion: outrigger.dev/v1alpha1
kind: MeshPolicy
metadata: { name: mesh }
spec: { mtls: { mode: ${mode} } }
---
apiVersion: outrigger.dev/v1alpha1
kind: AccessPolicy
metadata: { name: access }
spec: ${policy}
`);
  const registrations = [{ workload: app, servicePort: 8080, serving: true }];
  const { listeners } = translate(buildState({ trustDomain: "cluster.local", objects, registrations }), app);
  const inbound = listeners.find(({ trafficDirection }) => trafficDirection === "inbound");
  assert.ok(inbound);
  const chain = compileFilterChains(
    inbound,
    (given) => given,
  )({
    destinationAddress: app.address,
    destinationPort: port,
    sourceAddress: "10.0.0.2",
    sourcePort: 40_000,
    serverName: "",
    transportProtocol: "raw_buffer",
    applicationProtocols: ["http/1.1"],
  });
  const last = chain?.filters.at(-1);
  if (last?.kind !== "http_connection_manager") return null;
  return last.config.filters.every((filter) => {
    if (filter.kind !== "rbac") return true;
    const call = new FakeContext(request(path, [], { method }), new StreamInfo(connection()));
    return compileRbac(filter.policy, NO_RBAC_COUNTERS)?.onRequest(call) ?? true;
  });
}

for (const mode of ["STRICT", "PERMISSIVE", "DISABLE"]) {
  for (const [what, policy] of Object.entries({ ALLOW, DENY })) {
    test(`${mode}: a probe passes whatever a policy says (${what}), and what is none does not`, () => {
      // 9090: a port that no Service leads to, as one for management.
      for (const port of [8080, 9090]) {
        assert.equal(passes(mode, policy, port, "GET", "/healthz"), true, `${port}`);
        assert.equal(passes(mode, policy, port, "GET", "/orders"), false, `${port}`);
        assert.equal(passes(mode, policy, port, "POST", "/healthz"), false, `${port}`);
      }
    });
  }
}
