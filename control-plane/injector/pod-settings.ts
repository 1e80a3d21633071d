/** One pod's settings: the injector's, with what the pod's and the namespace's annotations change. */
import { itemsOf } from "./annotation-values.ts";
import type { ReadAnnotations, SettingName } from "./annotations.ts";
import { quantityValue } from "./quantity.ts";
import type { InjectorSettings, InterceptionMode, LogLevel, Resources } from "./settings.ts";

/** Flags of `outrigger init`, by the annotation that sets them. */
const INIT_FLAGS: Readonly<Partial<Record<SettingName, string>>> = {
  includeInboundPorts: "--include-inbound-ports",
  excludeInboundPorts: "--exclude-inbound-ports",
  includeInboundIPRanges: "--include-inbound-ip-ranges",
  excludeInboundIPRanges: "--exclude-inbound-ip-ranges",
  includeOutboundIPRanges: "--include-outbound-ip-ranges",
  excludeOutboundIPRanges: "--exclude-outbound-ip-ranges",
  includeOutboundPorts: "--include-outbound-ports",
  excludeOutboundPorts: "--exclude-outbound-ports",
  excludeInterfaces: "--exclude-interfaces",
};

export interface PodSettings {
  readonly interception: InterceptionMode;
  readonly image: string;
  readonly resources: Resources;
  /** 0: as many threads as the CPU limit allows. */
  readonly concurrency: number;
  readonly logLevel: LogLevel;
  readonly drainTimeS: number;
  /** Arguments of `outrigger init` that are not its defaults. */
  readonly initArgs: readonly string[];
  /** Hosts that programs call directly although they are told of an HTTP proxy. */
  readonly noProxy: readonly string[];
  readonly excludedProbes: string;
  /** Init containers that run before the sidecar. */
  readonly startAfter: readonly string[];
  /** The port that stands for the workload; null: the first that it declares. */
  readonly port: number | null;
  /** Connections that come for these ports are led to the sidecar; null: those for any. */
  readonly includedPorts: readonly number[] | null;
  /** Those for these are not. */
  readonly excludedPorts: readonly number[];
}

export function podSettings(settings: InjectorSettings, { values }: ReadAnnotations): PodSettings {
  const defaults = settings.resources;
  const [cpuRequest, cpuLimit] = fitted(values.proxyCPU, values.proxyCPULimit, defaults.cpuRequest, defaults.cpuLimit);
  const [memoryRequest, memoryLimit] = fitted(
    values.proxyMemory,
    values.proxyMemoryLimit,
    defaults.memoryRequest,
    defaults.memoryLimit,
  );
  const resources: Resources = { cpuRequest, cpuLimit, memoryRequest, memoryLimit };
  const concurrency = resources.cpuLimit === null ? settings.concurrency : 0;
  const interception = (values.interception as InterceptionMode | undefined) ?? settings.interception;
  return {
    interception,
    image: values.proxyImage ?? settings.image,
    resources,
    concurrency: values.concurrency === undefined ? concurrency : Number(values.concurrency),
    logLevel: (values.logLevel as LogLevel | undefined) ?? settings.logLevel,
    drainTimeS: values.drainTime === undefined ? settings.drainTimeS : Number(values.drainTime),
    initArgs: (Object.entries(INIT_FLAGS) as [SettingName, string][]).flatMap(([name, flag]) => {
      const value = values[name];
      return value === undefined ? [] : [flag, value];
    }),
    noProxy: itemsOf(values.noProxy ?? ""),
    excludedProbes: values.excludeProbes ?? "",
    startAfter: itemsOf(values.startAfter ?? ""),
    port: values.port === undefined ? null : Number(values.port),
    includedPorts: (values.includeInboundPorts ?? "*") === "*" ? null : portsOf(values.includeInboundPorts),
    excludedPorts: portsOf(values.excludeInboundPorts),
  };
}

function portsOf(text = ""): readonly number[] {
  return itemsOf(text).map(Number);
}

/** Whether connections that come for a port are led to the sidecar. */
export function isIntercepted({ interception, includedPorts, excludedPorts }: PodSettings, port: number): boolean {
  return interception !== "none" && (includedPorts?.includes(port) ?? true) && !excludedPorts.includes(port);
}

/** Request and limit; a default yields where the other one was asked for and the two would contradict each other. */
function fitted(
  request: string | undefined,
  limit: string | undefined,
  defaultRequest: string | null,
  defaultLimit: string | null,
): readonly [string | null, string | null] {
  const wanted = request ?? defaultRequest;
  const most = limit ?? defaultLimit;
  if (wanted === null || most === null || quantityValue(wanted) <= quantityValue(most)) return [wanted, most];
  return request === undefined ? [most, most] : limit === undefined ? [wanted, wanted] : [wanted, most];
}
