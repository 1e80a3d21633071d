/** Charts as Helm renders them, with the Helm that `test/charts/tools` names the version of. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import path from "node:path";
import type { TestContext } from "node:test";
import { parseAllDocuments } from "yaml";
import { goTool } from "../../scripts/go-tools.ts";
import { skip } from "./tools.ts";

export const CHARTS = path.join(import.meta.dirname, "..", "..", "charts");
export const NAMESPACE = "outrigger-system";

/** The cluster that is rendered for: what is the same wherever the tests run. */
const KUBE_VERSION = "1.36.0";

export interface KubeObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly [field: string]: unknown;
}

export interface HelmRun {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs Helm; `input` is what it can read as the file `-`. */
export type Helm = (args: readonly string[], input?: string) => HelmRun;

/** Helm; null where it is not built, for which the test is skipped. */
export function requireHelm(t: TestContext): Helm | null {
  const program = goTool("helm");
  if (program === null) {
    skip(t, "Helm is not built: node scripts/go-tools.ts does it");
    return null;
  }
  return (args, input = "") => spawnSync(program, args, { input, encoding: "utf8", maxBuffer: 1 << 26 });
}

/** What an installation of the chart would create, given a values file's content, or a file. */
export function render(helm: Helm, chart: string, values: object | string = {}): readonly KubeObject[] {
  const { status, stdout, stderr } = renderRun(helm, path.join(CHARTS, chart), values);
  assert.equal(status, 0, stderr);
  return parseAllDocuments(stdout, { version: "1.1" }).flatMap((document) => {
    assert.deepEqual(document.errors, [], stdout);
    const object = document.toJS() as KubeObject | null;
    return object === null ? [] : [object];
  });
}

/** The same for a chart in any folder, with what Helm says. */
export function renderRun(helm: Helm, folder: string, values: object | string = {}): HelmRun {
  const [file, input] = typeof values === "string" ? [values, ""] : ["-", JSON.stringify(values)];
  const flags = ["--namespace", NAMESPACE, "--kube-version", KUBE_VERSION, "--values", file];
  return helm(["template", "outrigger", folder, ...flags], input);
}
