/**
 * Copies of requests that are sent to another cluster and whose answers nobody reads (Envoy's request shadowing). A
 * mirror never holds up or fails the request that it copies: what does not fit its buffer is not mirrored.
 */
import type { HeaderMap } from "../../core/header-map.ts";
import type { EndpointState } from "../cluster/endpoint-state.ts";
import type { LbContext } from "../cluster/load-balancer/load-balancer.ts";
import { owned } from "../codec/blocks.ts";
import { Body, type BodyKind, type UpstreamHandler, type UpstreamStream } from "../codec/stream.ts";
import type { EndpointPool, PoolWaiter } from "../endpoint/pool.ts";
import { requestServerName, serverNameRule, tlsServerName } from "../endpoint/request-server.ts";
import type { UpstreamCluster } from "../outbound.ts";
import { drawInteger, inFraction } from "../router/compile-matcher.ts";
import type { CompiledRoute } from "../router/compile-routes.ts";
import { RequestHead, ResponseHead } from "./message.ts";
import type { HttpRuntime } from "./runtime.ts";

/** Envoy appends this to a mirrored request's host, so that its logs can be told apart. */
const SHADOW_SUFFIX = "-shadow";

/** A mirrored request that is not answered is given up after Envoy's default route timeout. */
const TIMEOUT_MS = 15_000;

/** What is sent, as it stands when the request is forwarded. */
interface Copy {
  readonly head: RequestHead;
  readonly body: BodyKind;
  readonly headRequest: boolean;
  /** The server that TLS is to ask for, where the cluster takes it from the request; else "". */
  readonly server: string;
}

export class MirrorRequest implements UpstreamHandler, PoolWaiter, LbContext {
  readonly response: ResponseHead = new ResponseHead();
  readonly headRequest: boolean;
  readonly hash = null;
  readonly hostSelectionRetries = 0;
  readonly triedHosts: readonly object[] = [];
  /** A copy has no caller of its own, and so no address that it was made to. */
  readonly destination = null;
  readonly #runtime: HttpRuntime;
  readonly #cluster: UpstreamCluster;
  readonly #head: RequestHead;
  readonly #body: BodyKind;
  readonly #server: string;
  #endpoint: EndpointState<EndpointPool> | null = null;
  #pool: EndpointPool | null = null;
  #connection: UpstreamStream | null = null;
  #held: Buffer[] = [];
  #heldBytes = 0;
  #over = false;
  #cancelTimer: () => void = () => undefined;

  constructor(runtime: HttpRuntime, cluster: UpstreamCluster, copy: Copy) {
    this.#runtime = runtime;
    this.#cluster = cluster;
    this.#head = copy.head;
    this.#body = copy.body;
    this.#server = copy.server;
    this.headRequest = copy.headRequest;
  }

