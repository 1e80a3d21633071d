/** What a sidecar must know of each of its application's ports to take calls for it. */

import type { AccessPolicyManifest } from "../manifest/access-policy.ts";
import { type HttpProtocol, httpOf, mayBeOpaque, type PortProtocol } from "../manifest/port-protocol.ts";
import { isMember, servedAt } from "../mesh/membership.ts";
import { mtlsMode, mtlsPorts } from "../mesh/mtls.ts";
import type { MeshState, MtlsMode } from "../mesh/state.ts";
import { isInterceptedInbound, type Workload } from "../mesh/workload.ts";
import { policiesFor } from "./access.ts";
import { sniName } from "./names.ts";

export interface InboundPort {
  readonly port: number;
  /** null: HTTP is not spoken there. */
  readonly http: HttpProtocol | null;
  /** Whether bytes may come that are not looked into. */
  readonly opaque: boolean;
  readonly mode: MtlsMode;
  /** Which server names callers within the mesh give. */
  readonly serverNames: readonly string[];
  /** Paths of plaintext health probes. */
  readonly probes: readonly string[];
  readonly policies: readonly AccessPolicyManifest[];
}

/** The ports, sorted; the first and only one of a sidecar whose peers are not intercepted is its application's. */
export function inboundPorts(state: MeshState, workload: Workload): readonly InboundPort[] {
  const served = servedPorts(state, workload);
  const definitionOf = (service: string) => state.services.get(service)?.definition;
  const numbers = new Set(served.keys());
  if (isInterceptedInbound(workload)) {
    for (const port of mtlsPorts(state.mtls, definitionOf, workload)) numbers.add(port);
    for (const { port } of workload.probes) numbers.add(port);
  } else numbers.add(workload.appPort);
  return [...numbers]
    .sort((a, b) => a - b)
    .map((port) => {
      const { protocols, serverNames } = served.get(port) ?? { protocols: new Set(), serverNames: [] };
      const mode = mtlsMode(state.mtls, definitionOf, workload, port);
      return {
        port,
        ...spoken(protocols, isInterceptedInbound(workload)),
        mode,
        serverNames,
        probes: workload.probes.filter((p) => p.port === port).map(({ path }) => path),
        policies: policiesFor(state, workload, served.has(port) ? port : null),
      };
    });
}

/** What holds for ports that neither a service leads to nor a policy or probe names. */
export function otherPorts(state: MeshState, workload: Workload): InboundPort {
  const definitionOf = (service: string) => state.services.get(service)?.definition;
  return {
    port: 0,
    http: null,
    opaque: true,
    mode: mtlsMode(state.mtls, definitionOf, workload, null),
    serverNames: [],
    probes: [],
    policies: policiesFor(state, workload, null),
  };
}

interface Served {
  readonly protocols: Set<PortProtocol>;
  readonly serverNames: string[];
}

/** By the application's port: what the services that lead there declare. */
function servedPorts(state: MeshState, workload: Workload): ReadonlyMap<number, Served> {
  const served = new Map<number, Served>();
  for (const { definition } of state.services.values()) {
    if (!isMember(definition, workload)) continue;
    for (const port of definition.ports) {
      const at = servedAt(definition, port, workload);
      if (at === null) continue;
      let entry = served.get(at);
      if (!entry) served.set(at, (entry = { protocols: new Set(), serverNames: [] }));
      entry.protocols.add(port.protocol);
      entry.serverNames.push(sniName(definition, port.port));
    }
  }
  return served;
}

/**
 * What the application speaks on a port: what is declared, `any` version of HTTP where two services do not agree. Of a
 * port that no service leads to nothing is known: it is HTTP where the sidecar stands before it alone.
 */
function spoken(protocols: ReadonlySet<PortProtocol>, intercepted: boolean): Pick<InboundPort, "http" | "opaque"> {
  if (protocols.size === 0) return intercepted ? { http: null, opaque: true } : { http: "any", opaque: false };
  const all = [...protocols];
  const declared = new Set(all.map(httpOf).filter((http) => http !== null && http !== "any"));
  const http = all.every((protocol) => httpOf(protocol) === null) ? null : agreed(declared);
  return { http, opaque: all.some(mayBeOpaque) };
}

function agreed(declared: ReadonlySet<HttpProtocol | null>): HttpProtocol {
  const [first, ...others] = declared;
  if (others.length === 0) return first ?? "any";
  return declared.has("http1") ? "any" : "http2";
}
