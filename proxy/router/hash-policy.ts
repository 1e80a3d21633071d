/** What a request is hashed by, so that like requests reach the same host (`RouteAction.hash_policy`). */
import type { HashPolicy } from "../../model/route.ts";
import type { StreamInfo } from "../../telemetry/stream-info.ts";
import { xxHash64 } from "../cluster/load-balancer/xxhash64.ts";
import type { RequestHead } from "../http/message.ts";
import { compilePseudoHeader } from "./compile-matcher.ts";
import { queryValue } from "./query.ts";
import { encodeUtf8 } from "./regex.ts";
import { remoteHost } from "./remote-address.ts";

/** The hash of a request, null where it has nothing to hash by. */
export type RequestHash = (request: RequestHead, info: StreamInfo) => bigint | null;

/** Compiles the policies of a route; null where it has none. */
export function compileHash(policies: readonly HashPolicy[]): RequestHash | null {
  if (policies.length === 0) return null;
  const parts = policies.map((policy) => ({ terminal: policy.terminal, value: compilePolicy(policy) }));
  return (request, info) => {
    let hash: bigint | null = null;
    for (const { value, terminal } of parts) {
      const text = value(request, info);
      if (text !== null) {
        // Rotated first, so that two equal values do not cancel each other out.
        const before: bigint = hash === null ? 0n : BigInt.asUintN(64, (hash << 1n) | (hash >> 63n));
        hash = before ^ xxHash64(text);
      }
      if (terminal && hash !== null) break;
    }
    return hash;
  };
}

type RequestText = (request: RequestHead, info: StreamInfo) => string | null;

function compilePolicy(policy: HashPolicy): RequestText {
  switch (policy.kind) {
    case "header": {
      const pseudo = compilePseudoHeader(policy.name);
      if (pseudo !== null) return pseudo;
      return ({ headers }) => headers.first(policy.name);
    }
    case "query": {
      const name = encodeUtf8(policy.name);
      return ({ path }) => queryValue(path, name);
    }
    case "source_ip":
      return (_, info) => remoteHost(info);
    case "cookie":
      return compileCookie(policy);
  }
}

/** A caller without the cookie is given one where the policy has a lifetime (ms) for it: 0 is a session's. */
function compileCookie({ name, path, ttlMs }: Extract<HashPolicy, { kind: "cookie" }>): RequestText {
  if (ttlMs === null) return ({ headers }) => cookieValue(headers.get("cookie"), name);
  const age = ttlMs === 0 ? "" : `; Max-Age=${Math.floor(ttlMs / 1000)}`;
  const attributes = `${age}${path === "" ? "" : `; Path=${path}`}; HttpOnly`;
  return ({ headers }, info) => {
    const given = cookieValue(headers.get("cookie"), name);
    if (given !== null) return given;
    const value = connectionHash(info);
    info.setCookies ??= [];
    info.setCookies.push(encodeUtf8(`${name}="${value}"${attributes}`));
    return value;
  };
}

/** As in Envoy, the same for all requests of a connection: those that race get the same cookie. */
function connectionHash({ connection }: StreamInfo): string {
  const { remoteAddress, remotePort, localAddress, localPort } = connection;
  return xxHash64(`${remoteAddress}:${remotePort}${localAddress}:${localPort}`).toString(16).padStart(16, "0");
}

/** The value of the first cookie called `name` (RFC 6265, section 4.2.1), quotes taken off; null where there is none. */
export function cookieValue(header: string | null, name: string): string | null {
  if (header === null) return null;
  // Several `cookie` fields are joined with "," by the header map.
  for (const pair of header.split(/[;,]/)) {
    const equals = pair.indexOf("=");
    if (equals < 0 || pair.slice(0, equals).trim() !== name) continue;
    const value = pair.slice(equals + 1).trim();
    return value.length >= 2 && value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value;
  }
  return null;
}
