/** The prices service, in gRPC: three instances; on cue, some of its calls fail with UNAVAILABLE. */
import grpc from "@grpc/grpc-js";
import { sleep, systemClock } from "../../../core/clock.ts";
import { systemRandom } from "../../../core/random.ts";
import { callPrices, PricesClient } from "../grpc-call.ts";
import { type Cue, WELL_BEHAVED } from "./cue.ts";
import type { FindPeer } from "./peer.ts";
import { PRICES, type Price } from "./prices-api.ts";

/** What a quote takes before it asks for the price. */
const WORK_MS = 60;

type Get =
  typeof PRICES.get extends grpc.MethodDefinition<infer Request, Price> ? grpc.ServerUnaryCall<Request, Price> : never;

export function prices(port: number, instance: string, find: FindPeer): void {
  let cue: Cue = WELL_BEHAVED;
  const service = find("prices");
  const others = new PricesClient(`${service.host}:${service.port}`, grpc.credentials.createInsecure());
  const server = new grpc.Server();
  server.addService(PRICES, {
    get(call: Get, callback: grpc.sendUnaryData<Price>) {
      if (systemRandom() * 100 < cue.failPercent) {
        callback({ code: grpc.status.UNAVAILABLE, details: "no price today" });
        return;
      }
      callback(null, { instance, cents: 4200, leftMs: [leftOf(call)] });
    },
    async quote(call: Get, callback: grpc.sendUnaryData<Price>) {
      const left = leftOf(call);
      await sleep(systemClock, WORK_MS);
      // gRPC's own way to hand a deadline on: the call belongs to the one that is being answered.
      const { error, price } = await callPrices(others, "get", { parent: call });
      if (price === null) callback(error ?? { code: grpc.status.INTERNAL });
      else callback(null, { ...price, leftMs: [left, ...price.leftMs] });
    },
    cue(call: grpc.ServerUnaryCall<Partial<Cue>, object>, callback: grpc.sendUnaryData<object>) {
      cue = { ...WELL_BEHAVED, ...call.request };
      callback(null, {});
    },
  });
  server.bindAsync(`127.0.0.1:${port}`, grpc.ServerCredentials.createInsecure(), (error) => {
    if (error !== null) throw error;
  });
}

/** Ms until the deadline that the caller told; Infinity where it told none. */
function leftOf(call: Get): number {
  return Number(call.getDeadline()) - systemClock.wallTime();
}
