/** Bootstraps whose resources come from files and from a secret service of their own, from the YAML to the snapshot. */
import assert from "node:assert/strict";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { systemClock } from "../core/clock.ts";
import { systemRandom } from "../core/random.ts";
import { nextValue } from "../core/watch.ts";
import { encodeResource } from "../xds/resources.ts";
import { loadBootstrap } from "./bootstrap.ts";
import { type ControlClient, startControlClient } from "./client.ts";
import { testAuthority } from "./testing/certificates.ts";
import { ScriptedServer } from "./testing/grpc-server.ts";
import { certificateSecret } from "./testing/models.ts";
import { WIRES, type Wire } from "./testing/wire.ts";

const silent = { debug() {}, info() {}, warn() {}, error() {} };
const directory = mkdtempSync(path.join(tmpdir(), "outrigger-sources-"));
const open: { close(): unknown }[] = [];
after(async () => {
  for (const item of open) await item.close();
  rmSync(directory, { recursive: true, force: true });
});

function put(name: string, text: string): string {
  const file = path.join(directory, name);
  writeFileSync(`${file}.new`, text);
  renameSync(`${file}.new`, file);
  return file;
}

function start(yaml: string): ControlClient {
  const decode = { readFile: () => new Uint8Array(), environment: {} };
  const { bootstrap } = loadBootstrap({ configYaml: yaml, decode });
  const options = { clock: systemClock, random: systemRandom, log: silent, version: "0.1", bootstrap, decode };
  const client = startControlClient(options);
  open.push(client);
  return client;
}

const cds = (path: string, timeout: string): string => `
version_info: "1"
resources:
- "@type": type.googleapis.com/envoy.config.cluster.v3.Cluster
  name: orders
  type: EDS
  connect_timeout: ${timeout}
  eds_cluster_config: { eds_config: { path_config_source: { path: ${path} }, resource_api_version: V3 } }
`;

const eds = (port: number): string => `
resources:
- "@type": type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment
  cluster_name: orders
  endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: ${port} } } } }] }]
`;

test("clusters and endpoints from files, followed as they are moved into place", async () => {
  const edsFile = put("eds.yaml", eds(81));
  const cdsFile = put("cds.yaml", cds(edsFile, "1s"));
  const client = start(`
node: { id: node-1, cluster: web }
dynamic_resources:
  cds_config: { path_config_source: { path: ${cdsFile} }, resource_api_version: V3 }
`);
  const port = (): number | undefined => {
    const address = client.snapshots.get()?.endpoints.get("orders")?.localities[0]?.endpoints[0]?.address;
    return address?.kind === "tcp" ? address.port : undefined;
  };
  const first = await nextValue(client.snapshots);
  assert.equal(port(), 81);
  assert.equal(client.status().connected, true);
  put("eds.yaml", eds(82));
  const second = await nextValue(client.snapshots, () => port() === 82);
  assert.equal(second.clusters, first.clusters);

  put("cds.yaml", cds(edsFile, "-1s"));
  while (client.status().lastErrors.length === 0) await new Promise((resolve) => setImmediate(resolve));
  const [rejection] = client.status().lastErrors;
  assert.equal(rejection?.api, "CDS");
  assert.match(rejection?.problems[0]?.path ?? "", /^resources\[0\]\.connect_timeout$/);
  assert.equal(rejection?.problems[0]?.line, 7);
  assert.equal(client.snapshots.get()?.clusters.get("orders"), first.clusters.get("orders"));
  put("cds.yaml", cds(edsFile, "2s"));
  await nextValue(client.snapshots, (snapshot) => snapshot.clusters.get("orders")?.connectTimeoutMs === 2000);
  assert.deepEqual(client.status().lastErrors, []);
});

test("a static listener waits for secrets from an agent's socket, as a mesh's sidecar does", async () => {
  const socket = path.join(directory, "agent.sock");
  const server = await ScriptedServer.start(WIRES[0] as Wire, `unix:${socket}`);
  open.push({ close: () => server.stop() });
  const sds = (name: string): string => `
                - name: ${name}
                  sds_config:
                    initial_fetch_timeout: 0s
                    resource_api_version: V3
                    api_config_source:
                      api_type: GRPC
                      transport_api_version: V3
                      grpc_services: [{ envoy_grpc: { cluster_name: agent } }]`;
  const client = start(`
node: { id: node-1, cluster: web }
static_resources:
  clusters:
  - name: agent
    type: STATIC
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: { http2_protocol_options: {} }
    load_assignment:
      cluster_name: agent
      endpoints: [{ lb_endpoints: [{ endpoint: { address: { pipe: { path: ${socket} } } } }] }]
  listeners:
  - name: web
    address: { socket_address: { address: 127.0.0.1, port_value: 0 } }
    filter_chains:
    - transport_socket:
        name: tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
          common_tls_context:
            tls_certificate_sds_secret_configs:${sds("default")}
      filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: web
          route_config: { virtual_hosts: [] }
          http_filters:
          - name: router
            typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }
`);
  assert.deepEqual(client.status().waitingFor, ["listener web waits for the secret (SDS default)"]);
  assert.equal(client.snapshots.get(), undefined);
  const stream = await server.stream();
  assert.equal(stream.path, "/envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets");
  const request = await stream.next();
  assert.deepEqual([request.kind, request.names, request.node?.id], ["secret", ["default"], "node-1"]);
  const { chain, key } = testAuthority(systemClock.wallTime()).issue({ type: "uri", value: "spiffe://a/b" });
  const material = { certificateChain: chain, privateKey: key, password: "" };
  const secret = { ...certificateSecret("default"), kind: "certificate", material } as const;
  const any = encodeResource("secret", secret);
  stream.respond({ kind: "secret", version: "1", nonce: "1", resources: [{ name: "default", any }] });
  const snapshot = await nextValue(client.snapshots);
  assert.deepEqual(snapshot.secrets.get("default"), secret);
  assert.equal((await stream.next()).error, null);
  assert.deepEqual(client.status().waitingFor, []);
});
