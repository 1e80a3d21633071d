/** The TLS server that a request is for, where the cluster takes its name from each request (`auto_sni`). */
import { isIP } from "node:net";
import type { HeaderMap } from "../../core/header-map.ts";
import type { Cluster, RequestSni } from "../../model/cluster.ts";
import type { RequestHead } from "../http/message.ts";
import type { TlsServerName } from "./connector.ts";
import type { EndpointPool } from "./pool.ts";

/** Leaves room in a frame for what is added to a head on its way out. */
const MAX_TEXT_HEAD = 12_288;

/** The cluster's rule for names; undefined where connections are for any host, as all are in plaintext. */
export function serverNameRule({ http, tls, tlsMatches }: Cluster): RequestSni | undefined {
  return tls === null && tlsMatches.length === 0 ? undefined : http.requestSni;
}

/** The endpoint's connections that may carry a request: of its caller's version, and opened for its host, where that counts. */
export function poolForRequest(
  pool: EndpointPool,
  cluster: Cluster,
  request: RequestHead,
  upgrading: boolean,
): EndpointPool {
  const chosen = poolForServer(pool, cluster, request);
  if (cluster.outrigger === null || request.protocol === "HTTP/2") return chosen;
  // A tunnel has a connection to itself. So has a head that might not fit into one frame: a sidecar that takes no such
  // heads refuses a request, where it would have to end a connection with all that it carries.
  return upgrading || request.path.length + request.headers.textLength > MAX_TEXT_HEAD ? chosen : chosen.forLoad();
}

function poolForServer(pool: EndpointPool, cluster: Cluster, request: RequestHead): EndpointPool {
  const versioned = cluster.http.protocol === "use_downstream" ? pool.forVersion(request.protocol === "HTTP/2") : pool;
  const rule = serverNameRule(cluster);
  if (rule === undefined) return versioned;
  const name = requestServerName(rule, request.authority, request.headers);
  return versioned.forServer(name, tlsServerName(rule, name));
}

/** The name that the request gives: its host without a port, or what the configured header says instead. */
export function requestServerName(rule: RequestSni, authority: string, headers: HeaderMap): string {
  const named = rule.header === "" || rule.header.startsWith(":") ? null : headers.get(rule.header);
  return hostOf(named || authority);
}

/** What TLS makes of the name. An address is no SNI (RFC 6066, section 3), but a certificate may name it. */
export function tlsServerName(rule: RequestSni, name: string): TlsServerName {
  return { sni: rule.sni && isIP(name) === 0 ? name : null, san: rule.verifySan ? name : null };
}

function hostOf(authority: string): string {
  if (authority.startsWith("[")) {
    const end = authority.indexOf("]");
    return end < 0 ? authority : authority.slice(1, end);
  }
  const colon = authority.lastIndexOf(":");
  // A second colon: an IPv6 address without brackets.
  if (colon < 0 || authority.indexOf(":") !== colon) return authority;
  return authority.slice(0, colon);
}
