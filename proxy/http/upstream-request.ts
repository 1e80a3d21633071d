/**
 * The way of one request to a cluster: limits, breaker, balancer, pool, attempts and retries, and the deadlines over
 * them. What Envoy calls the router filter. It decides nothing by itself: `cluster/` does.
 */
import type { HeaderMap } from "../../core/header-map.ts";
import { WheelTimer } from "../../core/timer-wheel.ts";
import { formatAddress } from "../../model/address.ts";
import { Flag } from "../../model/flags.ts";
import { UNSEEN_HEADER } from "../../model/unseen.ts";
import { addressMeant, destinationOf } from "../cluster/destination.ts";
import type { EndpointState } from "../cluster/endpoint-state.ts";
import type { Destination, LbContext } from "../cluster/load-balancer/load-balancer.ts";
import type { ResourceLimits } from "../cluster/resource-limits.ts";
import { type ResetKind, RetryState } from "../cluster/retry.ts";
import { RequestTimeouts, tellDeadline } from "../cluster/timeouts.ts";
import { owned } from "../codec/blocks.ts";
import {
  Body,
  type BodyKind,
  type UpstreamFailure,
  type UpstreamHandler,
  type UpstreamStream,
} from "../codec/stream.ts";
import type { EndpointPool, PoolWaiter } from "../endpoint/pool.ts";
import { poolForRequest } from "../endpoint/request-server.ts";
import type { UpstreamCluster } from "../outbound.ts";
import type { Exchange } from "./exchange.ts";
import { type Failure, failures } from "./failures.ts";
import type { ForwardRule } from "./forward-rule.ts";
import { ResponseHead } from "./message.ts";
import type { HttpContext, HttpRuntime } from "./runtime.ts";

const NO_HOSTS: readonly object[] = [];

export class UpstreamRequest implements UpstreamHandler, PoolWaiter, LbContext {
  readonly response: ResponseHead = new ResponseHead();
  readonly #exchange: Exchange;
  readonly #timeouts = new RequestTimeouts();
  /** Made with the first request that may be retried. */
  #retryState: RetryState | null = null;
  /** The state above while this request may be retried. */
  #retry: RetryState | null = null;
  #context: HttpContext | null = null;
  #cluster: UpstreamCluster | null = null;
  #rule: ForwardRule | null = null;
  #limits: ResourceLimits | null = null;
  #endpoint: EndpointState<EndpointPool> | null = null;
  #connection: UpstreamStream | null = null;
  /** The pool in whose queue this waits; it may not be the endpoint's pool any more. */
  #waitsAt: EndpointPool | null = null;
  /** The response head of the final attempt has been handed on. */
  #answered = false;
  #tunnel = false;
  #explains = false;
  /** Request body so far, while it may have to be sent (again). */
  #buffer: Buffer[] = [];
  #buffered = 0;
  #bufferLimit = 0;
  #replayable = true;
  #requestEnded = false;
  #requestTrailers: HeaderMap | null = null;
  #body: BodyKind = Body.none;
  #startedAt = 0;
  /** For the balancer. */
  hash: bigint | null = null;
  /** The answer of a gRPC call has begun, and no message has come. */
  #awaitsMessage = false;
  /** The breaker is to be told how a gRPC call ends whose answer has begun. */
  #undecided = false;
  readonly #deadline: WheelTimer;
  readonly #tryDeadline: WheelTimer;
  readonly #tryIdle: WheelTimer;
  /** When something last came from the upstream, or its attempt began; kept where `per_try_idle_timeout` asks for it. */
  #lastMoved = 0;
  readonly #backoff: WheelTimer;

  constructor(exchange: Exchange) {
    this.#exchange = exchange;
    this.#deadline = new WheelTimer(() => this.#onDeadline());
    this.#tryDeadline = new WheelTimer(() => this.#onTryDeadline(failures.perTryTimeout));
    this.#tryIdle = new WheelTimer(() => this.#onTryIdle());
    this.#backoff = new WheelTimer(() => this.#retryNow());
  }

  get hostSelectionRetries(): number {
    return this.#retry?.hostSelectionRetries ?? 0;
  }

