/**
 * What a pod asks of its sidecar: annotations under `sidecar.outrigger.dev/`, with the names that mesh users know, and
 * those of Istio and Linkerd that mean the very same thing. Of several that set one thing the own one holds, then
 * Istio's. A namespace's own annotations are defaults for its pods.
 */
import {
  type Check,
  image,
  interfaces,
  names,
  oneOf,
  portRanges,
  ports,
  quantity,
  ranges,
  seconds,
  somePorts,
  someRanges,
  whole,
} from "./annotation-values.ts";
import { INTERCEPTION_MODES, LOG_LEVELS } from "./settings.ts";

export const PREFIX = "sidecar.outrigger.dev/";
const ISTIO = "sidecar.istio.io/";
const ISTIO_TRAFFIC = "traffic.sidecar.istio.io/";
const LINKERD = "config.linkerd.io/";

interface Alias {
  readonly name: string;
  /** Where its values are written in another way than ours. */
  readonly check?: Check;
}

interface Setting {
  readonly check: Check;
  readonly aliases: readonly Alias[];
}

const traffic = (name: string): Alias => ({ name: `${ISTIO_TRAFFIC}${name}` });
const istio = (name: string): Alias => ({ name: `${ISTIO}${name}` });
const linkerd = (name: string, check?: Check): Alias => ({ name: `${LINKERD}${name}`, ...(check && { check }) });
const setting = (check: Check, ...aliases: readonly Alias[]): Setting => ({ check, aliases });

/** All of them; the names are ours, without the prefix. */
export const SETTINGS = {
  interception: setting(oneOf(INTERCEPTION_MODES), istio("interceptionMode")),
  includeInboundPorts: setting(somePorts, traffic("includeInboundPorts")),
  excludeInboundPorts: setting(ports, traffic("excludeInboundPorts"), linkerd("skip-inbound-ports", portRanges)),
  includeInboundIPRanges: setting(someRanges),
  excludeInboundIPRanges: setting(ranges),
  includeOutboundPorts: setting(ports, traffic("includeOutboundPorts")),
  excludeOutboundPorts: setting(ports, traffic("excludeOutboundPorts"), linkerd("skip-outbound-ports", portRanges)),
  includeOutboundIPRanges: setting(someRanges, traffic("includeOutboundIPRanges")),
  excludeOutboundIPRanges: setting(ranges, traffic("excludeOutboundIPRanges")),
  excludeInterfaces: setting(interfaces, traffic("excludeInterfaces")),
  proxyCPU: setting(quantity, istio("proxyCPU"), linkerd("proxy-cpu-request")),
  proxyCPULimit: setting(quantity, istio("proxyCPULimit"), linkerd("proxy-cpu-limit")),
  proxyMemory: setting(quantity, istio("proxyMemory"), linkerd("proxy-memory-request")),
  proxyMemoryLimit: setting(quantity, istio("proxyMemoryLimit"), linkerd("proxy-memory-limit")),
  concurrency: setting(whole(0, 256)),
  logLevel: setting(oneOf(LOG_LEVELS), istio("logLevel")),
  drainTime: setting(seconds),
  proxyImage: setting(image),
  excludeProbes: setting(names),
  startAfter: setting(names),
  noProxy: setting(names),
  port: setting(whole(1, 65_535)),
} as const satisfies Readonly<Record<string, Setting>>;

export type SettingName = keyof typeof SETTINGS;

/** Written by the injector. */
export const STATUS = `${PREFIX}status`;
/** Whether at all: label or annotation (wanted.ts). */
export const INJECT = `${PREFIX}inject`;

/** What decides on other meshes' injection, and says nothing about a sidecar. */
const NOT_SETTINGS = [STATUS, INJECT, `${ISTIO}inject`, `${ISTIO}status`];

export interface ReadAnnotations {
  readonly values: Readonly<Partial<Record<SettingName, string>>>;
  /** The pod asks for something that cannot be. */
  readonly problems: readonly string[];
  /** Asked for in vain. */
  readonly warnings: readonly string[];
}

export type Texts = Readonly<Record<string, string>>;

/** Reads the annotations of a pod over those of its namespace; all problems at once. */
export function readAnnotations(pod: Texts, namespace: Texts): ReadAnnotations {
  const values: Partial<Record<SettingName, string>> = {};
  const problems: string[] = [];
  const known = new Set(NOT_SETTINGS);
  for (const [name, { check, aliases }] of Object.entries(SETTINGS) as [SettingName, Setting][]) {
    const sources: readonly Alias[] = [{ name: `${PREFIX}${name}` }, ...aliases];
    for (const source of sources) known.add(source.name);
    for (const annotations of [pod, namespace]) {
      const source = sources.find((one) => annotations[one.name] !== undefined);
      if (source === undefined) continue;
      const text = annotations[source.name] ?? "";
      const checked = (source.check ?? check)(text.trim());
      if (checked.ok) values[name] = checked.value;
      else problems.push(`annotation ${source.name}: ${JSON.stringify(text)}: ${checked.why}`);
      break;
    }
  }
  const own = Object.keys(pod).filter((name) => name.startsWith(PREFIX) && !known.has(name));
  for (const name of own) problems.push(`annotation ${name} is not known`);
  const unread = Object.keys(pod).filter((name) => isOtherMesh(name) && !known.has(name));
  const warnings = unread.length > 0 ? [`not read, because Outrigger has nothing like it: ${unread.join(", ")}`] : [];
  return { values, problems, warnings };
}

function isOtherMesh(name: string): boolean {
  return [ISTIO, ISTIO_TRAFFIC, "proxy.istio.io/", LINKERD].some((prefix) => name.startsWith(prefix));
}