  sendData(bytes: Buffer): void {
    if (this.#over) return;
    this.#heldBytes += bytes.length;
    if (this.#heldBytes > this.#runtime.bufferLimit) this.cancel();
    else this.#held.push(owned(bytes));
  }

  /** The request is complete: only now is a connection taken, so that a slow caller holds none. */
  sendEnd(): void {
    if (this.#over) return;
    const { wheel } = this.#runtime.context;
    const timer = wheel.after(TIMEOUT_MS, () => this.cancel());
    this.#cancelTimer = () => wheel.cancel(timer);
    const endpoint = this.#cluster.choose(this);
    if (endpoint === null) {
      this.#end();
      return;
    }
    this.#endpoint = endpoint;
    endpoint.activeRequests++;
    endpoint.rq_total++;
    this.#pool = this.#poolOf(endpoint);
    const connection = this.#pool.acquire(this);
    if (connection !== null) this.onConnection(connection);
  }

  /** Connections that were opened for this request's server, where the cluster keeps them apart. */
  #poolOf(endpoint: EndpointState<EndpointPool>): EndpointPool {
    const pool = this.#cluster.poolOf(endpoint);
    const rule = serverNameRule(this.#cluster.config);
    return rule === undefined ? pool : pool.forServer(this.#server, tlsServerName(rule, this.#server));
  }

  cancel(): void {
    if (this.#over) return;
    if (this.#connection === null) this.#pool?.forget(this);
    else this.#cluster.stats.upstream_rq_active--;
    this.#connection?.cancel();
    this.#end();
  }

  onConnection(connection: UpstreamStream): void {
    this.#connection = connection;
    const { stats } = this.#cluster;
    stats.upstream_rq_total++;
    stats.upstream_rq_active++;
    connection.begin(this, false);
    connection.sendHead(this.#head, this.#body, false);
    for (const bytes of this.#held) connection.sendData(bytes);
    this.#held = [];
    connection.sendEnd(null);
  }

  onPoolFailure(): void {
    this.#end();
  }

  onInformational(): void {}

  onResponseHead(): void {
    this.#endpoint?.recordResponse(this.response.status);
    this.#cluster.stats.countStatus(this.response.status);
  }

  onResponseData(): void {}
  onResponseFlush(): void {}
  onUpstreamWritable(): void {}

  onResponseEnd(_trailers: HeaderMap | null): void {
    this.#cluster.stats.upstream_rq_active--;
    this.#end();
  }

  onUpstreamReset(): void {
    this.#cluster.stats.upstream_rq_active--;
    this.#endpoint?.recordLocalOriginFailure("reset");
    this.#end();
  }

  #end(): void {
    this.#over = true;
    this.#held = [];
    this.#cancelTimer();
    if (this.#endpoint !== null) this.#endpoint.activeRequests--;
    this.#endpoint = null;
    this.#connection = null;
  }
}

/** Begins the mirrors that the route asks for; null if none is due. The request's head is final. */
export function mirrorRequest(
  route: CompiledRoute,
  runtime: HttpRuntime,
  request: RequestHead,
  body: BodyKind,
  ended: boolean,
): MirrorRequest[] | null {
  let mirrors: MirrorRequest[] | null = null;
  const headers = asInternal(request.headers, runtime.context.localAddress);
  for (const mirror of route.mirrors) {
    if (mirror.fraction !== null && !inFraction(mirror.fraction, drawInteger(runtime.context.random))) continue;
    const cluster = runtime.context.cluster(mirror.cluster);
    if (cluster === null) continue;
    const host = mirror.disableShadowHostSuffix ? request.authority : shadowHost(request.authority);
    const head = copyOf(request, host, headers);
    const rule = serverNameRule(cluster.config);
    const server = rule === undefined ? "" : requestServerName(rule, host, request.headers);
    const headRequest = request.method === "HEAD";
    const copy = new MirrorRequest(runtime, cluster, { head, body, headRequest, server });
    mirrors ??= [];
    mirrors.push(copy);
    if (ended && body === Body.none) copy.sendEnd();
  }
  return mirrors;
}

function copyOf({ method, path, scheme, protocol }: RequestHead, authority: string, headers: HeaderMap): RequestHead {
  const copy = new RequestHead();
  Object.assign(copy, { method, path, scheme, protocol, authority });
  headers.forEach((name, value) => {
    copy.headers.append(name, value);
  });
  return copy;
}

/** To its upstream a copy is the proxy's own request: internal, and from the proxy's address, as Envoy marks it. */
function asInternal(original: HeaderMap, localAddress: string): HeaderMap {
  const headers = original.clone();
  headers.set("x-envoy-internal", "true");
  const before = headers.get("x-forwarded-for");
  headers.set("x-forwarded-for", before ? `${before},${localAddress}` : localAddress);
  return headers;
}

/** The suffix goes before a port: `orders:80` becomes `orders-shadow:80`. */
function shadowHost(authority: string): string {
  const port = /:\d+$/.exec(authority);
  return port ? `${authority.slice(0, port.index)}${SHADOW_SUFFIX}${port[0]}` : authority + SHADOW_SUFFIX;
}
