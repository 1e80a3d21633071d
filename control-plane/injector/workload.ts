/** What a pod says of the workload that it belongs to: its name, and the ports that its program listens at. */
import { type JsonObject, listOf, objectOf, objectsOf, textOf, textsOf } from "../json.ts";

/** Stands for a port where the pod declares none: peers find pods by Services' target ports, not by this. */
const NO_PORT = 80;

/**
 * The name that metrics, logs and traces give the workload: that of its app, else its owner's without the part that
 * each rollout or run changes, else the pod's own. The pods of one workload have the same.
 */
export function workloadName(pod: JsonObject): string {
  const metadata = objectOf(pod["metadata"]);
  const labels = textsOf(metadata["labels"]);
  const owners = objectsOf(metadata["ownerReferences"]);
  const owner = owners.find(({ controller }) => controller === true) ?? owners[0];
  const candidates = [
    labels["app.kubernetes.io/name"],
    labels["app"],
    labels["k8s-app"],
    owner && ownerName(owner, labels),
    textOf(metadata["name"]),
    textOf(metadata["generateName"]).replace(/-$/, ""),
  ];
  for (const candidate of candidates) {
    const name = dnsLabel(candidate ?? "");
    if (name !== "") return name;
  }
  return "workload";
}

function ownerName(owner: JsonObject, labels: Readonly<Record<string, string>>): string {
  const name = textOf(owner["name"]);
  const kind = textOf(owner["kind"]);
  const hash = labels["pod-template-hash"];
  if (kind === "ReplicaSet" && hash !== undefined && name.endsWith(`-${hash}`)) return name.slice(0, -hash.length - 1);
  // A CronJob names its Jobs by the minute that they were due.
  return kind === "Job" ? name.replace(/-\d{8,}$/, "") : name;
}

/** As a label of a host name (RFC 1123), which is what a sidecar is registered by. */
function dnsLabel(text: string): string {
  return text
    .toLowerCase()
    .replaceAll(/[^a-z0-9-]/g, "-")
    .slice(0, 63)
    .replaceAll(/^-+|-+$/g, "");
}

/** The containers of the pod's program, without those of the injector. */
export function applicationContainers(pod: JsonObject, own: ReadonlySet<string>): readonly JsonObject[] {
  return objectsOf(objectOf(pod["spec"])["containers"]).filter(({ name }) => !own.has(textOf(name)));
}

/** Init containers that go on running beside the program, and may serve ports and have probes, too. */
export function nativeSidecars(pod: JsonObject, own: ReadonlySet<string>): readonly JsonObject[] {
  return objectsOf(objectOf(pod["spec"])["initContainers"]).filter(
    ({ name, restartPolicy }) => restartPolicy === "Always" && !own.has(textOf(name)),
  );
}

/** The first TCP port that a container declares. */
export function firstPort(containers: readonly JsonObject[]): number {
  for (const container of containers) {
    for (const port of objectsOf(container["ports"])) {
      const { containerPort, protocol = "TCP" } = port;
      if (protocol === "TCP" && isPort(containerPort)) return containerPort;
    }
  }
  return NO_PORT;
}

/** The number of a port that a probe gives by number or by the name that the container has for it; null: neither. */
export function portNumber(port: JsonObject[string] | undefined, container: JsonObject): number | null {
  if (isPort(port)) return port;
  if (typeof port !== "string") return null;
  // Kubernetes takes a number as text, too.
  if (/^\d+$/.test(port)) return isPort(Number(port)) ? Number(port) : null;
  const named = objectsOf(container["ports"]).find(({ name }) => name === port);
  return isPort(named?.["containerPort"]) ? named["containerPort"] : null;
}

export function isPort(value: JsonObject[string] | undefined): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 1 && value <= 65_535;
}

/** Whether the container sets an environment variable itself. */
export function setsVariable(container: JsonObject, name: string): boolean {
  return listOf(container["env"]).some((entry) => objectOf(entry)["name"] === name);
}
