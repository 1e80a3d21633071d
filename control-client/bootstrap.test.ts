import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { UserError } from "../core/errors.ts";
import { type BootstrapInput, loadBootstrap } from "./bootstrap.ts";

const directory = mkdtempSync(path.join(tmpdir(), "outrigger-bootstrap-"));
after(() => rmSync(directory, { recursive: true, force: true }));

const decode = { readFile: () => new Uint8Array(), environment: {} };
let files = 0;

function write(text: string): string {
  const file = path.join(directory, `${files++}.yaml`);
  writeFileSync(file, text);
  return file;
}

function load(text: string, rest: Partial<BootstrapInput> = {}) {
  return loadBootstrap({ file: write(text), decode, ...rest }).bootstrap;
}

/** The error's lines, without the directory. */
function problems(run: () => unknown): string[] {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof UserError, String(error));
    return error.message.replaceAll(`${directory}/`, "").split("\n");
  }
  assert.fail("expected a UserError");
}

const CLUSTER = `
static_resources:
  clusters:
  - name: a
    type: STATIC
    load_assignment:
      cluster_name: a
      endpoints:
      - lb_endpoints:
        - endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: 81 } } }
`;

const DYNAMIC = `${CLUSTER}
dynamic_resources:
  ads_config: { api_type: GRPC, transport_api_version: V3, grpc_services: [{ envoy_grpc: { cluster_name: a } }] }
  cds_config: { ads: {}, resource_api_version: V3 }
`;

test("reads YAML and JSON", () => {
  assert.deepEqual([...load(CLUSTER).static.clusters.keys()], ["a"]);
  assert.deepEqual(load('{"node": {"id": "x", "cluster": "y"}}').node.id, "x");
});

test("the revision is the text's, so that the same file has the same one", () => {
  const { revision } = load(CLUSTER).static;
  assert.match(revision, /^[0-9a-f]{12}$/);
  assert.equal(load(CLUSTER).static.revision, revision);
  assert.notEqual(load(`${CLUSTER}# changed`).static.revision, revision);
  assert.notEqual(load(CLUSTER, { configYaml: "{}" }).static.revision, revision);
});

test("the command line wins over the node in the file", () => {
  const text = "node: { id: a, cluster: b, locality: { region: r, zone: z } }";
  const { node } = load(text, { serviceNode: "x", serviceCluster: "y", serviceZone: "w" });
  assert.deepEqual([node.id, node.cluster, node.locality], ["x", "y", { region: "r", zone: "w", subZone: "" }]);
  assert.equal(load(text, { serviceNode: "" }).node.id, "a");
});

test("--config-yaml alone is enough, and merges over a file", () => {
  const alone = loadBootstrap({ configYaml: "node: { id: a }", decode }).bootstrap;
  assert.equal(alone.node.id, "a");
  const merged = load(`${CLUSTER}\nnode: { id: a, cluster: b }`, {
    configYaml: `
node: { id: c }
static_resources: { clusters: [{ name: z, type: STATIC, load_assignment: { cluster_name: z } }] }
admin: { address: { socket_address: { address: 127.0.0.1, port_value: 9901 } } }`,
  });
  assert.deepEqual([merged.node.id, merged.node.cluster], ["c", "b"]);
  assert.deepEqual([...merged.static.clusters.keys()], ["a", "z"]);
  assert.deepEqual(merged.admin?.address, { kind: "tcp", host: "127.0.0.1", port: 9901 });
});

test("an error has file, line, column, resource and path", () => {
  const text = CLUSTER.replace("type: STATIC", "type: STATIC\n    lb_policy: MAGIC");
  const [problem, ...rest] = problems(() => load(text));
  assert.match(
    problem ?? "",
    /^\d+\.yaml:6:5: cluster "a": static_resources\.clusters\[0\]\.lb_policy: expected one of /,
  );
  assert.deepEqual(rest, []);
});

test("an error in what is merged over a file is found where it stands", () => {
  const override = "static_resources:\n  clusters:\n  - { name: z, type: STATIC, lb_policy: MAGIC }\n";
  const [problem] = problems(() => load(CLUSTER, { configYaml: override }));
  assert.match(problem ?? "", /^--config-yaml:3:30: cluster "z": static_resources\.clusters\[1\]\.lb_policy: /);
  const bad = CLUSTER.replace("type: STATIC", "type: STATIK");
  const [other] = problems(() => load(bad, { configYaml: "node: { id: x }" }));
  assert.match(other ?? "", /^\d+\.yaml:5:5: cluster "a": static_resources\.clusters\[0\]\.type: /);
});

test("all problems are named at once", () => {
  const text = CLUSTER.replace("type: STATIC", "type: STATIK\n    lb_policy: MAGIC").replace("81", "810000");
  assert.equal(problems(() => load(text)).length >= 2, true);
});

test("bad syntax is one error with its position", () => {
  assert.match(problems(() => load("a: [1\nb: 2")).join(), /^\d+\.yaml:2:1: /);
  assert.match(problems(() => load(CLUSTER, { configYaml: "a: {" })).join(), /^--config-yaml:1:/);
});

test("a file that is not there, and no configuration at all, are said plainly", () => {
  const missing = path.join(directory, "none.yaml");
  assert.deepEqual(
    problems(() => loadBootstrap({ file: missing, decode })),
    ["none.yaml: there is no such file"],
  );
  assert.deepEqual(
    problems(() => loadBootstrap({ decode })),
    ["a configuration is needed: -c FILE or --config-yaml YAML"],
  );
});

test("dynamic resources need a node and a way to the control plane", () => {
  assert.deepEqual(
    problems(() => load(DYNAMIC)).map((line) => line.replace(/^\d+\.yaml:\d+:\d+: /, "")),
    [
      "node.id: a control plane needs it: set it here or with --service-node",
      "node.cluster: a control plane needs it: set it here or with --service-cluster",
    ],
  );
  const node = { serviceNode: "n", serviceCluster: "c" };
  assert.deepEqual(load(DYNAMIC, node).dynamic?.ads?.clusters, ["a"]);
  const [problem] = problems(() => load(DYNAMIC.replace("cluster_name: a }", "cluster_name: b }"), node));
  assert.match(problem ?? "", /:13:\d+: dynamic_resources\.ads_config\.grpc_services\[0\]: there is no cluster "b"$/);
});
