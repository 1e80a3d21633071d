/**
 * What Envoy's connection manager does to every request before it is routed, and to every response: stages compiled
 * from its configuration. Stages that it does not ask for do not exist.
 */
import type { Clock } from "../../core/clock.ts";
import { Flag } from "../../model/flags.ts";
import type { HttpConnectionManager } from "../../model/http.ts";
import type { StreamInfo } from "../../telemetry/stream-info.ts";
import type { RequestHead, ResponseHead } from "../http/message.ts";
import { compileClientCert } from "./client-cert.ts";
import { compileForwarded } from "./forwarded.ts";
import { EDGE_HEADERS, Group, INTERNAL_HEADERS, REQUEST_GROUPS, RESPONSE_GROUPS } from "./header-groups.ts";
import { stripRequest, stripResponse } from "./hop-by-hop.ts";
import { compileInternal, type InternalTest } from "./internal-request.ts";
import { compilePathNormalizer, type PathNormalizer } from "./normalize-path.ts";
import { isValidReferer } from "./referer.ts";
import { compileRequestId } from "./request-id.ts";
import type { RequestStage, ResponseStage } from "./request-stage.ts";
import { addServiceTime, compileResponseStages } from "./response-stages.ts";
import { compileRequestVia } from "./via.ts";
import { portStart } from "./virtual-hosts.ts";

export interface ConnectionManagerDeps {
  readonly clock: Clock;
  /** Makes a request id. */
  readonly newRequestId: () => string;
  /** What stands in `x-forwarded-for` for callers on loopback. */
  readonly localAddress: string;
}

/** A request that is answered instead of being routed. */
export interface Refusal {
  readonly status: number;
  readonly body: string;
  /** Envoy's %RESPONSE_CODE_DETAILS%. */
  readonly details: string;
  /** Bits of model/flags.ts. */
  readonly flags: number;
  /** Value of `location`; null for none. */
  readonly location: string | null;
  /** True if the connection is to be closed after the answer, whatever closes it otherwise. */
  readonly closes: boolean;
}

const BAD_CONNECTION: Refusal = {
  status: 400,
  body: "Bad Request",
  details: "http1.connection_header_rejected",
  flags: Flag.DPE,
  location: null,
  closes: true,
};
const HTTPS_IN_PLAINTEXT: Refusal = {
  ...BAD_CONNECTION,
  status: 403,
  body: "Forbidden",
  details: "http1.https_url_on_plaintext_connection",
};
const BAD_PATH: Refusal = {
  status: 400,
  body: "",
  details: "path_normalization_failed",
  flags: 0,
  location: null,
  closes: false,
};
const NOT_ABSOLUTE: Refusal = { ...BAD_PATH, status: 404, details: "absolute_path_rejected" };
const QUERY_OF_NOTHING: Refusal = { ...BAD_PATH, details: "query_missing_content_type" };
const NO_HOST: Refusal = { ...BAD_PATH, details: "missing_host_header" };

export class ConnectionManagerStages {
  readonly #normalizePath: PathNormalizer | null;
  readonly #stripPort: "none" | "any" | "matching";
  readonly #edge: boolean;
  readonly #firstHop: boolean;
  readonly #requestStages: readonly RequestStage[];
  /** null: no request is internal. */
  readonly #isInternal: InternalTest | null;
  /** What internal requests go through instead. */
  readonly #internalStages: readonly RequestStage[];
  readonly #scheme: "http" | "https" | null;
  readonly #stripDot: boolean;
  readonly #responseStages: readonly ResponseStage[];
  readonly #serviceTime: Clock | null;

  constructor(config: HttpConnectionManager, deps: ConnectionManagerDeps) {
    this.#normalizePath = compilePathNormalizer(config);
    this.#stripPort = config.stripAnyHostPort ? "any" : config.stripMatchingHostPort ? "matching" : "none";
    this.#edge = config.useRemoteAddress;
    this.#firstHop = config.useRemoteAddress && config.xffNumTrustedHops === 0;
    this.#scheme = config.schemeOverwrite ?? null;
    this.#stripDot = config.stripTrailingHostDot ?? false;
    this.#requestStages = compileRequestStages(config, deps, false);
    this.#isInternal = compileInternal(config);
    this.#internalStages = this.#isInternal === null ? [] : compileRequestStages(config, deps, true);
    this.#responseStages = compileResponseStages(config, deps.clock);
    const suppressed = config.filters.some((filter) => filter.kind === "router" && filter.suppressEnvoyHeaders);
    this.#serviceTime = suppressed ? null : deps.clock;
  }

