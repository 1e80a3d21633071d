/** The listeners that intercepted connections come to: one for calls of the application, one for calls to it. */
import type { Address } from "../../model/address.ts";
import type { FilterChain, Listener, ListenerFilter, PortPredicate } from "../../model/listener.ts";
import type { Workload } from "../mesh/workload.ts";
import { asks } from "../reach.ts";
import { ANY_CONNECTION, LISTENER } from "./envoy-defaults.ts";
import { type InboundContext, inboundChains, takesSilence } from "./inbound.ts";
import type { InboundPort } from "./inbound-port.ts";
import { detecting, filterChain, ON_DEMAND_TIMEOUT_MS, watching } from "./listener.ts";
import {
  BLACK_HOLE_CLUSTER,
  INBOUND_PASSTHROUGH_CLUSTER,
  inboundClusterName,
  PASSTHROUGH_CLUSTER,
  VIRTUAL_INBOUND,
  VIRTUAL_OUTBOUND,
} from "./names.ts";
import { tcpProxy } from "./tcp-proxy.ts";
import { refusalLogs } from "./telemetry.ts";

/** Where the application's calls come to: each is handed to the listener of the service that it is for, if there is one. */
export function virtualOutbound({ workload, settings }: InboundContext): Listener {
  const registryOnly = settings.egress === "RegistryOnly";
  const cluster = registryOnly ? BLACK_HOLE_CLUSTER : PASSTHROUGH_CLUSTER;
  const { networkNamespace: namespace = "", ipv6 = false } = workload.interception ?? {};
  const at = (host: string): Address => ({
    kind: "tcp",
    host,
    port: workload.outboundPort,
    ...(namespace !== "" && { networkNamespace: namespace }),
  });
  const rest: FilterChain = {
    ...filterChain([tcpProxy(cluster, { kind: "name", name: cluster }, settings)], null),
    name: registryOnly ? "registry-only" : "passthrough",
  };
  return {
    ...LISTENER,
    name: VIRTUAL_OUTBOUND,
    address: at("127.0.0.1"),
    ...(ipv6 && { additionalAddresses: [at("::1")] }),
    trafficDirection: "outbound",
    useOriginalDst: true,
    filterChains: [],
    defaultFilterChain: rest,
    outrigger: {
      service: null,
      httpProxy: false,
      multiplex: false,
      virtual: { kind: "outbound", registryOnly },
      ...(asks(settings, workload) && { onDemand: { timeoutMs: ON_DEMAND_TIMEOUT_MS, virtualHost: "" } }),
    },
  };
}

/** Where calls to the application's ports come to. `other` stands for all that the mesh knows nothing of. */
export function virtualInbound(ports: readonly InboundPort[], other: InboundPort, context: InboundContext): Listener {
  const { workload, settings } = context;
  const chains = ports.flatMap((port) => {
    const name = inboundClusterName(port.port);
    const at = { ...ANY_CONNECTION, destinationPort: port.port };
    return inboundChains(port, name, at, context).map((chain) => named(chain, name));
  });
  // Not the default chain: that would also take what the chains of a known port refuse.
  const others = inboundChains(other, INBOUND_PASSTHROUGH_CLUSTER, ANY_CONNECTION, context);
  const all = [...chains, ...others.map((chain) => named(chain, `${INBOUND_PASSTHROUGH_CLUSTER}|`))];
  return {
    ...LISTENER,
    name: VIRTUAL_INBOUND,
    address: everywhere(workload),
    trafficDirection: "inbound",
    ...detecting(settings.detection, listenerFilters(ports)),
    filterChains: all,
    accessLogs: refusalLogs(settings),
    ...(workload.interception?.inbound === "tproxy" && { transparent: true }),
    outrigger: {
      service: null,
      httpProxy: false,
      multiplex: true,
      virtual: { kind: "inbound" },
      ...(takesSilence(all) && watching(settings.detection)),
    },
  };
}

/** Of both families where there are both. */
function everywhere({ interception, inboundPort: port }: Workload): Address {
  return interception?.ipv6
    ? { kind: "tcp", host: "::", port, ipv4Compat: true }
    : { kind: "tcp", host: "0.0.0.0", port };
}

function named(chain: FilterChain, prefix: string): FilterChain {
  return { ...chain, name: `${prefix}${chain.name}` };
}

/** Ports whose connections all go one way are not kept waiting for the client's first bytes. */
function listenerFilters(ports: readonly InboundPort[]): readonly ListenerFilter[] {
  const plain = ports.filter(({ mode, http }) => mode === "DISABLE" && http === null).map(({ port }) => port);
  const skipped = disabledFor(plain);
  return [{ kind: "original_dst" }, { kind: "tls_inspector", ...skipped }, { kind: "http_inspector", ...skipped }];
}

function disabledFor(ports: readonly number[]): Pick<ListenerFilter, "disabled"> {
  const predicates = ports.map((port): PortPredicate => ({ kind: "ports", start: port, end: port + 1 }));
  const [first, second] = predicates;
  if (!first) return {};
  return { disabled: second ? { kind: "or", of: predicates } : first };
}
