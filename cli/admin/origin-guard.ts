/**
 * Keeps web pages away from the admin interface. A page in a browser on the same machine can send requests to loopback
 * addresses, and by rebinding a name to one it can even read the answers.
 */
import type { IncomingMessage } from "node:http";
import { isIP } from "node:net";

/** The host of a `Host` header, without port and brackets. */
function hostOf(header: string): string {
  const match = /^(?:\[([^\]]+)\]|([^:]*))(?::\d+)?$/.exec(header);
  return (match?.[1] ?? match?.[2] ?? "").toLowerCase();
}

/** Addresses and `localhost` cannot be rebound; a name can. */
function isUnbindable(host: string): boolean {
  return host === "localhost" || host.endsWith(".localhost") || isIP(host) !== 0;
}

/** Why a request is refused, null where it is not. `anyName`: names are fine as long as nothing is changed. */
export function refuseForeign(request: IncomingMessage, mutates: boolean, anyName: boolean): string | null {
  const host = hostOf(request.headers.host ?? "");
  // A pipe's clients name no host that could mean anything.
  const local = request.socket.remoteAddress === undefined || isUnbindable(host);
  if (!local && (mutates || !anyName)) return `host ${JSON.stringify(host)} is a name: use an address or localhost`;
  if (!mutates) return null;
  const { origin } = request.headers;
  const site = request.headers["sec-fetch-site"];
  if (site === "cross-site" || site === "same-site") return "the request comes from another site";
  if (origin !== undefined && URL.parse(origin)?.host !== request.headers.host)
    return "the request comes from another origin";
  return null;
}
