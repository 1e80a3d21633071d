/**
 * The parts that a pod gets. Every field that the API server would fill in is written out, so that a pod which comes
 * back from it is recognised as it was left.
 */
import type { JsonObject, JsonValue } from "../json.ts";
import {
  IDENTITY_DIR,
  IDENTITY_VOLUME,
  INIT_CONTAINER,
  LABELS_FILE,
  METRICS_PORT,
  PROXY_ID,
  ROOTS_FILE,
  SIDECAR_CONTAINER,
  STATE_DIR,
  STATE_VOLUME,
  TOKEN_FILE,
} from "./names.ts";
import type { PodSettings } from "./pod-settings.ts";
import { type ProbePlan, sidecarProbe } from "./probes.ts";
import type { InjectorSettings, Resources } from "./settings.ts";

/** What the sidecar is told of the pod beyond what the kubelet tells it. */
export interface SidecarWorkload {
  readonly name: string;
  readonly port: number;
  readonly probes: ProbePlan;
}

const TERMINATION = { terminationMessagePath: "/dev/termination-log", terminationMessagePolicy: "File" };

/** Makes the rules, and ends. The only part of the pod that needs rights, and it listens to nobody. */
export function initContainer(settings: InjectorSettings, pod: PodSettings): JsonObject {
  // A proxy that keeps its callers' addresses runs as root: there its group tells its connections from others'.
  const own = pod.interception === "tproxy" ? "--proxy-gid" : "--proxy-uid";
  return {
    name: INIT_CONTAINER,
    image: settings.initImage ?? pod.image,
    args: ["init", own, String(PROXY_ID), "--inbound-mode", pod.interception, ...pod.initArgs],
    // The place of iptables' lock file where the root file system cannot be written to.
    env: [{ name: "XTABLES_LOCKFILE", value: "/dev/shm/xtables.lock" }],
    resources: resourcesOf(pod.resources),
    ...TERMINATION,
    imagePullPolicy: settings.imagePullPolicy,
    securityContext: {
      capabilities: { add: ["NET_ADMIN", "NET_RAW"], drop: ["ALL"] },
      privileged: false,
      runAsUser: 0,
      runAsGroup: 0,
      runAsNonRoot: false,
      readOnlyRootFilesystem: true,
      allowPrivilegeEscalation: false,
      seccompProfile: { type: "RuntimeDefault" },
    },
  };
}

/** The sidecar, as a native one: later containers wait for its startup probe, and it ends after the last of them. */
export function sidecarContainer(settings: InjectorSettings, pod: PodSettings, workload: SidecarWorkload): JsonObject {
  return {
    name: SIDECAR_CONTAINER,
    image: pod.image,
    args: sidecarArgs(settings, pod, workload),
    ports: [{ name: "outrigger-prom", containerPort: METRICS_PORT, protocol: "TCP" }],
    env: [
      field("POD_NAME", "metadata.name"),
      field("POD_NAMESPACE", "metadata.namespace"),
      field("POD_SERVICE_ACCOUNT", "spec.serviceAccountName"),
      field("POD_IPS", "status.podIPs"),
    ],
    resources: resourcesOf(pod.resources),
    restartPolicy: "Always",
    volumeMounts: [
      { name: IDENTITY_VOLUME, readOnly: true, mountPath: IDENTITY_DIR },
      { name: STATE_VOLUME, mountPath: STATE_DIR },
    ],
    readinessProbe: sidecarProbe(5, 3),
    // Ten minutes without configuration or certificate, and it begins anew.
    startupProbe: sidecarProbe(1, 600),
    ...TERMINATION,
    imagePullPolicy: settings.imagePullPolicy,
    securityContext: sidecarSecurity(pod),
  };
}

function sidecarSecurity({ interception }: PodSettings): JsonObject {
  // Rights of a container reach no user but root: sockets that take any address need NET_ADMIN.
  const tproxy = interception === "tproxy";
  return {
    capabilities: { ...(tproxy ? { add: ["NET_ADMIN"] } : {}), drop: ["ALL"] },
    privileged: false,
    runAsUser: tproxy ? 0 : PROXY_ID,
    runAsGroup: PROXY_ID,
    runAsNonRoot: !tproxy,
    readOnlyRootFilesystem: true,
    allowPrivilegeEscalation: false,
    seccompProfile: { type: "RuntimeDefault" },
  };
}

function sidecarArgs(settings: InjectorSettings, pod: PodSettings, { name, port, probes }: SidecarWorkload): string[] {
  const args: readonly (readonly [string, string])[] = [
    ["--control-plane", settings.controlPlane],
    ["--trust-domain", settings.trustDomain],
    ["--service", name],
    ["--port", String(port)],
    ["--pod", "$(POD_NAME)"],
    ["--namespace", "$(POD_NAMESPACE)"],
    ["--service-account", "$(POD_SERVICE_ACCOUNT)"],
    ["--address", "$(POD_IPS)"],
    ["--labels-file", LABELS_FILE],
    ["--token-file", TOKEN_FILE],
    ["--roots-file", ROOTS_FILE],
    ["--state", STATE_DIR],
    ["--interception", pod.interception],
    ["--concurrency", String(pod.concurrency)],
    ["--drain-time-s", String(pod.drainTimeS)],
    ["--log-level", pod.logLevel],
    ...probes.passing.map((probe) => ["--probe", literal(probe)] as const),
    ...probes.asked.map((check) => ["--app-health", literal(check)] as const),
  ];
  return ["sidecar", ...args.flat()];
}

/** Kubernetes replaces `$(NAME)` in arguments; `$$` is a `$`. */
function literal(text: string): string {
  return text.replaceAll("$", "$$$$");
}

/** Volumes of the pod. They are the sidecar's alone: no container of the program mounts them. */
export function volumes(settings: InjectorSettings): readonly JsonObject[] {
  const { tokenAudience, tokenLifetimeS, rootsConfigMap, rootsKey } = settings;
  const sources: readonly JsonObject[] = [
    { serviceAccountToken: { audience: tokenAudience, expirationSeconds: tokenLifetimeS, path: base(TOKEN_FILE) } },
    { configMap: { name: rootsConfigMap, items: [{ key: rootsKey, path: base(ROOTS_FILE) }] } },
    {
      downwardAPI: {
        items: [{ path: base(LABELS_FILE), fieldRef: { apiVersion: "v1", fieldPath: "metadata.labels" } }],
      },
    },
  ];
  return [
    { name: IDENTITY_VOLUME, projected: { sources, defaultMode: 0o644 } },
    { name: STATE_VOLUME, emptyDir: { medium: "Memory", sizeLimit: "64Mi" } },
  ];
}

function base(file: string): string {
  return file.slice(file.lastIndexOf("/") + 1);
}

function field(name: string, fieldPath: string): JsonObject {
  return { name, valueFrom: { fieldRef: { apiVersion: "v1", fieldPath } } };
}

function resourcesOf({ cpuRequest, cpuLimit, memoryRequest, memoryLimit }: Resources): JsonObject {
  const limits = quantities(cpuLimit, memoryLimit);
  const requests = quantities(cpuRequest, memoryRequest);
  return { ...(limits && { limits }), ...(requests && { requests }) };
}

function quantities(cpu: string | null, memory: string | null): JsonObject | null {
  const all: Record<string, JsonValue> = {};
  if (cpu !== null) all["cpu"] = cpu;
  if (memory !== null) all["memory"] = memory;
  return cpu === null && memory === null ? null : all;
}
