/**
 * One request and its response, from the head's arrival to the last byte: routing, filters, the upstream's part, local
 * replies, and one observation at the end. Exchanges are reused, so every way out goes through `#finish`.
 */
import type { HeaderMap } from "../../core/header-map.ts";
import { WheelTimer } from "../../core/timer-wheel.ts";
import { Flag } from "../../model/flags.ts";
import type { ForwardAction } from "../../model/route.ts";
import { isGrpc } from "../../telemetry/grpc/status.ts";
import { type ConnectionInfo, StreamInfo } from "../../telemetry/stream-info.ts";
import { streamDuration, type TimeoutOptions } from "../cluster/timeouts.ts";
import { owned } from "../codec/blocks.ts";
import {
  Body,
  type BodyKind,
  DISCONNECTED,
  type DownstreamHandler,
  type DownstreamStream,
  type Refusal,
} from "../codec/stream.ts";
import type { FilterContext, FilterStage } from "../filters/filter.ts";
import { GrpcCall } from "../grpc/call.ts";
import type { CompiledRoute } from "../router/compile-routes.ts";
import { rewriteAuthority } from "../router/rewrite.ts";
import { describeBody, describeNothing, frameHeadResponse } from "./answer-framing.ts";
import { applyChanges, composeLocalReply, frameRefusedHandshake } from "./compose-local-reply.ts";
import { afterResponse, afterRetry, type Failure, failures, withTransportFailure } from "./failures.ts";
import { grpcTrailers } from "./grpc-reply.ts";
import { RequestHead, ResponseHead } from "./message.ts";
import { type MirrorRequest, mirrorRequest } from "./mirror.ts";
import type { HttpRuntime, RequestTrace } from "./runtime.ts";
import { allowedUpgrade } from "./upgrade.ts";
import { UpstreamRequest } from "./upstream-request.ts";

const Phase = { idle: 0, filters: 1, upstream: 2, responding: 3, done: 4 } as const;

const LOCAL_STAGES: readonly FilterStage[] = [];

export class Exchange implements DownstreamHandler, FilterContext {
  readonly request: RequestHead = new RequestHead();
  readonly info: StreamInfo;
  headRequest = false;
  /** null: not a gRPC call. */
  grpc: GrpcCall | null = null;
  /** Made with the first gRPC call on this exchange. */
  #grpcCall: GrpcCall | null = null;
  /** The request asks for another protocol and may have it. */
  upgrading = false;
  #webSocket = false;
  #runtime: HttpRuntime | null = null;
  #stream: DownstreamStream | null = null;
  #phase: number = Phase.idle;
  #route: CompiledRoute | null = null;
  #body: BodyKind = Body.none;
  #requestEnded = false;
  #trailers: HeaderMap | null = null;
  /** Request body that came while filters were deciding. */
  #early: Buffer[] = [];
  #stages: readonly FilterStage[] = LOCAL_STAGES;
  #stage = 0;
  readonly #upstream: UpstreamRequest;
  readonly #localResponse = new ResponseHead();
  #response: ResponseHead;
  #responseTrailers: HeaderMap | null = null;
  #endCallbacks: (() => void)[] | null = null;
  /** What filters do to the response's head; null: nothing. */
  #responseChanges: ((headers: HeaderMap) => void)[] | null = null;
  #mirrors: MirrorRequest[] | null = null;
  #trace: RequestTrace | null = null;
  #lastActivity = 0;
  #idleTimeoutMs = 0;
  /** Tells callbacks of an earlier use of this object apart from those of the current one. */
  #generation = 0;
  readonly #idleTimer: WheelTimer;
  readonly #durationTimer: WheelTimer;
  /** Called when the exchange may serve another request. */
  readonly #recycle: (exchange: Exchange) => void;

