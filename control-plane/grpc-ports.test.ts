import assert from "node:assert/strict";
import { test } from "node:test";
import {
  Client,
  credentials,
  type ServerUnaryCall,
  type ServiceError,
  type sendUnaryData,
  status,
} from "@grpc/grpc-js";
import { SimulatedClock, systemClock } from "../core/clock.ts";
import { bindGrpc, plaintext } from "./grpc-ports.ts";
import { until } from "./testing/until.ts";

const text = { serialize: (value: string) => Buffer.from(value), deserialize: (bytes: Buffer) => bytes.toString() };
const definition = {
  ask: {
    path: "/test.Service/Ask",
    requestStream: false,
    responseStream: false,
    requestSerialize: text.serialize,
    requestDeserialize: text.deserialize,
    responseSerialize: text.serialize,
    responseDeserialize: text.deserialize,
  },
} as const;

/** A port whose calls wait until they are answered by hand. */
async function fixture() {
  const asked: sendUnaryData<string>[] = [];
  const implementation = {
    ask: (_: ServerUnaryCall<string, string>, answer: sendUnaryData<string>) => void asked.push(answer),
  };
  const port = await bindGrpc("127.0.0.1", 0, plaintext, [{ definition, implementation }]);
  const client = new Client(`127.0.0.1:${port.port}`, credentials.createInsecure());
  const ask = (): Promise<string | ServiceError> =>
    new Promise((resolve) => {
      const { path } = definition.ask;
      client.makeUnaryRequest(path, text.serialize, text.deserialize, "?", (error, value) =>
        resolve(error ?? value ?? ""),
      );
    });
  return { port, client, asked, ask };
}

test("a port that drains answers what was asked, and takes no more", async () => {
  const { port, client, asked, ask } = await fixture();
  const first = ask();
  await until("the call has come", () => asked.length === 1);
  const drained = port.drain(systemClock);
  asked[0]?.(null, "late, and yet");
  assert.equal(await first, "late, and yet");
  await drained;
  const second = await ask();
  assert.ok(second instanceof Error);
  assert.equal(second.code, status.UNAVAILABLE);
  client.close();
});

test("what takes too long is cut", async () => {
  const clock = new SimulatedClock();
  const { port, client, asked, ask } = await fixture();
  const call = ask();
  await until("the call has come", () => asked.length === 1);
  const drained = port.drain(clock);
  clock.advance(2000);
  await drained;
  assert.ok((await call) instanceof Error);
  client.close();
});
