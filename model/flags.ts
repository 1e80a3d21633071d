/**
 * Envoy's response flags (https://www.envoyproxy.io docs, access log, %RESPONSE_FLAGS%) as a bit set: one number per
 * request.
 */

export const Flag = {
  /** No healthy upstream hosts in the cluster. */
  UH: 1 << 0,
  /** Upstream connection failure. */
  UF: 1 << 1,
  /** Upstream overflow (circuit breaking). */
  UO: 1 << 2,
  /** No route configured. */
  NR: 1 << 3,
  /** Upstream retry limit exceeded. */
  URX: 1 << 4,
  /** No cluster found. */
  NC: 1 << 5,
  /** Downstream connection termination. */
  DC: 1 << 6,
  /** Upstream request timeout. */
  UT: 1 << 7,
  /** Upstream connection termination. */
  UC: 1 << 8,
  /** Upstream remote reset. */
  UR: 1 << 9,
  /** Local reset. */
  LR: 1 << 10,
  /** Delay injected. */
  DI: 1 << 11,
  /** Fault injected. */
  FI: 1 << 12,
  /** Rate limited. */
  RL: 1 << 13,
  /** Unauthorized by an external service. Access rules (RBAC) raise no flag: their details tell. */
  UAEX: 1 << 14,
  /** Stream idle timeout. */
  SI: 1 << 15,
  /** Downstream protocol error. */
  DPE: 1 << 16,
  /** Upstream protocol error. */
  UPE: 1 << 17,
  /** Max stream duration reached. */
  UMSDR: 1 << 18,
  /** Overload manager terminated. */
  OM: 1 << 19,
  /** Invalid request headers (strict checks of Envoy's own headers). */
  IH: 1 << 20,
  /** Duration timeout of the connection (`DT`). */
  DT: 1 << 21,
  /** The caller reset the request's stream. */
  DR: 1 << 22,
} as const;

export type FlagName = keyof typeof Flag;

/**
 * Envoy's long names. Envoy prints several flags in the order in which they were raised; this is the order in which
 * that happens on a request's way (the retry limit is noted before the failure that it lets through).
 */
const LONG: Readonly<Record<FlagName, string>> = {
  DPE: "DownstreamProtocolError",
  IH: "InvalidEnvoyRequestHeaders",
  OM: "OverloadManagerTerminated",
  DI: "DelayInjected",
  FI: "FaultInjected",
  RL: "RateLimited",
  UAEX: "UnauthorizedExternalService",
  NR: "NoRouteFound",
  NC: "NoClusterFound",
  URX: "UpstreamRetryLimitExceeded",
  UH: "NoHealthyUpstream",
  UO: "UpstreamOverflow",
  UF: "UpstreamConnectionFailure",
  UT: "UpstreamRequestTimeout",
  UC: "UpstreamConnectionTermination",
  UR: "UpstreamRemoteReset",
  UPE: "UpstreamProtocolError",
  LR: "LocalReset",
  UMSDR: "UpstreamMaxStreamDurationReached",
  SI: "StreamIdleTimeout",
  DT: "DurationTimeout",
  DC: "DownstreamConnectionTermination",
  DR: "DownstreamRemoteReset",
};

const ORDER = Object.entries(LONG) as [FlagName, string][];
/** On a connection's way the limit of attempts is noticed after the failure of the last one. */
const CONNECTION_ORDER = [...ORDER.filter(([name]) => name !== "URX"), ...ORDER.filter(([name]) => name === "URX")];

const shortNames = new Map<number, string>();
const longNames = new Map<number, string>();
const connectionShortNames = new Map<number, string>();
const connectionLongNames = new Map<number, string>();

const shortName = ([name]: [FlagName, string]): string => name;
const longName = ([, long]: [FlagName, string]): string => long;

/** `URX,UF`, or `-` for none: what `%RESPONSE_FLAGS%` prints of a request. */
export function formatFlags(flags: number): string {
  return join(flags, shortNames, ORDER, shortName);
}

/** `UpstreamRetryLimitExceeded,UpstreamConnectionFailure`, or `-`: what `%RESPONSE_FLAGS_LONG%` prints of a request. */
export function formatFlagsLong(flags: number): string {
  return join(flags, longNames, ORDER, longName);
}

/** `UF,URX`, or `-`: the same of an opaque connection. */
export function formatConnectionFlags(flags: number): string {
  return join(flags, connectionShortNames, CONNECTION_ORDER, shortName);
}

/** `UpstreamConnectionFailure,UpstreamRetryLimitExceeded`, or `-`: the same of an opaque connection. */
export function formatConnectionFlagsLong(flags: number): string {
  return join(flags, connectionLongNames, CONNECTION_ORDER, longName);
}

function join(
  flags: number,
  cache: Map<number, string>,
  order: readonly [FlagName, string][],
  nameOf: (entry: [FlagName, string]) => string,
): string {
  if (flags === 0) return "-";
  let text = cache.get(flags);
  if (text === undefined) {
    text = order
      .filter(([name]) => (flags & Flag[name]) !== 0)
      .map(nameOf)
      .join(",");
    cache.set(flags, text);
  }
  return text;
}
