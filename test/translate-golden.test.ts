/**
 * Translation by example: `test/golden/translate/NAME.in.yaml` (workloads, the node, then manifests) gives
 * `NAME.out.yaml`. `npm test -- --update test/translate-golden.test.ts` rewrites the outputs.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { parse, stringify } from "yaml";
import { mergeManifests, NO_MANIFESTS } from "../control-plane/manifest/merge.ts";
import { parseManifests } from "../control-plane/manifest/parse.ts";
import { buildState } from "../control-plane/mesh/build.ts";
import type { Registration } from "../control-plane/mesh/workload.ts";
import { parseWorkload } from "../control-plane/registry/metadata.ts";
import { type NodeResources, translate } from "../control-plane/translate/translate.ts";
import { formatProblem } from "../core/errors.ts";
import type { JsonValue } from "../model/bootstrap.ts";
import { envoyBinary } from "../scripts/envoy-binary.ts";
import type { DecodeOptions } from "../xds/place.ts";
import { decodeResource, encodeResource, type ResourceKind, TYPE_URLS } from "../xds/resources.ts";
import { compact } from "./support/compact.ts";
import { skip } from "./support/tools.ts";
import { translatedBootstrap } from "./support/translated-bootstrap.ts";

const DIRECTORY = path.join(import.meta.dirname, "golden", "translate");
const UPDATE = process.env["UPDATE"] === "1";

const DECODING: DecodeOptions = {
  readFile: () => assert.fail("no resource of ours names a file"),
  environment: {},
};

interface Header {
  readonly node: string;
  /** Node metadata by node id, with `serving` and `servicePort` beside it where they differ from the usual. */
  /** Only resources of these kinds and names, where a case is about some of them. */
  readonly show?: { readonly [K in keyof NodeResources]?: readonly string[] };
  readonly workloads: Readonly<Record<string, { readonly [key: string]: JsonValue }>>;
}

function load(file: string) {
  const text = readFileSync(file, "utf8");
  const [head = "", ...rest] = text.split(/^---$/m);
  const header = parse(head) as Header;
  const registrations = Object.entries(header.workloads).map(([id, given]): Registration => {
    const { serving = true, servicePort = null, ...metadata } = given;
    const parsed = parseWorkload(id, { OUTRIGGER: metadata });
    assert.ok(parsed.ok, JSON.stringify(parsed));
    return {
      workload: parsed.workload,
      servicePort: typeof servicePort === "number" ? servicePort : parsed.workload.appPort,
      serving: serving !== false,
    };
  });
  // Blank lines in place of the header keep line numbers true.
  const manifests = `${"\n".repeat(head.split("\n").length - 1)}---${rest.join("---")}`;
  const name = path.basename(file);
  const merged = mergeManifests([{ file: name, documents: parseManifests(name, manifests) }], NO_MANIFESTS);
  const state = buildState({ trustDomain: "cluster.local", objects: merged.objects, registrations });
  const node = registrations.find(({ workload }) => workload.id === header.node)?.workload;
  assert.ok(node, "the node is one of the workloads");
  return { show: header.show, merged, state, resources: translate(state, node) };
}

function shown(resources: NodeResources, show: Header["show"]): Partial<Record<string, readonly unknown[]>> {
  if (!show) return { ...resources };
  return Object.fromEntries(
    (Object.keys(show) as (keyof NodeResources)[]).map((kind) => {
      const all: readonly { readonly name: string }[] = resources[kind];
      return [kind, show[kind]?.map((name) => all.find((resource) => resource.name === name) ?? `no ${name}`)];
    }),
  );
}

for (const file of globSync(path.join(DIRECTORY, "*.in.yaml")).sort()) {
  const name = path.basename(file, ".in.yaml");
  test(`translation: ${name}`, () => {
    const { show, merged, state, resources } = load(file);
    const rejected = merged.rejections.flatMap(({ problems }) => problems.map(formatProblem));
    const findings = state.findings.map(({ key, source, message }) => `${source}: ${key}: ${message}`);
    const value = {
      ...(rejected.length > 0 && { rejected }),
      ...(findings.length > 0 && { findings }),
      ...shown(resources, show),
    };
    const actual = stringify(compact(value), { lineWidth: 120, aliasDuplicateObjects: false });
    const golden = path.join(DIRECTORY, `${name}.out.yaml`);
    if (UPDATE) writeFileSync(golden, actual);
    assert.equal(actual, readFileSync(golden, "utf8"));
  });

  test(`what translation of ${name} gives loads in Envoy`, (t) => {
    const envoy = envoyBinary();
    if (envoy === null) return void skip(t, "there is no Envoy on this machine");
    const folder = mkdtempSync(path.join(tmpdir(), "outrigger-translated-"));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    const bootstrap = path.join(folder, "bootstrap.pb");
    writeFileSync(bootstrap, translatedBootstrap(load(file).resources));
    const { status, stderr } = spawnSync(envoy, ["--mode", "validate", "-c", bootstrap, "-l", "error"], {
      encoding: "utf8",
    });
    assert.equal(status, 0, stderr);
  });

  test(`what translation of ${name} gives is understood by the sidecar as it was meant`, () => {
    const { resources } = load(file);
    const all: [ResourceKind, { readonly name: string }][] = [
      ...resources.listeners.map((value): [ResourceKind, typeof value] => ["listener", value]),
      ...resources.routes.map((value): [ResourceKind, typeof value] => ["route", value]),
      ...resources.clusters.map((value): [ResourceKind, typeof value] => ["cluster", value]),
      ...resources.endpoints.map((value): [ResourceKind, typeof value] => ["endpoint", value]),
    ];
    for (const [kind, value] of all) {
      const any = encodeResource(kind, value as never);
      const decoded = decodeResource(TYPE_URLS[kind], any, DECODING);
      assert.ok(decoded.ok, `${kind} ${value.name}: ${JSON.stringify(decoded)}`);
      assert.deepEqual(decoded.value.value, value, `${kind} ${value.name}`);
      assert.deepEqual(decoded.notes, [], `${kind} ${value.name}`);
    }
  });
}