  constructor(connection: ConnectionInfo, recycle: (exchange: Exchange) => void) {
    this.info = new StreamInfo(connection);
    this.#recycle = recycle;
    this.#upstream = new UpstreamRequest(this);
    this.#response = this.#localResponse;
    this.#idleTimer = new WheelTimer(() => this.#onIdle());
    this.#durationTimer = new WheelTimer(() => this.#onDuration());
  }

  /** Starts the clock; the request's head has been parsed into `request`. */
  #open(runtime: HttpRuntime, stream: DownstreamStream | null, connection: ConnectionInfo): void {
    const { clock } = runtime.context;
    this.#runtime = runtime;
    this.#stream = stream;
    this.#generation++;
    this.#phase = Phase.filters;
    const now = clock.now();
    this.#lastActivity = now;
    const { info } = this;
    info.reset(connection);
    this.grpc = null;
    info.startedAt = now;
    info.startTime = clock.wallTime();
    this.headRequest = this.request.method === "HEAD";
  }

  begin(
    runtime: HttpRuntime,
    stream: DownstreamStream,
    connection: ConnectionInfo,
    body: BodyKind,
    expectContinue: boolean,
    wantsUpgrade: boolean,
  ): void {
    this.#open(runtime, stream, connection);
    const { request, info } = this;
    const { config } = runtime;
    info.originalPath = request.path;
    if (isGrpc(request.headers.first("content-type"))) this.#beginGrpc(body);
    this.#body = body;
    this.#requestEnded = body === Body.none;
    if (this.#requestEnded) info.requestEndAt = info.startedAt;
    if (connection.tls !== null && request.scheme === "http" && request.protocol !== "HTTP/2") request.scheme = "https";
    this.upgrading = false;
    this.#webSocket = false;
    this.#armIdle(config.streamIdleTimeoutMs);
    if (config.maxStreamDurationMs > 0) runtime.context.wheel.arm(this.#durationTimer, config.maxStreamDurationMs);

    const upgrade = wantsUpgrade ? (request.headers.get("upgrade") ?? "").toLowerCase() : "";
    // Where such a request ends only its answer tells: as in Envoy, what follows is not taken for another request.
    if (stream.ownsConnection && ((upgrade !== "" && upgrade !== "h2c") || request.method === "CONNECT")) {
      stream.closeAfterResponse();
    }
    const refusal = runtime.stages.mutateRequest(request, info, upgrade);
    if (refusal !== null) {
      info.flags |= refusal.flags;
      // As in Envoy, logs take nothing from a message that breaks the protocol.
      if ((refusal.flags & Flag.DPE) !== 0) {
        request.clear();
        this.grpc = null;
        info.grpc = null;
      }
      const head = this.#localHead(refusal.status, refusal.details);
      if (refusal.location !== null) head.headers.append("location", refusal.location);
      if (refusal.closes) stream.closeAfterResponse();
      this.#sendLocal(head, refusal.body);
      return;
    }
    if (expectContinue && !config.proxy100Continue) {
      request.headers.remove("expect");
      stream.sendContinue();
    }
    const route = runtime.routes()?.find(request, info, runtime.context.random) ?? null;
    this.#route = route;
    if (route !== null) this.#noteRoute(route);
    if (runtime.tracer !== null) this.#trace = runtime.tracer.start(request, info, route?.route ?? null);
    if (upgrade !== "" && upgrade !== "h2c") {
      if (!allowedUpgrade(upgrade, config, route)) {
        stream.closeAfterResponse();
        this.fail(failures.upgradeRefused);
        return;
      }
      this.upgrading = true;
      this.#webSocket = upgrade === "websocket";
      // Bytes of the new protocol follow the head; the request ends when they do.
      this.#requestEnded = false;
      info.requestEndAt = 0;
    }
    this.#stages = runtime.filters(route);
    this.#stage = 0;
    this.#runFilters();
  }

  #noteRoute(route: CompiledRoute): void {
    const { info } = this;
    info.routeName = route.route.name;
    info.virtualHost = route.virtualHostName;
    // Filters and logs want to know before the request is forwarded.
    info.cluster = route.clusterFor(this.request);
  }

  reroute(): boolean {
    const runtime = this.#runtime;
    if (runtime === null || this.#phase !== Phase.filters) return false;
    const route = runtime.routes()?.find(this.request, this.info, runtime.context.random) ?? null;
    if (route === null || route.virtualHostName === this.info.virtualHost) return false;
    this.#route = route;
    this.#noteRoute(route);
    this.#stages = runtime.filters(route);
    this.#stage = 0;
    return true;
  }

  #beginGrpc(body: BodyKind): void {
    const call = (this.#grpcCall ??= new GrpcCall());
    call.begin(body !== Body.chunked);
    this.grpc = call;
    this.info.grpc = call;
  }

  #runFilters(): void {
    while (this.#stage < this.#stages.length) {
      const stage = this.#stages[this.#stage++] as FilterStage;
      if (!stage.onRequest(this)) return;
    }
    this.#dispatch();
  }

  resume(): void {
    if (this.#phase === Phase.filters) this.#runFilters();
  }

  delay(delayMs: number, callback: () => void): void {
    const generation = this.#generation;
    const wheel = this.#runtime?.context.wheel;
    const timer = wheel?.after(delayMs, () => {
      if (generation === this.#generation && this.#phase !== Phase.done) callback();
    });
    if (timer && wheel) this.onEnd(() => wheel.cancel(timer));
  }

  onEnd(callback: () => void): void {
    this.#endCallbacks ??= [];
    this.#endCallbacks.push(callback);
  }

  /** Filters have let the request through: what the route says is done. */
  #dispatch(): void {
    const route = this.#route;
    if (route === null) {
      this.fail(failures.noRoute);
      return;
    }
    const { action } = route.route;
    switch (action.kind) {
      case "forward":
        this.#forward(route, action);
        break;
      case "redirect": {
        const location = route.redirectLocation(this.request);
        const head = this.#localHead(action.status, "direct_response");
        head.headers.append("location", location);
        this.#sendLocal(head, "", undefined, true);
        break;
      }
      case "direct_response": {
        const { status, body } = action;
        const head = this.#localHead(status, "direct_response");
        // Envoy gives the request's own URI where a status may want one (RFC 9110, section 10.2.2).
        if (status === 201 || (status >= 300 && status < 400)) {
          head.headers.append("location", route.redirectLocation(this.request));
        }
        this.#sendLocal(head, body, undefined, true);
        break;
      }
      default:
        this.fail(failures.noCluster);
    }
  }

  #forward(route: CompiledRoute, action: ForwardAction): void {
    const runtime = this.#runtime as HttpRuntime;
    const { request, info } = this;
    const name = info.cluster;
    const cluster = runtime.context.cluster(name);
    if (cluster === null) {
      info.cluster = "";
      this.fail({ ...failures.noCluster, status: action.clusterNotFoundStatus }, name);
      return;
    }
    const { wheel } = runtime.context;
    const upstream = this.#upstream;
    upstream.prepare(runtime, runtime.forwardRule(route, action), cluster);
    if (cluster.config.lbPolicy.kind === "ring_hash") upstream.hash = route.hash(request, info);
    if (route.idleTimeoutMs !== null) this.#armIdle(route.idleTimeoutMs);
    const duration = streamDuration(action, request.headers, this.grpc !== null);
    if (duration !== null) {
      wheel.cancel(this.#durationTimer);
      // It began with the request, whatever time filters took.
      const left = Math.max(1, duration - (runtime.context.clock.now() - info.startedAt));
      if (duration > 0) wheel.arm(this.#durationTimer, left);
    }
    if (this.grpc !== null && duration !== null && duration > 0) this.#noteDeadline(this.grpc, action, duration);
    route.applyRequest(request, info, runtime.keepOriginals);
    if (this.#trace !== null) this.#trace.inject(request.headers);
    this.#phase = Phase.upstream;
    if (route.mirrors.length > 0) {
      this.#mirrors = mirrorRequest(route, runtime, request, this.#body, this.#requestEnded);
    }
    const early = this.#early;
    upstream.start(this.#body, this.#requestEnded && early.length === 0, info.startedAt);
    if (early.length > 0) {
      this.#early = [];
      for (const bytes of early) this.#passData(bytes);
      if (this.#requestEnded) this.#passEnd(this.#trailers);
    }
  }

  /** A limit of the stream that its caller set, and not only the route. */
  #noteDeadline(call: GrpcCall, action: ForwardAction, durationMs: number): void {
    if (action.grpcStreamTimeout === undefined || !this.request.headers.has("grpc-timeout")) return;
    call.deadlineAt = this.info.startedAt + durationMs;
  }

  #armIdle(ms: number): void {
    this.#idleTimeoutMs = ms;
    const { wheel } = (this.#runtime as HttpRuntime).context;
    if (ms > 0) wheel.arm(this.#idleTimer, ms);
    else wheel.cancel(this.#idleTimer);
  }

  /** Idle timers are not armed anew for each byte: when one fires it looks when something last moved. */
  #onIdle(): void {
    const runtime = this.#runtime;
    if (runtime === null) return;
    const left = this.#lastActivity + this.#idleTimeoutMs - runtime.context.clock.now();
    if (left > 1) runtime.context.wheel.arm(this.#idleTimer, left);
    else this.fail(this.#requestEnded ? failures.streamIdle : failures.requestIdle);
  }

  #onDuration(): void {
    if (this.grpc !== null && this.grpc.deadlineAt > 0) this.#upstream.onCallDeadline();
    this.fail(failures.maxDuration);
  }

  // The caller's side.

  onRequestData(bytes: Buffer, payload: number): void {
    const runtime = this.#runtime;
    if (runtime === null || this.#phase === Phase.done) return;
    this.info.bytesReceived += payload;
    if (this.grpc !== null) this.grpc.onRequestData(bytes);
    this.#lastActivity = runtime.context.clock.now();
    if (this.#phase === Phase.filters) {
      this.#early.push(owned(bytes));
      if (this.info.bytesReceived > runtime.bufferLimit) this.pauseRequest();
      return;
    }
    this.#passData(bytes);
  }

  #passData(bytes: Buffer): void {
    if (this.#mirrors !== null) for (const mirror of this.#mirrors) mirror.sendData(bytes);
    this.#upstream.sendData(bytes);
  }

  onRequestEnd(trailers: HeaderMap | null): void {
    const runtime = this.#runtime;
    if (runtime === null || this.#phase === Phase.done) return;
    this.#requestEnded = true;
    const kept = this.#carriesTrailers ? trailers : null;
    this.#trailers = kept;
    this.info.requestEndAt = runtime.context.clock.now();
    if (this.#phase === Phase.responding && this.#response.status === 101 && this.#stream?.ownsConnection) {
      if (this.#upstream.isMultiplexed) {
        this.#cutTunnel(this.#stream);
        return;
      }
      this.#noteCallerGone();
    }
    if (this.#phase !== Phase.filters) this.#passEnd(kept);
  }

  /** As in Envoy, HTTP/1 has trailers only where that is asked for. */
  get #carriesTrailers(): boolean {
    return this.#stream?.ownsConnection === false || this.#runtime?.config.http1.enableTrailers === true;
  }

  #passEnd(trailers: HeaderMap | null): void {
    if (this.#mirrors !== null) for (const mirror of this.#mirrors) mirror.sendEnd();
    this.#upstream.sendEnd(trailers);
  }

  onDownstreamReset(flag: number, details: string): void {
    if (this.#phase === Phase.done || this.#runtime === null) return;
    this.info.flags |= flag;
    this.info.responseCodeDetails = details;
    this.#upstream.cancel();
    this.#finish();
  }

  /** As in Envoy, who leaves a tunnel that goes on as a stream leaves it both ways. */
  #cutTunnel(stream: DownstreamStream): void {
    this.#noteCallerGone();
    this.#upstream.cancel();
    stream.abort();
    this.#finish();
  }

  /** A tunnel ends like this too: whoever ends it first is named in the log. */
  #noteCallerGone(): void {
    this.info.flags |= Flag.DC;
    this.info.responseCodeDetails = DISCONNECTED;
  }

  onDownstreamWritable(): void {
    this.#upstream.resumeResponse();
  }

  onDownstreamEnded(): void {
    this.#finish();
  }

  pauseRequest(): void {
    this.#stream?.pauseRequest();
  }

  resumeRequest(): void {
    this.#stream?.resumeRequest();
  }

  // The upstream's side.

  get timeoutOptions(): TimeoutOptions {
    return (this.#runtime as HttpRuntime).timeoutOptions;
  }

  get wantsUnframed(): boolean {
    return this.#stream?.wantsUnframed ?? false;
  }

  /** `auto_host_rewrite`: the host that was chosen gives the request its name, anew for each attempt. */
  onHostChosen(hostname: string): void {
    const route = this.#route;
    if (route === null || !route.autoHostRewrite || hostname === "") return;
    const keepOriginal = this.#runtime?.keepOriginals ?? false;
    rewriteAuthority(this.request, hostname, route.appendForwardedHost, keepOriginal);
  }

  /** The request is about to be sent, for the first time or again. */
  onAttempt(): void {
    if (this.#route?.includeRequestAttemptCount) {
      this.request.headers.set("x-envoy-attempt-count", String(this.info.attempts));
    }
  }

  onRetry(status: number, delayMs: number): void {
    this.#trace?.event("retry", {
      "http.response.status_code": status,
      "outrigger.retry.delay_ms": Math.round(delayMs),
    });
  }

  /** False: the caller reads more slowly than the upstream sends. */
  onUpstreamInformational(head: ResponseHead): boolean {
    // RFC 9110, section 15.2: 100 belongs to the hop that asked for it; it passes only if the request's Expect did.
    if (head.status === 100 && !this.#runtime?.config.proxy100Continue) return true;
    return this.#stream?.sendInformational(head) ?? true;
  }

  onUpstreamHead(head: ResponseHead, body: BodyKind, now: number): void {
    const runtime = this.#runtime;
    const stream = this.#stream;
    if (runtime === null || stream === null) return;
    this.#phase = Phase.responding;
    this.#response = head;
    this.#lastActivity = now;
    const { info, request } = this;
    info.responseCode = head.status;
    info.responseCodeDetails = "via_upstream";
    if (this.grpc !== null) this.grpc.countResponses(body !== Body.chunked);
    runtime.stages.mutateUpstreamResponse(head, info);
    if (info.setCookies !== null) for (const value of info.setCookies) head.headers.append("set-cookie", value);
    const route = this.#route;
    if (route !== null) {
      if (route.includeAttemptCountInResponse) head.headers.set("x-envoy-attempt-count", String(info.attempts));
      route.applyResponse(head.headers, info, request);
    }
    applyChanges(this.#responseChanges, head);
    runtime.stages.mutateResponse(head, info, request);
    if (this.headRequest && stream.ownsConnection) frameHeadResponse(head);
    if (this.#webSocket && head.status !== 101 && head.status < 400) {
      this.#refuseHandshake(stream, head);
      return;
    }
    // HTTP/2 needs no length to say that there is no body.
    if (body === Body.none && stream.ownsConnection && !this.headRequest) describeNothing(head);
    stream.sendHead(head, body);
    if (head.status === 101) {
      stream.startTunnel();
      this.#idleTimeoutMs = runtime.config.streamIdleTimeoutMs;
    }
  }

  #refuseHandshake(stream: DownstreamStream, head: ResponseHead): void {
    frameRefusedHandshake(head, stream);
    this.info.responseCodeDetails = "websocket_handshake_unsuccessful";
    stream.sendHead(head, Body.none);
    this.#upstream.cancel();
    this.#complete(stream, null);
  }

  /** False: the caller reads more slowly than the upstream sends. */
  onUpstreamData(bytes: Buffer, payload: number): boolean {
    const runtime = this.#runtime;
    const stream = this.#stream;
    if (runtime === null || stream === null) return true;
    this.info.bytesSent += payload;
    if (this.grpc !== null) this.grpc.onResponseData(bytes);
    this.#lastActivity = runtime.context.clock.now();
    return stream.sendData(bytes);
  }

  flushResponse(): void {
    this.#stream?.flush();
  }

  /** `cut`: by the end of the upstream's connection. */
  onUpstreamEnd(trailers: HeaderMap | null, cut: boolean): void {
    const runtime = this.#runtime;
    const stream = this.#stream;
    if (runtime === null || stream === null) return;
    this.info.upstreamLastByteReceivedAt = runtime.context.clock.now();
    const kept = this.#carriesTrailers ? trailers : null;
    // What is not passed on is logged all the same.
    this.#responseTrailers = trailers;
    const { info } = this;
    if (cut && info.responseCode === 101 && (info.flags & Flag.DC) === 0) {
      info.flags |= failures.connection_termination.flags;
      info.responseCodeDetails = afterResponse(failures.connection_termination);
    }
    this.#complete(stream, kept);
  }

  // Local replies.

  /** Ends the exchange because of a failure: an answer if none has begun, else a visible cut. */
  fail(failure: Failure, detail = ""): void {
    const stream = this.#stream;
    const runtime = this.#runtime;
    if (stream === null || runtime === null || this.#phase === Phase.done) return;
    const { info } = this;
    info.flags |= failure.flags;
    info.explanation = detail === "" ? failure.sentence : `${failure.sentence}: ${detail}`;
    this.#upstream.cancel();
    if (this.#phase === Phase.responding) {
      info.responseCodeDetails = afterResponse(failure);
      // A gRPC library makes INTERNAL of a reset, and tells nothing. What still waits for the caller's window would hold
      // trailers up, perhaps for ever.
      if (this.grpc !== null && runtime.callerIsLocal && this.request.protocol === "HTTP/2" && !stream.hasPending) {
        const text = runtime.localReplies.explain(failure, info);
        this.#responseTrailers = grpcTrailers(failure, text);
        this.#complete(stream, this.#responseTrailers);
        return;
      }
      stream.abort();
      this.#finish();
      return;
    }
    let body = info.attempts > 1 ? afterRetry(failure) : failure.body;
    if (runtime.callerIsLocal) body = runtime.localReplies.explain(failure, info);
    const head = this.#localHead(failure.status, withTransportFailure(failure, info.upstreamTransportFailure));
    if (this.#phase === Phase.upstream && this.#route?.includeAttemptCountInResponse) {
      head.headers.append("x-envoy-attempt-count", String(info.attempts));
    }
    if (failure.overloaded) head.headers.append("x-envoy-overloaded", "true");
    this.#sendLocal(head, body, failure.grpcStatus);
  }

  answer(status: number, details: string, write: (headers: HeaderMap) => void): void {
    const runtime = this.#runtime;
    const stream = this.#stream;
    if (runtime === null || stream === null || this.#phase !== Phase.filters) return;
    const { info, request } = this;
    const head = this.#localHead(status, details);
    write(head.headers);
    describeBody(head, "", this.headRequest || request.protocol === "HTTP/2");
    applyChanges(this.#responseChanges, head);
    this.#response = head;
    runtime.stages.mutateLocalResponse(head, info, request);
    this.#phase = Phase.responding;
    stream.sendHead(head, Body.none);
    this.#complete(stream, null);
  }

  onResponse(change: (headers: HeaderMap) => void): void {
    this.#responseChanges ??= [];
    this.#responseChanges.push(change);
  }

  localReply(status: number, body: string, details: string, flags: number, grpcStatus?: number): void {
    if (this.#phase === Phase.done || this.#phase === Phase.responding) return;
    this.info.flags |= flags;
    this.#sendLocal(this.#localHead(status, details), body, grpcStatus);
  }

  /** The caller left in the middle of a head: there is nobody to answer, but logs know of it, as Envoy's do. */
  abandon(runtime: HttpRuntime, connection: ConnectionInfo): void {
    this.request.clear();
    this.#open(runtime, null, connection);
    this.onDownstreamReset(Flag.DC, DISCONNECTED);
  }

  /** The request is not taken, and its stream ends without an answer: logs know of it. */
  refuse(runtime: HttpRuntime, connection: ConnectionInfo, refusal: Refusal): void {
    const { protocol } = this.request;
    this.request.clear();
    this.request.protocol = protocol;
    this.#open(runtime, null, connection);
    const { info } = this;
    info.flags |= refusal.flag;
    info.responseCodeDetails = refusal.details;
    info.explanation = refusal.sentence;
    this.#finish();
  }

  /** The request was malformed or too slow: answered, and the connection ends. */
  reject(runtime: HttpRuntime, stream: DownstreamStream, connection: ConnectionInfo, failure: Failure): void {
    if (this.#phase === Phase.idle) this.#open(runtime, stream, connection);
    this.fail(failure);
  }

  #localHead(status: number, details: string): ResponseHead {
    const head = this.#localResponse;
    head.clear();
    head.status = status;
    this.info.responseCode = status;
    this.info.responseCodeDetails = details;
    return head;
  }

  /** `byRoute`: the answer is the route's own. */
  #sendLocal(head: ResponseHead, text: string, grpcStatus?: number, byRoute = false): void {
    const runtime = this.#runtime;
    const stream = this.#stream;
    if (runtime === null || stream === null) return;
    const { info } = this;
    this.#response = head;
    const bytes = composeLocalReply(runtime, stream, head, text, {
      info,
      request: this.request,
      headRequest: this.headRequest,
      isGrpc: this.grpc !== null,
      route: this.#route,
      byRoute,
      grpcStatus,
      changeResponse: (answer) => applyChanges(this.#responseChanges, answer),
    });
    this.#phase = Phase.responding;
    stream.sendHead(head, bytes === null ? Body.none : Body.length);
    if (bytes !== null) {
      info.bytesSent += bytes.length;
      stream.sendData(bytes);
    }
    this.#complete(stream, null);
  }

  #complete(stream: DownstreamStream, trailers: HeaderMap | null): void {
    // Until the caller's window lets all of it go it may still be cut, which would have to be seen.
    if (!stream.hasPending) {
      // Observed and recycled first: ending the response may begin the next request on this very connection.
      this.#finish();
    }
    stream.sendEnd(trailers);
  }

  #finish(): void {
    const runtime = this.#runtime;
    if (runtime === null) return;
    this.#phase = Phase.done;
    const { info } = this;
    const { clock, wheel } = runtime.context;
    info.endedAt = clock.now();
    wheel.cancel(this.#idleTimer);
    wheel.cancel(this.#durationTimer);
    if (this.#endCallbacks !== null) {
      for (const callback of this.#endCallbacks) callback();
      this.#endCallbacks = null;
    }
    this.#responseChanges = null;
    if (this.#mirrors !== null) {
      if (!this.#requestEnded) for (const mirror of this.#mirrors) mirror.cancel();
      this.#mirrors = null;
    }
    if (this.grpc !== null) this.grpc.finish(info, this.#response.headers, this.#responseTrailers);
    runtime.observe(info, this.request, this.#response, this.#route, this.#responseTrailers);
    if (this.#trace !== null) {
      this.#trace.finish(info, this.request);
      this.#trace = null;
    }
    this.#runtime = null;
    this.#stream = null;
    this.#route = null;
    this.#trailers = null;
    this.#responseTrailers = null;
    this.#response = this.#localResponse;
    if (this.#early.length > 0) this.#early = [];
    this.#phase = Phase.idle;
    this.#recycle(this);
  }
}
