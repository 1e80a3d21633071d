/** Outrigger in the cluster: the two charts, as a user installs them, with the image that is tested. */
import path from "node:path";
import { image } from "./application.ts";
import { attempt, helm, kubectl, type Outcome } from "./commands.ts";

export const SYSTEM = "outrigger-system";
export const RELEASE = "outrigger";
export const CRDS_RELEASE = "outrigger-crds";
export const CONTROL_PLANE = "outrigger-control-plane";
/** Label selector of its pods. */
export const CONTROL_PLANE_PODS = `app.kubernetes.io/instance=${RELEASE},outrigger.dev/revision=default`;
const CHARTS = path.join(import.meta.dirname, "..", "..", "..", "charts");

const WAIT = ["--wait", "--timeout", "3m"];
const LIMIT = { timeoutMs: 200_000 };

/** `--set` flags that name the image. */
export function imageFlags(reference = image()): readonly string[] {
  const [, registry = "", repository = "", tag = "", digest = ""] =
    /^(?:(.*)\/)?([^/:@]+)(?::([^@]+))?(?:@(.+))?$/.exec(reference) ?? [];
  const values = { registry, repository, tag, digest };
  return Object.entries(values).flatMap(([key, value]) => ["--set-string", `image.${key}=${value}`]);
}

/** Installs both charts, or brings what is there to how the test wants it. */
export async function install(...flags: readonly string[]): Promise<void> {
  const namespace = ["--namespace", SYSTEM, "--create-namespace"];
  await helm(["upgrade", "--install", CRDS_RELEASE, path.join(CHARTS, "outrigger-crds"), ...namespace, ...WAIT], LIMIT);
  await upgrade(...flags);
}

/** `helm upgrade` of the control plane, to the chart's values and these. */
export async function upgrade(...flags: readonly string[]): Promise<void> {
  await helm(
    [
      ...["upgrade", "--install", RELEASE, path.join(CHARTS, "outrigger"), "--namespace", SYSTEM, "--reset-values"],
      ...imageFlags(),
      ...flags,
      ...WAIT,
    ],
    LIMIT,
  );
}

/** `helm rollback` to the revision before. */
export async function rollback(): Promise<void> {
  await helm(["rollback", RELEASE, "--namespace", SYSTEM, ...WAIT], LIMIT);
}

/** Takes both charts out, the custom resource definitions included. */
export async function uninstall(): Promise<void> {
  for (const release of [RELEASE, CRDS_RELEASE])
    await helm(["uninstall", release, "--namespace", SYSTEM, "--ignore-not-found", ...WAIT], LIMIT);
}

/** What the API server says of a right of the control plane: `yes` or `no`. */
export async function mayControlPlane(verb: string, resource: string, ...flags: readonly string[]): Promise<boolean> {
  const account = `system:serviceaccount:${SYSTEM}:${CONTROL_PLANE}`;
  const { stdout }: Outcome = await attempt("kubectl", ["auth", "can-i", verb, resource, "--as", account, ...flags]);
  return stdout.trim() === "yes";
}

/** Restarts of containers and unexpected states, of which there should be none: empty. */
export async function restarts(namespace: string): Promise<string> {
  return kubectl([
    ...["--namespace", namespace, "get", "pods", "--output"],
    'jsonpath={range .items[*]}{range .status.containerStatuses[?(@.restartCount>0)]}{.name} {.lastState}{"\\n"}{end}{end}',
  ]);
}