  /**
   * Brings a request into the form in which it is routed: path, authority, and the headers that proxies add and take
   * off. `upgrade`: the lower-case protocol that the request asks to upgrade to, "" for none. Returns what to answer
   * instead of routing it; null to go on.
   */
  mutateRequest(request: RequestHead, info: StreamInfo, upgrade = ""): Refusal | null {
    // Only an absolute target can say https here. The first proxy knows better; behind another it may have ended TLS.
    if (this.#firstHop && request.scheme === "https" && info.connection.tls === null) return HTTPS_IN_PLAINTEXT;
    const { headers } = request;
    const seen = headers.groups(REQUEST_GROUPS);
    // Envoy takes no cleartext upgrade to HTTP/2 (RFC 9113, section 3.1): the request goes on without it.
    const upgrades = upgrade !== "" && upgrade !== "h2c";
    if ((seen & (Group.connection | Group.hop)) !== 0) {
      const verdict = stripRequest(headers, seen, upgrades);
      if (verdict !== "ok") return verdict === "no host" ? NO_HOST : BAD_CONNECTION;
    }
    const refusal = this.#settlePath(request, info);
    if (refusal !== null) return refusal;
    // What a QUERY asks is in its body, whose type must be known.
    if (request.method === "QUERY" && !headers.has("content-type")) return QUERY_OF_NOTHING;
    if (this.#stripDot) request.authority = withoutTrailingDot(request.authority);
    if (this.#stripPort !== "none") this.#settleAuthority(request, info);
    if ((seen & Group.referer) !== 0 && !isValidReferer(headers.get("referer"))) headers.remove("referer");
    if (this.#isInternal?.(request, info)) {
      headers.set("x-envoy-internal", "true");
      for (const stage of this.#internalStages) stage(request, info, seen);
    } else {
      if ((seen & Group.internal) !== 0) for (const name of INTERNAL_HEADERS) headers.remove(name);
      if (this.#edge && (seen & Group.edge) !== 0) for (const name of EDGE_HEADERS) headers.remove(name);
      for (const stage of this.#requestStages) stage(request, info, seen);
    }
    if (this.#scheme !== null) {
      request.scheme = this.#scheme;
      headers.set("x-forwarded-proto", this.#scheme);
    }
    return null;
  }

  /**
   * What Envoy's router adds to an upstream's response, before the route's own mutations: the time that the upstream
   * took.
   */
  mutateUpstreamResponse(head: ResponseHead, info: StreamInfo): void {
    if (this.#serviceTime !== null) addServiceTime(head.headers, info, this.#serviceTime.now());
  }

  /** What the connection manager does to a response, after the route's own mutations. */
  mutateResponse(head: ResponseHead, info: StreamInfo, request: RequestHead): void {
    const seen = head.headers.groups(RESPONSE_GROUPS);
    stripResponse(head.headers, seen, head.status);
    for (const stage of this.#responseStages) stage(head, info, request, seen);
  }

  /** The same for an answer of the proxy's own. */
  mutateLocalResponse(head: ResponseHead, info: StreamInfo, request: RequestHead): void {
    this.mutateResponse(head, info, request);
  }

  #settlePath(request: RequestHead, info: StreamInfo): Refusal | null {
    const { path } = request;
    if (request.method === "CONNECT") return null;
    if (path.charCodeAt(0) !== 0x2f) return NOT_ABSOLUTE;
    // A fragment is the client's own business (RFC 9110, section 7.1): one on the wire hides the path from matchers.
    if (path.includes("#")) return BAD_PATH;
    if (this.#normalizePath === null) return null;
    const verdict = this.#normalizePath(path);
    request.path = verdict.path;
    info.originalPath = verdict.path;
    if (verdict.kind === "ok") return null;
    return verdict.kind === "reject" ? BAD_PATH : { ...BAD_PATH, status: 307, location: verdict.path };
  }

  #settleAuthority(request: RequestHead, info: StreamInfo): void {
    const { authority } = request;
    const colon = portStart(authority);
    if (colon < 0) return;
    const port = authority.slice(colon + 1);
    if (!/^\d+$/.test(port)) return;
    if (this.#stripPort === "matching" && Number(port) !== info.connection.localPort) return;
    request.authority = authority.slice(0, colon);
  }
}

/** In Envoy's order: later stages see what earlier ones wrote. `internal`: for requests that are. */
function compileRequestStages(
  config: HttpConnectionManager,
  deps: ConnectionManagerDeps,
  internal: boolean,
): readonly RequestStage[] {
  return [
    compileForwarded(config, deps.localAddress, internal),
    compileRequestVia(config.via),
    // An id from within the mesh is kept.
    compileRequestId(internal ? { ...config, preserveExternalRequestId: true } : config, deps.newRequestId),
    compileClientCert(config.forwardClientCert),
  ].filter((stage) => stage !== null);
}

/** The root's dot at the end of a host name (RFC 1034, section 3.1), before a port too. */
function withoutTrailingDot(authority: string): string {
  const dot = authority.lastIndexOf(".");
  if (dot < 0) return authority;
  const next = authority[dot + 1];
  return next === undefined || next === ":" ? authority.slice(0, dot) + authority.slice(dot + 1) : authority;
}

/** Compiles the stages of a connection manager. */
export function compileConnectionManager(
  config: HttpConnectionManager,
  deps: ConnectionManagerDeps,
): ConnectionManagerStages {
  return new ConnectionManagerStages(config, deps);
}
