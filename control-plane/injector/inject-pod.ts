/**
 * Gives a pod its sidecar: a pure function of the pod, its namespace and the settings. It keeps every field that it does
 * not know, and what it has injected once comes back unchanged from a second call.
 *
 * The order of init containers: `outrigger-init` makes the rules, then the sidecar, as a native one (`restartPolicy:
 * Always`), starts, and all other init containers wait for its startup probe, so that they have the network by way of
 * the mesh as the program itself. Init containers that must run before, with the pod's plain network, are named by the
 * annotation `startAfter`.
 */
import { createHash } from "node:crypto";
import { type JsonObject, type JsonValue, listOf, objectOf, objectsOf, textOf, textsOf } from "../json.ts";
import { PREFIX, readAnnotations, STATUS } from "./annotations.ts";
import { initContainer, sidecarContainer, volumes } from "./containers.ts";
import { HTTP_PROXY_URL, OWN_CONTAINERS, OWN_VOLUMES, SIDECAR_LABEL } from "./names.ts";
import { isIntercepted, type PodSettings, podSettings } from "./pod-settings.ts";
import { ProbePlanner } from "./probes.ts";
import { interceptionRefusal, podRefusal, type Refusal } from "./refusals.ts";
import type { InjectorSettings } from "./settings.ts";
import { podWarnings } from "./warnings.ts";
import { applicationContainers, firstPort, nativeSidecars, setsVariable, workloadName } from "./workload.ts";

export type Injection =
  /** Equal to the pod that was given where it had all of it. */
  | { readonly kind: "injected"; readonly pod: JsonObject; readonly warnings: readonly string[] }
  /** It has the sidecar of an injector with other settings (`outrigger inject`, another version), which stays. */
  | { readonly kind: "kept"; readonly because: string }
  /** It cannot have one, and is let be. */
  | ({ readonly kind: "refused" } & Refusal)
  /** It asks for something that cannot be. */
  | { readonly kind: "invalid"; readonly problems: readonly string[] };

/** `namespace`: the Namespace object, or null where it is unknown. Whether a sidecar is wanted was asked before. */
export function injectPod(pod: JsonObject, namespace: JsonObject | null, settings: InjectorSettings): Injection {
  const annotations = textsOf(objectOf(pod["metadata"])["annotations"]);
  const status = annotations[STATUS];
  const injector = digest(settings);
  if (status !== undefined && injectorOf(status) !== injector) {
    return { kind: "kept", because: "the pod has the sidecar of an injector with other settings" };
  }
  const refusal = podRefusal(pod, status !== undefined);
  if (refusal !== null) return { kind: "refused", ...refusal };
  const read = readAnnotations(annotations, textsOf(objectOf(namespace?.["metadata"])["annotations"]));
  const own = podSettings(settings, read);
  const bare = withoutOwnParts(pod);
  const problems = [...read.problems, ...unknownInitContainers(bare, own.startAfter)];
  if (problems.length > 0) return { kind: "invalid", problems };
  const forbidden = interceptionRefusal(own.interception, namespace);
  if (forbidden !== null) return { kind: "refused", ...forbidden };

  const { changed, warnings, port } = withOwnParts(bare, settings, own);
  return {
    kind: "injected",
    pod: { ...changed, metadata: metadataOf(objectOf(changed["metadata"]), { injector, ...forPeers(own, port) }) },
    warnings: [...read.warnings, ...warnings],
  };
}

