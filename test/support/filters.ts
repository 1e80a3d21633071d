/** A filter context that notes what a stage did with it. */
import type { SimulatedClock } from "../../core/clock.ts";
import type { HeaderMap } from "../../core/header-map.ts";
import type { FilterContext } from "../../proxy/filters/filter.ts";
import type { RequestHead } from "../../proxy/http/message.ts";
import { StreamInfo } from "../../telemetry/stream-info.ts";
import { connection, request as makeRequest } from "./routes.ts";

export interface Reply {
  readonly status: number;
  readonly body: string;
  readonly details: string;
  readonly flags: number;
  readonly grpcStatus: number | undefined;
}

export interface Answer {
  readonly status: number;
  readonly details: string;
  readonly write: (headers: HeaderMap) => void;
}

export class FakeContext implements FilterContext {
  readonly request: RequestHead;
  readonly info: StreamInfo;
  readonly replies: Reply[] = [];
  readonly answers: Answer[] = [];
  /** What is to be done to the response's head. */
  readonly changes: ((headers: HeaderMap) => void)[] = [];
  resumed = 0;
  /** Whether another route is found by now. */
  rerouted = false;
  readonly #clock: SimulatedClock | null;
  readonly #ends: (() => void)[] = [];
  #ended = false;

  constructor(
    request: RequestHead = makeRequest("/"),
    info: StreamInfo = new StreamInfo(connection()),
    clock: SimulatedClock | null = null,
  ) {
    this.request = request;
    this.info = info;
    this.#clock = clock;
  }

  localReply(status: number, body: string, details: string, flags: number, grpcStatus?: number): void {
    this.replies.push({ status, body, details, flags, grpcStatus });
    this.end();
  }

  answer(status: number, details: string, write: (headers: HeaderMap) => void): void {
    this.answers.push({ status, details, write });
    this.end();
  }

  onResponse(change: (headers: HeaderMap) => void): void {
    this.changes.push(change);
  }

  reroute(): boolean {
    return this.rerouted;
  }

  resume(): void {
    this.resumed++;
  }

  delay(delayMs: number, callback: () => void): void {
    this.#clock?.after(delayMs, () => {
      if (!this.#ended) callback();
    });
  }

  onEnd(callback: () => void): void {
    this.#ends.push(callback);
  }

  /** The exchange is over. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    for (const callback of this.#ends) callback();
  }
}

/** Counters that are found by name, and what they count to. */
export class FakeCounters {
  readonly counts: Record<string, number> = {};

  readonly counter = (filter: string, outcome: string): { inc(): void } => ({
    inc: () => {
      const name = `${filter}.${outcome}`;
      this.counts[name] = (this.counts[name] ?? 0) + 1;
    },
  });
}
