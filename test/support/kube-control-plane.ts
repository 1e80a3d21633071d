/** `outrigger control-plane --kubernetes` as the chart starts it, but as a process of this machine. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import type { TestContext } from "node:test";
import type { ControlPlaneStatus } from "../../control-plane/status.ts";
import { reservePorts } from "../envoy/harness/ports.ts";
import { type Helm, type KubeObject, NAMESPACE, render } from "./helm.ts";
import type { KubeApiServer } from "./kube-api-server.ts";
import { type Deployment, only } from "./pod-spec.ts";
import { eventually } from "./running-workers.ts";

const MAIN = path.join(import.meta.dirname, "..", "..", "cli", "main.ts");

export interface Command {
  readonly child: ChildProcess;
  /** What it has written, its end. */
  output(): string;
  /** Resolves when it has ended. */
  end(signal: NodeJS.Signals): Promise<void>;
}

/** Starts `outrigger` with these arguments; it is killed at the test's end. */
export function outrigger(t: TestContext, args: readonly string[], environment: NodeJS.ProcessEnv = {}): Command {
  const env = { ...process.env, ...environment };
  const child = spawn(process.execPath, [MAIN, ...args], { env, stdio: ["ignore", "pipe", "pipe"] });
  const exited = once(child, "exit");
  let text = "";
  const keep = (chunk: Buffer): void => {
    text = (text + chunk.toString()).slice(-6000);
  };
  child.stdout.on("data", keep);
  child.stderr.on("data", keep);
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal);
    await exited;
  };
  t.after(() => end("SIGKILL"));
  return { child, output: () => text, end };
}

export interface RunningControlPlane extends Command {
  readonly xdsPort: number;
  readonly webhookPort: number;
  readonly statusPort: number;
  status(): Promise<ControlPlaneStatus>;
  /** A page of the status port. */
  page(at: string): Promise<string>;
}

export interface ControlPlaneOptions {
  readonly helm: Helm;
  /** What it proves itself with, as a pod does. */
  readonly token: string;
  readonly podName: string;
  /** Instead of a pod's account. */
  readonly kubeconfig?: string;
}

/** Resolves when it says that it is ready. */
export async function startControlPlane(
  t: TestContext,
  server: KubeApiServer,
  { helm, token, podName, kubeconfig }: ControlPlaneOptions,
): Promise<RunningControlPlane> {
  const folder = mkdtempSync(path.join(tmpdir(), "outrigger-control-plane-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const [xds = 0, webhook = 0, status = 0] = await reservePorts(3);
  const objects = render(helm, "outrigger", { host: "127.0.0.1", ports: { xds, webhook, status } });
  const [container] = only<Deployment>(objects, "Deployment").spec.template.spec.containers;
  const settings = injectorSettings(objects);
  const file = (name: string, text: string): string => {
    const written = path.join(folder, name);
    writeFileSync(written, text, { mode: 0o600 });
    return written;
  };
  const state = path.join(folder, "state");
  mkdirSync(state, { mode: 0o700 });
  // What the pod mounts is elsewhere here.
  const places: Readonly<Record<string, string>> = {
    "/var/lib/outrigger": state,
    "/etc/outrigger/injector/settings.yaml": file("settings.yaml", settings),
    "$(POD_NAMESPACE)": NAMESPACE,
  };
  const args = (container?.args ?? []).map((arg) =>
    Object.entries(places).reduce((text, [from, to]) => text.replace(from, to), arg),
  );
  file("ca.crt", server.ca);
  file("token", token);
  const pod = {
    KUBERNETES_SERVICE_HOST: server.url.hostname,
    KUBERNETES_SERVICE_PORT: server.url.port,
    OUTRIGGER_SERVICE_ACCOUNT_DIR: folder,
  };
  const command = outrigger(t, args, {
    ...(kubeconfig === undefined ? pod : { KUBECONFIG: kubeconfig }),
    POD_NAME: podName,
    POD_NAMESPACE: NAMESPACE,
  });
  const page = async (at: string): Promise<string> => (await fetch(`http://127.0.0.1:${status}${at}`)).text();
  await eventually(async () => {
    if (command.child.exitCode !== null) throw new Error(`the control plane has ended: ${command.output()}`);
    const answer = await fetch(`http://127.0.0.1:${status}/ready`).catch(() => null);
    return answer?.status === 200;
  }).catch((error: unknown) => {
    throw new Error(`${String(error)}: ${command.output()}`);
  });
  return {
    ...command,
    xdsPort: xds,
    webhookPort: webhook,
    statusPort: status,
    status: async () => JSON.parse(await page("/status")) as ControlPlaneStatus,
    page,
  };
}

function injectorSettings(objects: readonly KubeObject[]): string {
  const map = objects.find(({ kind, metadata }) => kind === "ConfigMap" && metadata.name.endsWith("-injector"));
  const { "settings.yaml": text } = (map?.["data"] ?? {}) as Readonly<Record<string, string | undefined>>;
  if (text === undefined) throw new Error("the chart has no settings for the injector");
  return text;
}