function withOwnParts(pod: JsonObject, settings: InjectorSettings, own: PodSettings) {
  const spec = objectOf(pod["spec"]);
  const planner = new ProbePlanner({ intercepted: (port) => isIntercepted(own, port), excluded: own.excludedProbes });
  const running = new Set([...applicationContainers(pod, OWN_CONTAINERS), ...nativeSidecars(pod, OWN_CONTAINERS)]);
  const adapt = (value: JsonValue): JsonValue => {
    const container = objectOf(value);
    const probed = running.has(container) ? planner.container(container) : container;
    return own.interception === "none" ? withHttpProxy(probed, own.noProxy) : probed;
  };
  const containers = listOf(spec["containers"]).map(adapt);
  const initContainers = listOf(spec["initContainers"]);
  const first = 1 + initContainers.findLastIndex((one) => own.startAfter.includes(textOf(objectOf(one)["name"])));
  const later = initContainers.slice(first).map(adapt);
  const port = own.port ?? firstPort([...running]);
  const sidecar = sidecarContainer(settings, own, { name: workloadName(pod), port, probes: planner.plan });
  const rules = own.interception === "none" ? [] : [initContainer(settings, own)];
  const changed: JsonObject = {
    ...pod,
    spec: {
      ...spec,
      volumes: [...listOf(spec["volumes"]), ...volumes(settings)],
      initContainers: [...initContainers.slice(0, first), ...rules, sidecar, ...later],
      containers,
    },
  };
  const all = [...objectsOf(spec["initContainers"]), ...objectsOf(spec["containers"])];
  return { changed, warnings: [...planner.plan.warnings, ...podWarnings(pod, all, own)], port };
}

/** The pod as it was, but for probes and variables: those that were changed are recognised as they are. */
function withoutOwnParts(pod: JsonObject): JsonObject {
  const spec = objectOf(pod["spec"]);
  const without = (list: JsonValue | undefined, names: ReadonlySet<string>): JsonValue[] =>
    listOf(list).filter((item) => !names.has(textOf(objectOf(item)["name"])));
  return {
    ...pod,
    spec: {
      ...spec,
      initContainers: without(spec["initContainers"], OWN_CONTAINERS),
      volumes: without(spec["volumes"], OWN_VOLUMES),
    },
  };
}

function unknownInitContainers(pod: JsonObject, names: readonly string[]): readonly string[] {
  const known = new Set(objectsOf(objectOf(pod["spec"])["initContainers"]).map(({ name }) => textOf(name)));
  return names
    .filter((name) => !known.has(name))
    .map((name) => `annotation ${PREFIX}startAfter: there is no init container "${name}"`);
}

/** For programs that ask for a proxy. Where the container says something of proxies itself, that holds. */
function withHttpProxy(container: JsonObject, noProxy: readonly string[]): JsonObject {
  if (["http_proxy", "HTTP_PROXY", "no_proxy", "NO_PROXY"].some((name) => setsVariable(container, name))) {
    return container;
  }
  const direct = ["localhost", "127.0.0.1", "::1", ...noProxy].join(",");
  const env = [
    { name: "http_proxy", value: HTTP_PROXY_URL },
    { name: "HTTP_PROXY", value: HTTP_PROXY_URL },
    { name: "no_proxy", value: direct },
    { name: "NO_PROXY", value: direct },
  ];
  return { ...container, env: [...listOf(container["env"]), ...env] };
}

/** What callers have to know: where no rules lead their calls to the sidecar, and where that stands then. */
function forPeers({ interception, includedPorts, excludedPorts }: PodSettings, appPort: number | null): JsonObject {
  if (interception === "none") return { interception, appPort };
  return {
    ...(includedPorts === null ? {} : { includeInboundPorts: includedPorts }),
    ...(excludedPorts.length === 0 ? {} : { excludeInboundPorts: excludedPorts }),
  };
}

function metadataOf(metadata: JsonObject, status: JsonObject): JsonObject {
  return {
    ...metadata,
    labels: { ...objectOf(metadata["labels"]), [SIDECAR_LABEL]: "injected" },
    annotations: { ...objectOf(metadata["annotations"]), [STATUS]: JSON.stringify(status) },
  };
}

/** Tells the settings of one injector from another's. */
function digest(settings: InjectorSettings): string {
  return createHash("sha256").update(JSON.stringify(settings)).digest("hex").slice(0, 16);
}

function injectorOf(status: string): string | null {
  try {
    const { injector } = JSON.parse(status) as { injector?: unknown };
    return typeof injector === "string" ? injector : null;
  } catch {
    return null;
  }
}
