/** What tests ask of a cluster: objects as JSON, namespaces that end with the test, commands in containers. */
import type { TestContext } from "node:test";
import { findTool } from "../../support/tools.ts";
import { attempt, kubectl, type Outcome } from "./commands.ts";

export interface KubeObject {
  readonly apiVersion?: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly uid?: string;
    readonly deletionTimestamp?: string;
  };
}

/** Beginning of the name of every namespace that tests make. */
export const PREFIX = "outrigger-test-";

/** Why no cluster can be used, or null. Named in the test's skip. */
export function whyNoCluster(): string | null {
  if ((process.env["KUBECONFIG"] ?? "") === "") return "KUBECONFIG names no cluster";
  if ((process.env["OUTRIGGER_IMAGE"] ?? "") === "") return "npm run test:cluster runs it: OUTRIGGER_IMAGE is not set";
  for (const tool of ["kubectl", "helm"]) if (findTool(tool) === null) return `${tool} is not on the PATH`;
  return null;
}

/** Whether there is a cluster to test in; else the test is skipped, with the reason. */
export function requireCluster(t: TestContext): boolean {
  const reason = whyNoCluster();
  if (reason !== null) t.skip(reason);
  return reason === null;
}

/** Creates or changes objects. */
export async function apply(...objects: readonly object[]): Promise<void> {
  const list = { apiVersion: "v1", kind: "List", items: objects };
  await kubectl(["apply", "--server-side", "--force-conflicts", "--filename", "-"], { input: JSON.stringify(list) });
}

/** The same, with what kubectl says: warnings of the injector, refusals of the API server. */
export function tryApply(...objects: readonly object[]): Promise<Outcome> {
  const list = { apiVersion: "v1", kind: "List", items: objects };
  return attempt("kubectl", ["apply", "--server-side", "--filename", "-"], { input: JSON.stringify(list) });
}

export async function get<T extends KubeObject>(namespace: string, kind: string, name: string): Promise<T> {
  return JSON.parse(await kubectl(["--namespace", namespace, "get", kind, name, "--output", "json"])) as T;
}

/** Objects of a kind; `selector` is a label selector. */
export async function list<T extends KubeObject>(
  namespace: string | null,
  kind: string,
  selector = "",
): Promise<readonly T[]> {
  const scope = namespace === null ? ["--all-namespaces"] : ["--namespace", namespace];
  const output = await kubectl([...scope, "get", kind, "--selector", selector, "--output", "json"]);
  return (JSON.parse(output) as { items: readonly T[] }).items;
}

/** A namespace of its own, which is deleted with all that is in it when the test ends. */
export async function namespace(
  t: TestContext,
  name: string,
  labels: Readonly<Record<string, string>> = { "outrigger.dev/inject": "enabled" },
): Promise<string> {
  const full = `${PREFIX}${name}`;
  await deleteNamespace(full);
  await apply({ apiVersion: "v1", kind: "Namespace", metadata: { name: full, labels } });
  t.after(() => deleteNamespace(full));
  return full;
}

export async function deleteNamespace(name: string): Promise<void> {
  await kubectl(["delete", "namespace", name, "--ignore-not-found", "--timeout=120s"], { timeoutMs: 150_000 });
}

/** Runs a command in a container; never rejects for its exit code. */
export function exec(
  namespace: string,
  pod: string,
  container: string,
  command: readonly string[],
  timeoutMs = 60_000,
): Promise<Outcome> {
  const place = ["--namespace", namespace, "exec", pod, "--container", container, "--", ...command];
  return attempt("kubectl", place, { timeoutMs });
}

/** Waits until a Deployment has what it asks for. */
export async function rolledOut(namespace: string, name: string): Promise<void> {
  await kubectl(["--namespace", namespace, "rollout", "status", `deployment/${name}`, "--timeout=180s"]);
}
