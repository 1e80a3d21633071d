/** Pods that cannot have a sidecar, and why: such a pod is let be as it is, and its owner is told. */
import { type JsonObject, objectOf, objectsOf, textOf, textsOf } from "../json.ts";
import { OWN_CONTAINERS, OWN_VOLUMES } from "./names.ts";
import type { InterceptionMode } from "./settings.ts";

export interface Refusal {
  /** For an event's `reason`. */
  readonly reason: string;
  /** What is the matter, and what to do. */
  readonly message: string;
}

/** Containers of other meshes, which intercept the same connections. */
const OTHER_SIDECARS: Readonly<Record<string, string>> = {
  "istio-proxy": "Istio",
  "linkerd-proxy": "Linkerd",
  "kuma-sidecar": "Kuma",
  "consul-dataplane": "Consul",
};

/** What forbids a sidecar of any kind; null: nothing does. */
export function podRefusal(pod: JsonObject, injectedBefore: boolean): Refusal | null {
  const spec = objectOf(pod["spec"]);
  if (spec["hostNetwork"] === true) {
    return {
      reason: "HostNetwork",
      message:
        "the pod uses its node's network (hostNetwork: true): rules there would lead the connections of the whole " +
        "node to its sidecar. It stays outside of the mesh: switch injection off for it " +
        '(label sidecar.outrigger.dev/inject: "false"), or give it a network of its own',
    };
  }
  if (isWindows(spec)) {
    return { reason: "Windows", message: "the pod is for Windows nodes: the sidecar and its rules are Linux's" };
  }
  const annotations = textsOf(objectOf(pod["metadata"])["annotations"]);
  if (annotations["kubernetes.io/config.mirror"] !== undefined) {
    return { reason: "StaticPod", message: "a static pod is its node's: what the API has of it is only a mirror" };
  }
  const containers = [...objectsOf(spec["initContainers"]), ...objectsOf(spec["containers"])];
  for (const { name } of containers) {
    const mesh = OTHER_SIDECARS[textOf(name)];
    if (mesh === undefined) continue;
    return {
      reason: "OtherMesh",
      message: `the container ${textOf(name)} is ${mesh}'s sidecar: two cannot intercept the same connections`,
    };
  }
  if (injectedBefore) return null;
  const taken = [
    ...containers.filter(({ name }) => OWN_CONTAINERS.has(textOf(name))),
    ...objectsOf(spec["volumes"]).filter(({ name }) => OWN_VOLUMES.has(textOf(name))),
  ].map(({ name }) => textOf(name));
  if (taken.length === 0) return null;
  return {
    reason: "NameTaken",
    message: `the pod has parts of its own that are named like the injector's: ${taken.join(", ")}`,
  };
}

/** What forbids the rules of interception; null: nothing does, as far as the namespace says. */
export function interceptionRefusal(mode: InterceptionMode, namespace: JsonObject | null): Refusal | null {
  if (mode === "none") return null;
  const metadata = objectOf(namespace?.["metadata"]);
  const level = textsOf(metadata["labels"])["pod-security.kubernetes.io/enforce"];
  if (level !== "baseline" && level !== "restricted") return null;
  return {
    reason: "PodSecurity",
    message:
      `namespace ${textOf(metadata["name"])} enforces Pod Security "${level}", which forbids the capabilities NET_ADMIN ` +
      "and NET_RAW that the init container needs to make its rules. Without rights: annotation " +
      "sidecar.outrigger.dev/interception: none (loopback mode; the program calls the sidecar as its HTTP proxy)",
  };
}

function isWindows(spec: JsonObject): boolean {
  if (objectOf(spec["os"])["name"] === "windows") return true;
  const selector = textsOf(spec["nodeSelector"]);
  return [selector["kubernetes.io/os"], selector["beta.kubernetes.io/os"]].includes("windows");
}
