/** The areas in the order in which they run. */
import type { Area } from "../harness/case.ts";
import type { TcpArea } from "../harness/tcp/case.ts";
import { balancing } from "./balancing.ts";
import { connections } from "./connections.ts";
import { corsArea } from "./cors.ts";
import { filters } from "./filters.ts";
import { forwarding } from "./forwarding.ts";
import { framing } from "./framing.ts";
import { grpcArea } from "./grpc.ts";
import { http2Bridge } from "./http2-bridge.ts";
import { http2Flow } from "./http2-flow.ts";
import { http2Limits } from "./http2-limits.ts";
import { http2Malformed } from "./http2-malformed.ts";
import { http2Policies } from "./http2-policies.ts";
import { http2Logs, http2Tls } from "./http2-tls.ts";
import { http2Upstream } from "./http2-upstream.ts";
import { identity } from "./identity.ts";
import { logs } from "./logs.ts";
import { malformed } from "./malformed.ts";
import { options } from "./options.ts";
import { paths } from "./paths.ts";
import { pools } from "./pools.ts";
import { replies } from "./replies.ts";
import { retries } from "./retries.ts";
import { rewriting } from "./rewriting.ts";
import { routing } from "./routing.ts";
import { serverNames } from "./server-names.ts";
import { strictness } from "./strictness.ts";
import { tcp } from "./tcp.ts";
import { tcpInterception } from "./tcp-interception.ts";
import { tcpListeners } from "./tcp-listeners.ts";
import { tcpNamespaces } from "./tcp-namespaces.ts";
import { tcpTls } from "./tcp-tls.ts";
import { timeouts } from "./timeouts.ts";
import { tls } from "./tls.ts";
import { upgrades } from "./upgrades.ts";
import { upstreamTls } from "./upstream-tls.ts";
import { upstreams } from "./upstreams.ts";

export const areas: readonly (Area | TcpArea)[] = [
  timeouts,
  retries,
  balancing,
  upstreams,
  pools,
  logs,
  upgrades,
  tls,
  identity,
  upstreamTls,
  corsArea,
  serverNames,
  options,
  malformed,
  strictness,
  framing,
  connections,
  routing,
  rewriting,
  forwarding,
  replies,
  filters,
  paths,
  http2Limits,
  http2Flow,
  grpcArea,
  http2Bridge,
  http2Malformed,
  http2Upstream,
  http2Policies,
  http2Tls,
  http2Logs,
  tcp,
  tcpListeners,
  tcpTls,
  tcpInterception,
  tcpNamespaces,
];