  get triedHosts(): readonly object[] {
    return this.#retry?.triedHosts ?? NO_HOSTS;
  }

  get destination(): Destination | null {
    return destinationOf(this.#exchange.info.connection, (this.#cluster as UpstreamCluster).config);
  }

  get headRequest(): boolean {
    return this.#exchange.headRequest;
  }

  /**
   * Takes the request's time limits and retry rules out of its headers: before anything else changes them. Then `start`.
   */
  prepare(runtime: HttpRuntime, rule: ForwardRule, cluster: UpstreamCluster): void {
    const { request } = this.#exchange;
    const { context } = runtime;
    this.#context = context;
    this.#rule = rule;
    this.#cluster = cluster;
    this.#limits = cluster.limitsFor(rule.priority);
    this.#explains = runtime.callerIsLocal;
    this.#bufferLimit = Math.min(runtime.bufferLimit, rule.bufferLimit);
    const policy = cluster.config.outrigger !== null ? rule.safeRetry : rule.retry;
    this.#retryState ??= new RetryState(context.clock, context.random);
    // The cluster itself is the target of default priority: nothing is made for the usual request.
    const target = rule.priority === "default" ? cluster : { stats: cluster.stats, limits: this.#limits };
    this.#retry = this.#retryState.begin(policy, request, target) ? this.#retryState : null;
    const grpc = this.#exchange.grpc !== null;
    this.#timeouts.set(rule.timeouts, request.headers, grpc, runtime.timeoutOptions);
  }

  /** Begins; the request's head is final. `ended`: it has no body. */
  start(body: BodyKind, ended: boolean, now: number): void {
    const cluster = this.#cluster as UpstreamCluster;
    const context = this.#context as HttpContext;
    this.#body = body;
    this.#requestEnded = ended;
    this.#replayable = true;
    this.#answered = false;
    this.#startedAt = now;
    this.#awaitsMessage = false;
    this.#undecided = false;
    const { breaker } = cluster;
    if (breaker !== null && !breaker.allow()) {
      this.#release();
      this.#exchange.fail(failures.breakerOpen);
      return;
    }
    if (ended && this.#timeouts.routeMs > 0) context.wheel.arm(this.#deadline, this.#timeouts.routeMs);
    this.#attempt(cluster);
  }

  /** Request body bytes, in the framing of the body kind. */
  sendData(bytes: Buffer): void {
    if (this.#cluster === null) return;
    const connection = this.#connection;
    if (connection === null || (this.#retry !== null && this.#replayable && !this.#answered)) this.#keep(bytes);
    if (connection !== null && !connection.sendData(bytes)) this.#exchange.pauseRequest();
  }

  #keep(bytes: Buffer): void {
    this.#buffer.push(owned(bytes));
    this.#buffered += bytes.length;
    if (this.#buffered <= this.#bufferLimit) return;
    if (this.#connection === null) {
      this.#exchange.pauseRequest();
      // What waits for its first connection has to be kept; a route's own limit says that it is not for a second.
      if (this.#waitsAt !== null && this.#buffered > (this.#rule?.bufferLimit ?? 0)) this.#replayable = false;
    } else {
      // As in Envoy, a body too large to keep can't be sent again.
      this.#replayable = false;
      this.#dropBuffer();
    }
  }

  sendEnd(trailers: HeaderMap | null): void {
    if (this.#cluster === null) return;
    if (this.#tunnel) {
      this.#connection?.endTunnel();
      return;
    }
    if (this.#requestEnded) return;
    this.#requestEnded = true;
    this.#requestTrailers = trailers;
    if (this.#timeouts.routeMs > 0) this.#context?.wheel.arm(this.#deadline, this.#timeouts.routeMs);
    if (this.#connection !== null) {
      this.#connection.sendEnd(this.#trailersFor(this.#connection));
      this.#exchange.info.upstreamLastByteSentAt = this.#context?.clock.now() ?? 0;
    }
    this.#armTryDeadline();
  }

  /** As in Envoy, HTTP/1 carries trailers only where that is asked for. */
  #trailersFor(connection: UpstreamStream): HeaderMap | null {
    return connection.protocol === "HTTP/2" || this.#cluster?.config.http.trailers ? this.#requestTrailers : null;
  }

  /** The caller is gone, or has been answered without this: whatever is under way is given up. */
  cancel(): void {
    const cluster = this.#cluster;
    if (cluster === null) return;
    if (!this.#answered) {
      this.#endpoint?.recordAbandoned();
      cluster.breaker?.abandon();
      cluster.stats.upstream_rq_cancelled++;
    } else if (this.#undecided) {
      this.#endpoint?.recordAbandoned();
      cluster.breaker?.abandon();
    }
    this.#dropAttempt();
    this.#release();
  }

  /** What is under way has a stream, not a connection, to itself. */
  get isMultiplexed(): boolean {
    return this.#connection?.protocol === "HTTP/2";
  }

  pauseResponse(): void {
    this.#connection?.pauseResponse();
  }

  resumeResponse(): void {
    this.#connection?.resumeResponse();
  }

  #retryNow(): void {
    const cluster = this.#cluster;
    if (cluster === null || this.#rule === null || this.#context === null) return;
    const { request } = this.#exchange;
    const elapsed = this.#context.clock.now() - this.#startedAt;
    const grpc = this.#exchange.grpc !== null;
    this.#timeouts.tellUpstream(this.#rule.timeouts, request.headers, grpc, this.#exchange.timeoutOptions, elapsed);
    this.#attempt(cluster);
  }

  #attempt(cluster: UpstreamCluster): void {
    const exchange = this.#exchange;
    const { info } = exchange;
    info.attempts++;
    const endpoint = cluster.choose(this);
    if (endpoint === null) {
      cluster.breaker?.abandon();
      cluster.stats.countStatus(failures.noHealthyUpstream.status);
      // Before the cluster is let go, of which the destination asks.
      const why = this.#explains ? cluster.why(this.destination) : "";
      this.#release();
      exchange.fail(failures.noHealthyUpstream, why);
      return;
    }
    this.#endpoint = endpoint;
    const meant = addressMeant(endpoint, this);
    info.upstreamHost = meant === null ? endpoint.name : formatAddress(meant);
    exchange.onHostChosen(endpoint.config.hostname);
    endpoint.activeRequests++;
    endpoint.rq_total++;
    this.#retry?.onHostAttempted(endpoint);
    if (this.#requestEnded) this.#armTryDeadline();
    const any = cluster.poolOf(endpoint);
    const at = meant === null ? any : any.forAddress(meant);
    const pool = poolForRequest(at, cluster.config, exchange.request, exchange.upgrading);
    this.#waitsAt = pool;
    const connection = pool.acquire(this);
    if (connection !== null) this.onConnection(connection);
  }

  #armTryDeadline(): void {
    const { perTryMs, perTryIdleMs } = this.#timeouts;
    const context = this.#context;
    if (context === null) return;
    if (perTryMs > 0) context.wheel.arm(this.#tryDeadline, perTryMs);
    if (perTryIdleMs > 0) {
      this.#lastMoved = context.clock.now();
      context.wheel.arm(this.#tryIdle, perTryIdleMs);
    }
  }

  onConnection(connection: UpstreamStream): void {
    this.#waitsAt = null;
    const cluster = this.#cluster;
    if (cluster === null || this.#limits === null) {
      connection.giveBack();
      return;
    }
    if (!this.#limits.tryAcquireRequest()) {
      connection.giveBack();
      this.#onFailure("overflow", "too many requests are active (max_requests)");
      return;
    }
    const exchange = this.#exchange;
    this.#connection = connection;
    const { stats } = cluster;
    const { info } = exchange;
    const now = this.#context?.clock.now() ?? 0;
    info.upstreamLocalAddress = connection.localAddress;
    const isOne = this.#endpoint?.config.additionalAddresses === undefined;
    info.upstreamRemoteAddress = isOne ? "" : connection.remoteAddress;
    info.upstreamProtocol = connection.protocol;
    info.upstreamConnectionId = connection.connectionId;
    info.upstreamFirstByteSentAt = now;
    if (this.#requestEnded) info.upstreamLastByteSentAt = now;
    stats.upstream_rq_total++;
    stats.upstream_rq_active++;
    connection.begin(this, exchange.wantsUnframed);
    exchange.onAttempt();
    const deadline = exchange.grpc?.deadlineAt ?? 0;
    // Time has passed in queues and in earlier attempts. Envoy tells each attempt the same.
    if (deadline > 0 && cluster.config.outrigger !== null) tellDeadline(exchange.request.headers, deadline - now);
    connection.sendHead(exchange.request, this.#body, exchange.upgrading);
    for (const bytes of this.#buffer) connection.sendData(bytes);
    if (this.#requestEnded) connection.sendEnd(this.#trailersFor(connection));
    else {
      connection.flush();
      exchange.resumeRequest();
    }
    if (this.#retry === null || !this.#replayable) this.#dropBuffer();
  }

  onPoolFailure(failure: UpstreamFailure, detail: string): void {
    this.#waitsAt = null;
    this.#onFailure(failure, detail);
  }

  onInformational(head: ResponseHead): void {
    if (!this.#exchange.onUpstreamInformational(head)) this.#connection?.pauseResponse();
  }

  onResponseHead(body: BodyKind): void {
    const cluster = this.#cluster;
    const endpoint = this.#endpoint;
    const context = this.#context;
    if (cluster === null || endpoint === null || context === null) return;
    const { status, headers } = this.response;
    const now = context.clock.now();
    const { info } = this.#exchange;
    info.upstreamFirstByteReceivedAt = now;
    this.#lastMoved = now;
    const own = cluster.config.outrigger !== null;
    const { grpc } = this.#exchange;
    if (grpc === null) endpoint.monitor?.onResponse(status);
    else grpc.onHead(endpoint, status, headers, body === Body.none, own);
    if (this.#connection?.requests === 1) announceIdleLimit(endpoint, headers);
    if (status === 101 && !this.#exchange.upgrading) {
      this.#onFailure("protocol_error", "the upstream switched protocols without being asked to");
      return;
    }
    const retry = this.#retry;
    const unseen = own && (status === 503 || grpc !== null) && headers.remove(UNSEEN_HEADER);
    if (retry !== null && this.#replayable) {
      const delay = unseen
        ? retry.shouldRetryReset("connect_failure", false)
        : retry.shouldRetryResponse(status, headers);
      if (delay >= 0) {
        const connection = this.#connection;
        if (grpc === null) endpoint.countResponse(false);
        else grpc.onRetried(endpoint);
        this.#connection = null;
        this.#endAttempt();
        connection?.discard(context.wheel);
        this.#retryAfter(delay, status);
        return;
      }
      this.#noteRefusal(retry);
    }
    this.#answered = true;
    if (grpc === null) endpoint.countResponse(status < 500);
    else grpc.onAccepted(endpoint);
    context.wheel.cancel(this.#tryDeadline);
    this.#dropBuffer();
    cluster.stats.countStatus(status);
    const served = grpc === null ? status < 500 : grpc.served;
    if (served === null) {
      this.#awaitsMessage = true;
      this.#undecided = cluster.breaker !== null;
    } else cluster.breaker?.record(served, now - this.#startedAt);
    if (status === 101) {
      this.#tunnel = true;
      context.wheel.cancel(this.#deadline);
    }
    this.#exchange.onUpstreamHead(this.response, body, now);
  }

  onResponseData(bytes: Buffer, payload: number): void {
    if (this.#awaitsMessage) this.#onFirstMessage();
    if (this.#tryIdle.armed) this.#lastMoved = this.#context?.clock.now() ?? 0;
    if (!this.#exchange.onUpstreamData(bytes, payload)) this.#connection?.pauseResponse();
  }

  /** A gRPC answer has begun in earnest: it may be a stream that lasts. */
  #onFirstMessage(): void {
    this.#awaitsMessage = false;
    const cluster = this.#cluster;
    const endpoint = this.#endpoint;
    if (cluster === null || endpoint === null) return;
    // Who waits for a probe to succeed can't wait for a stream to end.
    if (endpoint.ejected) this.#exchange.grpc?.onFirstMessage(endpoint);
    if (this.#undecided && cluster.breaker?.state === "half_open") this.#decide(true);
  }

  /** Tells the breaker how a gRPC call went whose answer had begun. */
  #decide(served: boolean): void {
    if (!this.#undecided || this.#context === null) return;
    this.#undecided = false;
    this.#cluster?.breaker?.record(served, this.#context.clock.now() - this.#startedAt);
  }

  onResponseFlush(): void {
    if (this.#answered) this.#exchange.flushResponse();
  }

  onResponseEnd(trailers: HeaderMap | null): void {
    if (this.#cluster === null) return;
    const multiplexed = this.isMultiplexed;
    const kept = multiplexed || this.#cluster.config.http.trailers ? trailers : null;
    const { grpc } = this.#exchange;
    if (grpc !== null && this.#endpoint !== null) {
      grpc.onEnd(this.#endpoint, kept);
      this.#decide(grpc.served === true);
    }
    this.#connection = null;
    this.#endAttempt();
    this.#release();
    this.#exchange.onUpstreamEnd(kept, !multiplexed);
  }

  onUpstreamReset(failure: UpstreamFailure, detail: string): void {
    this.#onFailure(failure, detail);
  }

  onUpstreamWritable(): void {
    this.#exchange.resumeRequest();
  }

  /** An attempt failed without a response, or in the middle of one. */
  #onFailure(failure: UpstreamFailure, detail: string): void {
    const endpoint = this.#endpoint;
    if (this.#cluster === null) return;
    const connection = this.#connection;
    const reused = connection !== null && connection.requests > 1 && !connection.answered;
    this.#dropAttempt();
    const connecting = failure === "connect_failure" || failure === "connect_timeout";
    // Envoy counts it against an endpoint that it leaves a request unseen: but most do so because they go away.
    const unseen = failure === "refused_stream" && this.#cluster.config.outrigger !== null;
    if (endpoint !== null && unseen) endpoint.recordAbandoned();
    else if (endpoint !== null && failure !== "overflow" && failure !== "local_close") {
      endpoint.recordLocalOriginFailure(connecting ? "connect_failed" : "reset");
    }
    // As in Envoy, that there was no time says all: nothing was heard from the transport.
    if (failure === "connect_failure") this.#exchange.info.upstreamTransportFailure = detail;
    this.#retryOrFail(failure, connection !== null, reused, failures[failure], detail);
  }

  /** The one place where a failed attempt becomes a retry or the end. `cluster/retry.ts` decides. */
  #retryOrFail(kind: ResetKind, sent: boolean, reused: boolean, failure: Failure, detail: string): void {
    const cluster = this.#cluster;
    if (cluster === null || this.#context === null) return;
    const retry = this.#retry;
    if (!this.#answered) {
      if (retry !== null && this.#replayable) {
        const delay = retry.shouldRetryReset(kind, sent, reused);
        if (delay >= 0) {
          this.#retryAfter(delay, 0);
          return;
        }
        this.#noteRefusal(retry);
      }
      if (kind === "overflow") cluster.breaker?.abandon();
      else cluster.breaker?.record(false, this.#context.clock.now() - this.#startedAt);
      cluster.stats.countStatus(failure.status);
    } else this.#decide(false);
    this.#release();
    this.#exchange.fail(failure, detail);
  }

  /** Why a failure that could have been retried was not, as Envoy's flags say it. */
  #noteRefusal(retry: RetryState): void {
    if (retry.gaveUp) this.#exchange.info.flags |= Flag.URX;
    else if (retry.refusal === "overflow") this.#exchange.info.flags |= Flag.UO;
  }

  #retryAfter(delay: number, status: number): void {
    if (this.#cluster === null) return;
    this.#cluster.stats.upstream_rq_retry++;
    this.#exchange.onRetry(status, delay);
    this.#context?.wheel.arm(this.#backoff, delay);
  }

  /** The deadline that a gRPC caller set is over. A service that has sent no message by then was too slow. */
  onCallDeadline(): void {
    const cluster = this.#cluster;
    // Under plain Envoy configuration that is no failure of an endpoint, and there is no breaker.
    if (cluster === null || this.#context === null || cluster.config.outrigger === null) return;
    if (this.#answered && !this.#awaitsMessage) return;
    if (this.#connection !== null) this.#endpoint?.recordLocalOriginFailure("timeout");
    if (this.#answered) this.#decide(false);
    else cluster.breaker?.record(false, this.#context.clock.now() - this.#startedAt);
  }

  #onDeadline(): void {
    const cluster = this.#cluster;
    if (cluster === null || this.#context === null) return;
    // An endpoint is charged only once the request was with it, not while it waited for a connection.
    if (this.#connection !== null) this.#endpoint?.recordLocalOriginFailure("timeout");
    cluster.stats.upstream_rq_timeout++;
    if (this.#answered) this.#decide(false);
    else {
      cluster.breaker?.record(false, this.#context.clock.now() - this.#startedAt);
      cluster.stats.countStatus(failures.timeout.status);
      if (this.#connection !== null) this.#endpoint?.countResponse(false);
    }
    this.#dropAttempt();
    this.#release();
    this.#exchange.fail(failures.timeout);
  }

  /** The timer is not armed anew for each byte: when it fires it looks when something last moved. */
  #onTryIdle(): void {
    const context = this.#context;
    if (context === null) return;
    const left = this.#lastMoved + this.#timeouts.perTryIdleMs - context.clock.now();
    if (left > 1) context.wheel.arm(this.#tryIdle, left);
    else this.#onTryDeadline(failures.perTryIdle);
  }

  #onTryDeadline(failure: Failure): void {
    const cluster = this.#cluster;
    if (cluster === null) return;
    const sent = this.#connection !== null;
    if (sent) this.#endpoint?.recordLocalOriginFailure("timeout");
    cluster.stats.upstream_rq_per_try_timeout++;
    this.#dropAttempt();
    this.#retryOrFail("per_try_timeout", sent, false, failure, "");
  }

  /** Lets go of the connection or of the place in its queue. */
  #dropAttempt(): void {
    if (this.#waitsAt !== null) {
      this.#waitsAt.forget(this);
      this.#waitsAt = null;
    }
    const connection = this.#connection;
    this.#connection = null;
    if (connection !== null) {
      this.#endAttempt();
      connection.cancel();
    } else if (this.#endpoint !== null) {
      this.#endpoint.activeRequests--;
      this.#endpoint = null;
    }
    this.#stopTryTimers();
  }

  #stopTryTimers(): void {
    const wheel = this.#context?.wheel;
    wheel?.cancel(this.#tryDeadline);
    if (this.#tryIdle.armed) wheel?.cancel(this.#tryIdle);
  }

  /** The attempt that had a connection is over. */
  #endAttempt(): void {
    if (this.#endpoint !== null) this.#endpoint.activeRequests--;
    this.#endpoint = null;
    this.#stopTryTimers();
    this.#limits?.releaseRequest();
    if (this.#cluster !== null) this.#cluster.stats.upstream_rq_active--;
  }

  #dropBuffer(): void {
    if (this.#buffered === 0) return;
    this.#buffer = [];
    this.#buffered = 0;
  }

  /** Nothing of this request is left behind. */
  #release(): void {
    const context = this.#context;
    if (context === null) return;
    context.wheel.cancel(this.#deadline);
    this.#stopTryTimers();
    context.wheel.cancel(this.#backoff);
    this.#retry?.finish(this.#answered);
    this.#retry = null;
    this.#dropBuffer();
    this.#context = null;
    this.#cluster = null;
    this.#rule = null;
    this.#limits = null;
    this.#endpoint = null;
    this.#tunnel = false;
    this.#requestTrailers = null;
    this.hash = null;
  }
}

/** Tells the pool how long the upstream says it keeps idle connections (`Keep-Alive: timeout=5`). */
function announceIdleLimit(endpoint: EndpointState<EndpointPool>, headers: HeaderMap): void {
  const seconds = /(?:^|[ ,])timeout=(\d+)/i.exec(headers.get("keep-alive") ?? "")?.[1];
  if (seconds !== undefined) endpoint.pool?.announceIdleLimit(Number(seconds) * 1000);
}
