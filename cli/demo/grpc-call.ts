/** Calls to the prices service with `@grpc/grpc-js`, measured: never rejects, what went wrong is part of the result. */
import grpc from "@grpc/grpc-js";
import { systemClock } from "../../core/clock.ts";
import { PRICES, type Price } from "./apps/prices-api.ts";

export const PricesClient = grpc.makeGenericClientConstructor(PRICES, "Prices");
export type PricesClient = InstanceType<typeof PricesClient>;

export interface PriceResult {
  /** Monotonic ms, when the call began. */
  readonly startedAt: number;
  readonly ms: number;
  /** `OK`, or another of gRPC's statuses. */
  readonly status: string;
  readonly price: Price | null;
  readonly error: grpc.ServiceError | null;
}

export interface PriceCall {
  /** Counted from now. */
  readonly deadlineMs?: number;
  /** The call that is being answered: its deadline is this one's. */
  readonly parent?: grpc.ServerUnaryCall<object, object>;
}

export function callPrices(client: PricesClient, method: "get" | "quote", call: PriceCall): Promise<PriceResult> {
  const { path, requestSerialize, responseDeserialize } = PRICES[method];
  const { deadlineMs, parent } = call;
  const options: grpc.CallOptions = {
    ...(deadlineMs === undefined ? {} : { deadline: systemClock.wallTime() + deadlineMs }),
    ...(parent === undefined ? {} : { parent, propagate_flags: grpc.propagate.DEFAULTS }),
  };
  const startedAt = systemClock.now();
  return new Promise((resolve) => {
    const finish = (error: grpc.ServiceError | null, price: Price | undefined): void => {
      const ms = systemClock.now() - startedAt;
      const status = grpc.status[error?.code ?? grpc.status.OK] ?? "UNKNOWN";
      resolve({ startedAt, ms, status, price: price ?? null, error });
    };
    client.makeUnaryRequest(path, requestSerialize, responseDeserialize, { item: "shirt" }, options, finish);
  });
}

/** Tells an instance to misbehave, on its own port, past the mesh. Rejects where it does not answer. */
export function cuePrices(port: number, cue: object, timeoutMs: number): Promise<void> {
  const { path, requestSerialize, responseDeserialize } = PRICES.cue;
  const client = new PricesClient(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
  const deadline = systemClock.wallTime() + timeoutMs;
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(path, requestSerialize, responseDeserialize, cue, { deadline }, (error) => {
      client.close();
      if (error === null) resolve();
      else reject(error);
    });
  });
}
