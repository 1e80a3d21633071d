/**
 * Access rules (`envoy.config.rbac.v3`) compiled to functions. Both the network and the HTTP filter evaluate them; what
 * a rule asks of a request is empty where there is none.
 */
import { compileCidr, type Ip, parseIp } from "../../core/ip.ts";
import type { Permission, Principal, RbacNamedPolicy, RbacRules } from "../../model/rbac.ts";
import type { ConnectionInfo, RequestView, StreamInfo } from "../../telemetry/stream-info.ts";
import { compileHeaderMatch, compileStringMatch, type StringTest } from "../router/compile-matcher.ts";
import { remoteHost } from "../router/remote-address.ts";
import { queryStart } from "../router/rewrite.ts";

/** Who calls what: a request on its connection, or the connection alone (`info` is null, the request is empty). */
export interface Call {
  readonly connection: ConnectionInfo;
  readonly request: RequestView;
  readonly info: StreamInfo | null;
}

export type CallTest = (call: Call) => boolean;

export interface CompiledPolicy {
  readonly policy: RbacNamedPolicy;
  readonly permissions: readonly CallTest[];
  readonly principals: readonly CallTest[];
}

export interface CompiledRules {
  readonly action: RbacRules["action"];
  readonly policies: readonly CompiledPolicy[];
}

/** Throws on a regular expression that is not RE2 syntax. */
export function compileRules(rules: RbacRules): CompiledRules {
  return {
    action: rules.action,
    policies: rules.policies.map((policy) => ({
      policy,
      permissions: policy.permissions.map(compilePermission),
      principals: policy.principals.map(compilePrincipal),
    })),
  };
}

/** The first policy that matches a call; null for none. */
export function matchingPolicy(rules: CompiledRules, call: Call): RbacNamedPolicy | null {
  for (const { policy, permissions, principals } of rules.policies) {
    if (anyOf(permissions, call) && anyOf(principals, call)) return policy;
  }
  return null;
}

/** `log` allows everything. */
export function isAllowed(action: RbacRules["action"], matched: RbacNamedPolicy | null): boolean {
  return action === "log" || (matched !== null) === (action === "allow");
}

function anyOf(tests: readonly CallTest[], call: Call): boolean {
  for (const test of tests) if (test(call)) return true;
  return false;
}

function allOf(tests: readonly CallTest[], call: Call): boolean {
  for (const test of tests) if (!test(call)) return false;
  return true;
}

const always: CallTest = () => true;

export function compilePermission(permission: Permission): CallTest {
  switch (permission.kind) {
    case "any":
      return always;
    case "and":
    case "or":
      return compileGroup(permission.kind, permission.rules.map(compilePermission));
    case "not": {
      const test = compilePermission(permission.rule);
      return (call) => !test(call);
    }
    case "header":
      return compileHeader(permission.header);
    case "url_path":
      return compileUrlPath(permission.path);
    case "destination_ip":
      return compileAddress(permission.cidr, ({ connection }) => connection.localAddress);
    case "destination_port":
      return ({ connection }) => connection.localPort === permission.port;
    case "destination_port_range":
      return ({ connection: { localPort } }) => localPort >= permission.start && localPort < permission.end;
    case "requested_server_name": {
      const test = compileStringMatch(permission.match);
      return ({ connection }) => test(connection.tls?.sni ?? "");
    }
  }
}

export function compilePrincipal(principal: Principal): CallTest {
  switch (principal.kind) {
    case "any":
      return always;
    case "and":
    case "or":
      return compileGroup(principal.kind, principal.ids.map(compilePrincipal));
    case "not": {
      const test = compilePrincipal(principal.id);
      return (call) => !test(call);
    }
    case "authenticated":
      return compileAuthenticated(principal.name === null ? null : compileStringMatch(principal.name));
    case "direct_remote_ip":
      return compileAddress(principal.cidr, ({ connection }) => connection.remoteAddress);
    case "remote_ip":
      return compileAddress(principal.cidr, ({ connection, info }) =>
        info === null ? connection.remoteAddress : remoteHost(info),
      );
    case "header":
      return compileHeader(principal.header);
    case "url_path":
      return compileUrlPath(principal.path);
  }
}

function compileGroup(kind: "and" | "or", tests: readonly CallTest[]): CallTest {
  return kind === "and" ? (call) => allOf(tests, call) : (call) => anyOf(tests, call);
}

function compileHeader(header: Parameters<typeof compileHeaderMatch>[0]): CallTest {
  const test = compileHeaderMatch(header);
  return ({ request }) => test(request);
}

/** The path without its query. */
function compileUrlPath(match: Parameters<typeof compileStringMatch>[0]): CallTest {
  const test = compileStringMatch(match);
  return ({ request: { path } }) => test(path.slice(0, queryStart(path)));
}

function compileAddress(cidr: Parameters<typeof compileCidr>[0], address: (call: Call) => string): CallTest {
  const contains = compileCidr(cidr);
  return (call) => {
    const ip: Ip | null = parseIp(address(call));
    return ip !== null && contains(ip);
  };
}

/**
 * The peer's URI SANs, DNS SANs and subject are all tried. As in Envoy a TLS connection without a client certificate
 * has the empty subject, and passes where no name is asked for: whoever wants more requires client certificates.
 */
function compileAuthenticated(name: StringTest | null): CallTest {
  return ({ connection: { tls } }) => {
    if (tls === null) return false;
    if (name === null) return true;
    if (tls.peer === null) return name("");
    return tls.peer.uriSans.some(name) || tls.peer.dnsSans.some(name) || name(tls.peer.subject);
  };
}
