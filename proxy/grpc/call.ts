/**
 * What there is to know of one gRPC call: how many messages passed, and what its answer says of the endpoint and of the
 * service, which may not be clear before the trailers. Kept by its exchange and used again.
 */
import type { HeaderMap } from "../../core/header-map.ts";
import { Flag } from "../../model/flags.ts";
import { callStatus, GrpcStatus, givenStatus, grpcStatusOf, httpStatusOf } from "../../telemetry/grpc/status.ts";
import type { GrpcInfo, StreamInfo } from "../../telemetry/stream-info.ts";
import { isServiceFailure, outlierStatus } from "./failure.ts";
import { MessageCounter } from "./message-counter.ts";

/** The endpoint that an attempt went to, as far as its answer matters to it. */
export interface AnsweringEndpoint {
  readonly monitor: { onResponse(status: number): void } | null;
  countResponse(success: boolean): void;
}

export class GrpcCall implements GrpcInfo {
  status: number | null = null;
  /** When the deadline is over that the caller set (`grpc-timeout`), on the monotonic clock; 0: none that holds here. */
  deadlineAt = 0;
  readonly #requests = new MessageCounter();
  readonly #responses = new MessageCounter();
  #countsRequests = false;
  #countsResponses = false;
  /** The status of the attempt that is being answered; null while only its trailers can tell. */
  #attempt: number | null = null;
  #own = false;
  /** What the head alone makes of the attempt in the endpoint's statistics; null: they wait for the end of the answer. */
  #headCounts: boolean | null = null;
  /** Outlier detection waits for the end of the answer. */
  #monitorWaits = false;

  /** `counts`: the request's bytes come without chunk framing, and its messages can be counted. */
  begin(counts: boolean): void {
    this.status = null;
    this.deadlineAt = 0;
    this.#requests.reset();
    this.#responses.reset();
    this.#countsRequests = counts;
    this.#countsResponses = false;
    this.#attempt = null;
    this.#headCounts = null;
    this.#monitorWaits = false;
  }

  get requestMessages(): number {
    return this.#requests.count;
  }

  get responseMessages(): number {
    return this.#responses.count;
  }

  onRequestData(bytes: Uint8Array): void {
    if (this.#countsRequests) this.#requests.push(bytes);
  }

  onResponseData(bytes: Uint8Array): void {
    if (this.#countsResponses) this.#responses.push(bytes);
  }

  /** The answer is passed on; `counts` as in `begin`. */
  countResponses(counts: boolean): void {
    this.#countsResponses = counts;
  }

  /** Whether the service did its part in this attempt; null while that is not known. */
  get served(): boolean | null {
    return this.#attempt === null ? null : !isServiceFailure(this.#attempt);
  }

  /**
   * The head of an attempt's answer came; `ended`: it is all there is. Envoy's outlier detection takes the status from the
   * head or counts the 200; under Outrigger's `own` policy it waits for the trailers.
   */
  onHead(endpoint: AnsweringEndpoint, httpStatus: number, headers: HeaderMap, ended: boolean, own: boolean): void {
    const given = givenStatus(headers);
    const final = given !== null || ended || httpStatus !== 200;
    this.#own = own;
    this.#attempt = final ? (given ?? grpcStatusOf(httpStatus)) : null;
    this.#monitorWaits = own && !final;
    if (!own) endpoint.monitor?.onResponse(given === null ? httpStatus : httpStatusOf(given));
    else if (this.#attempt !== null) endpoint.monitor?.onResponse(outlierStatus(this.#attempt, true));
    this.#headCounts =
      !ended && httpStatus < 500 ? null : httpStatus < 500 && given !== null && httpStatusOf(given) < 500;
  }

  /** The attempt's answer is the call's. */
  onAccepted(endpoint: AnsweringEndpoint): void {
    if (this.#headCounts !== null) endpoint.countResponse(this.#headCounts);
  }

  /** The attempt's answer was not good enough: another is made. */
  onRetried(endpoint: AnsweringEndpoint): void {
    if (this.#monitorWaits) endpoint.monitor?.onResponse(httpStatusOf(GrpcStatus.unknown));
    this.#monitorWaits = false;
    endpoint.countResponse(false);
  }

  /** A message came before the outcome: for an endpoint that is being probed that is enough, since a stream may last. */
  onFirstMessage(endpoint: AnsweringEndpoint): void {
    if (!this.#monitorWaits) return;
    this.#monitorWaits = false;
    endpoint.monitor?.onResponse(200);
  }

  /** The answer is over. Without a status it is an error, as in Envoy. */
  onEnd(endpoint: AnsweringEndpoint, trailers: HeaderMap | null): void {
    const status = givenStatus(trailers) ?? this.#attempt ?? GrpcStatus.unknown;
    this.#attempt = status;
    if (this.#monitorWaits) endpoint.monitor?.onResponse(outlierStatus(status, this.#own));
    this.#monitorWaits = false;
    if (this.#headCounts === null) endpoint.countResponse(httpStatusOf(status) < 500);
  }

  /** The exchange is over: what metrics and traces shall say. */
  finish(info: StreamInfo, responseHeaders: HeaderMap, trailers: HeaderMap | null): void {
    const head = info.responseCode === 0 ? null : responseHeaders;
    const given = givenStatus(trailers) ?? givenStatus(head);
    const gone = given === null && (info.flags & Flag.DC) !== 0;
    this.status = gone ? GrpcStatus.cancelled : callStatus(trailers, head, info.responseCode);
  }
}
