/**
 * What is asked for and can't be had of connections whose bytes are not looked into, and names of ports that say something
 * else than what is declared.
 */

import { type Manifest, type ManifestOf, positionOf } from "../manifest/parse.ts";
import { APP_PROTOCOLS, httpOf, namedProtocol } from "../manifest/port-protocol.ts";
import type { ResilienceSpec } from "../manifest/resilience-policy.ts";
import { type Finding, type ServiceDefinition, type ServicePort, serviceKey } from "./state.ts";

export function findMeaningless(
  objects: readonly Manifest[],
  definitions: ReadonlyMap<string, ServiceDefinition>,
  findings: Finding[],
): void {
  for (const object of objects) {
    const messages =
      object.kind === "Service"
        ? misnamed(object)
        : object.kind === "ResiliencePolicy"
          ? meaninglessSections(object, definitions)
          : object.kind === "AccessPolicy"
            ? blindRules(object, definitions)
            : [];
    for (const message of messages) findings.push({ key: object.key, source: positionOf(object), message });
  }
}

/** Ports whose name is of one kind and whose `appProtocol` of the other. */
function misnamed({ value: { spec } }: ManifestOf<"Service">): readonly string[] {
  return spec.ports.flatMap(({ name, port, appProtocol }): readonly string[] => {
    const named = namedProtocol(name);
    const declared = appProtocol === null ? undefined : APP_PROTOCOLS[appProtocol];
    if (named === null || declared === undefined || (httpOf(named) === null) === (httpOf(declared) === null)) return [];
    const what = `port ${port} is named "${name}", but its appProtocol is ${appProtocol}`;
    return httpOf(declared) === null
      ? [`${what}: ${named === "grpc" || named === "http2" ? BLIND_STREAMS : BLIND_CALLS}`]
      : [`${what}: what comes is read as HTTP`];
  });
}

const BLIND_CALLS = "its calls are carried as bytes, without routes, retries or metrics of calls";
const BLIND_STREAMS = `${BLIND_CALLS}, and all calls of a connection go to one instance`;

/** Sections of a policy that mean nothing to a Service all of whose ports carry bytes. */
function meaninglessSections(
  { value: { metadata, spec } }: ManifestOf<"ResiliencePolicy">,
  definitions: ReadonlyMap<string, ServiceDefinition>,
): readonly string[] {
  const fields = ofCalls(spec);
  if (fields.length === 0) return [];
  return spec.targetRefs.flatMap(({ kind, name }): readonly string[] => {
    const definition = kind === "Service" ? definitions.get(serviceKey(metadata.namespace, name)) : undefined;
    if (!definition?.ports.every(carriesBytes)) return [];
    const ports = definition.ports.map(({ port, protocol }) => `${port} (${protocol})`).join(", ");
    return [
      `${fields.join(", ")}: no meaning for Service ${definition.namespace}/${name}, whose connections are carried as bytes: port ${ports}`,
    ];
  });
}

/** The fields that speak of single calls. */
function ofCalls({ timeouts, retry, limits }: ResilienceSpec): readonly string[] {
  const given: Readonly<Record<string, boolean>> = {
    "timeouts.request": timeouts?.request != null,
    "timeouts.perTry": timeouts?.perTry != null,
    "retry.on": retry?.on.some((condition) => condition !== "connect-failure" && !UNSEEN.includes(condition)) ?? false,
    "retry.budget": retry?.budget != null,
    "limits.requests": limits?.requests != null,
  };
  return Object.keys(given).filter((field) => given[field]);
}

/** Conditions that are there by default. */
const UNSEEN: readonly string[] = ["refused-stream", "reset-before-request"];

/** Rules that speak of methods and paths, where a Service has ports without any. */
function blindRules(
  { value: { metadata, spec } }: ManifestOf<"AccessPolicy">,
  definitions: ReadonlyMap<string, ServiceDefinition>,
): readonly string[] {
  const rules = spec.rules.flatMap(({ name, to }, index) => (to.length === 0 ? [] : [name === "" ? index : name]));
  if (rules.length === 0) return [];
  const named = new Set(spec.targetRefs.map(({ name }) => name));
  const consequence = spec.action === "Allow" ? "there it allows nobody" : "there it denies whoever it is for";
  return [...definitions.values()]
    .filter(({ namespace, name }) => namespace === metadata.namespace && (named.size === 0 || named.has(name)))
    .flatMap(({ namespace, name, ports }) =>
      ports
        .filter(carriesBytes)
        .map(
          ({ port, protocol }) =>
            `rule ${rules.join(", ")} speaks of methods or paths, and port ${port} of Service ${namespace}/${name} carries bytes (${protocol}): ${consequence}`,
        ),
    );
}

function carriesBytes({ protocol }: ServicePort): boolean {
  return httpOf(protocol) === null;
}
