/** `@grpc/grpc-js` on both ends, two sidecars with mutual TLS between them: every kind of call, its end and its memory. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { after, before, describe, test } from "node:test";
import grpc from "@grpc/grpc-js";
import { ECHO, EchoClient, startEcho } from "../support/grpc-echo.ts";
import { ASKING_ENVOY } from "../support/subject.ts";
import { startTwoSidecars, type TwoSidecars } from "../support/two-sidecars.ts";
import { until } from "../support/wire.ts";

const MB = 1024 * 1024;
const PART = Buffer.alloc(64 * 1024, "p");
const PARTS = (100 * MB) / PART.length;
/** What a sidecar may add to its memory at rest. */
const MOST_ADDED = 64 * MB;

/** Calls that the server saw cancelled, by what they asked for. */
const cancelled: string[] = [];
/** Parts that the server has sent on `spread`. */
let sent = 0;

let sidecars: TwoSidecars;
let server: grpc.Server;
let client: EchoClient;

before(async () => {
  const echo = await startEcho({
    unary(call, callback) {
      const asked = call.request.toString();
      call.on("cancelled", () => cancelled.push(asked));
      if (asked === "silence") return;
      if (asked === "fail") {
        const metadata = new grpc.Metadata();
        metadata.set("grpc-status-details-bin", Buffer.from([8, 5, 18, 255]));
        metadata.set("x-why", "just so");
        callback({ code: grpc.status.FAILED_PRECONDITION, details: "not ready: 100% \u2713", metadata });
        return;
      }
      const trailers = new grpc.Metadata();
      for (const name of ["x-text", "x-raw-bin"])
        for (const value of call.metadata.get(name)) trailers.add(name, value);
      callback(null, call.request, trailers);
    },
    collect(call, callback) {
      let bytes = 0;
      call.on("data", (part: Buffer) => {
        bytes += part.length;
      });
      call.on("end", () => callback(null, Buffer.from(String(bytes))));
    },
    async spread(call) {
      call.on("cancelled", () => cancelled.push("spread"));
      const count = Number(call.request.toString());
      for (sent = 0; sent < count && !call.cancelled; sent++) if (!call.write(PART)) await once(call, "drain");
      call.end();
    },
    chat(call) {
      call.on("data", (part: Buffer) => {
        if (!call.write(part)) {
          call.pause();
          call.once("drain", () => call.resume());
        }
      });
      call.on("end", () => call.end());
      call.on("cancelled", () => cancelled.push("chat"));
    },
  });
  server = echo.server;
  sidecars = await startTwoSidecars({ backend: echo.port, side: ASKING_ENVOY ? "envoy" : "outrigger" });
  client = new EchoClient(`127.0.0.1:${sidecars.port}`, grpc.credentials.createInsecure());
});

after(async () => {
  client?.close();
  await sidecars?.stop();
  server?.forceShutdown();
});

interface Answer {
  readonly error: grpc.ServiceError | null;
  readonly value: Buffer | undefined;
  readonly trailers: grpc.Metadata;
}

function unary(
  asked: string,
  metadata = new grpc.Metadata(),
  options: grpc.CallOptions = {},
): { readonly call: grpc.ClientUnaryCall; readonly answer: Promise<Answer> } {
  const { path, requestSerialize, responseDeserialize } = ECHO.unary;
  let call: grpc.ClientUnaryCall | undefined;
  const answer = new Promise<Answer>((resolve) => {
    let trailers = new grpc.Metadata();
    let result: Pick<Answer, "error" | "value"> | null = null;
    const settle = (): void => {
      if (result !== null) resolve({ ...result, trailers });
    };
    call = client.makeUnaryRequest(
      path,
      requestSerialize,
      responseDeserialize,
      Buffer.from(asked),
      metadata,
      options,
      (error, value) => {
        result = { error, value };
        setImmediate(settle);
      },
    );
    call.on("status", (status) => {
      trailers = status.metadata;
    });
  });
  return { call: call as grpc.ClientUnaryCall, answer };
}

const spread = (count: number): grpc.ClientReadableStream<Buffer> =>
  client.makeServerStreamRequest(
    ECHO.spread.path,
    ECHO.spread.requestSerialize,
    ECHO.spread.responseDeserialize,
    Buffer.from(String(count)),
  );

const chat = (): grpc.ClientDuplexStream<Buffer, Buffer> =>
  client.makeBidiStreamRequest(ECHO.chat.path, ECHO.chat.requestSerialize, ECHO.chat.responseDeserialize);

function collect(): { readonly call: grpc.ClientWritableStream<Buffer>; readonly answer: Promise<string> } {
  const { path, requestSerialize, responseDeserialize } = ECHO.collect;
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const call = client.makeClientStreamRequest(path, requestSerialize, responseDeserialize, (error, value) => {
    if (error === null) resolve(String(value));
    else reject(error);
  });
  return { call, answer: promise };
}

/** Runs `work` and asserts what it added to the memory of either sidecar at any time. */
async function bounded(work: () => Promise<void>): Promise<void> {
  const rest = sidecars.rss();
  let most = rest;
  const timer = setInterval(() => {
    most = Math.max(most, sidecars.rss());
  }, 20);
  try {
    await work();
  } finally {
    clearInterval(timer);
  }
  assert.ok(most - rest < MOST_ADDED, `from ${rest / MB} to ${most / MB} MB`);
}

describe("gRPC through two sidecars", () => {
  test("metadata and trailers arrive, text and bytes", async () => {
    const metadata = new grpc.Metadata();
    metadata.add("x-text", "one");
    metadata.add("x-raw-bin", Buffer.from([0, 1, 254, 255]));
    metadata.add("x-raw-bin", Buffer.from("second"));
    const { error, value, trailers } = await unary("hello", metadata).answer;
    assert.equal(error, null);
    assert.equal(String(value), "hello");
    assert.deepEqual(trailers.get("x-text"), ["one"]);
    assert.deepEqual(trailers.get("x-raw-bin"), [Buffer.from([0, 1, 254, 255]), Buffer.from("second")]);
  });

  test("a status has its message and its details", async () => {
    const { error } = await unary("fail").answer;
    assert.equal(error?.code, grpc.status.FAILED_PRECONDITION);
    assert.equal(error.details, "not ready: 100% \u2713");
    assert.deepEqual(error.metadata.get("grpc-status-details-bin"), [Buffer.from([8, 5, 18, 255])]);
    assert.deepEqual(error.metadata.get("x-why"), ["just so"]);
  });

  test("a deadline ends a call on both ends", async () => {
    cancelled.length = 0;
    const { error } = await unary("silence", undefined, { deadline: Date.now() + 200 }).answer;
    assert.equal(error?.code, grpc.status.DEADLINE_EXCEEDED);
    await until(() => cancelled.includes("silence"));
  });

  test("a caller's cancellation reaches the server, before an answer and within one", async () => {
    cancelled.length = 0;
    const { call, answer } = unary("silence");
    setTimeout(() => call.cancel(), 100);
    assert.equal((await answer).error?.code, grpc.status.CANCELLED);
    const stream = spread(100_000);
    stream.on("error", () => undefined);
    await once(stream, "data");
    stream.cancel();
    await until(() => cancelled.includes("silence") && cancelled.includes("spread"));
  });

  test("messages of both directions pass each other", async () => {
    const call = chat();
    for (let i = 0; i < 20; i++) {
      const back = once(call, "data");
      call.write(Buffer.from(`message ${i}`));
      assert.equal(String((await back)[0]), `message ${i}`);
    }
    const status = once(call, "status");
    call.end();
    call.resume();
    assert.equal(((await status)[0] as grpc.StatusObject).code, grpc.status.OK);
  });

  test("100 MB towards the server stay within 64 MB of memory", async () => {
    await bounded(async () => {
      const { call, answer } = collect();
      for (let i = 0; i < PARTS; i++) if (!call.write(PART)) await once(call, "drain");
      call.end();
      assert.equal(await answer, String(PARTS * PART.length));
    });
  });

  test("100 MB towards the caller stay within 64 MB of memory", async () => {
    await bounded(async () => {
      let bytes = 0;
      for await (const part of spread(PARTS)) bytes += (part as Buffer).length;
      assert.equal(bytes, PARTS * PART.length);
    });
  });

  test("100 MB each way at once stay within 64 MB of memory", async () => {
    await bounded(async () => {
      const call = chat();
      let bytes = 0;
      call.on("data", (part: Buffer) => {
        bytes += part.length;
      });
      const over = once(call, "end");
      for (let i = 0; i < PARTS; i++) if (!call.write(PART)) await once(call, "drain");
      call.end();
      await over;
      assert.equal(bytes, PARTS * PART.length);
    });
  });

  test("a reader that stands still stops the server, and loses nothing", async () => {
    await bounded(async () => {
      const stream = spread(PARTS);
      let bytes = 0;
      stream.on("data", (part: Buffer) => {
        bytes += part.length;
        if (bytes === PART.length) stream.pause();
      });
      for (let seen = -1; seen !== sent || sent === 0; ) {
        seen = sent;
        await new Promise((resolve) => setTimeout(resolve, 300));
      }
      assert.ok(sent < PARTS, "the server was never stopped");
      const over = once(stream, "end");
      stream.resume();
      await over;
      assert.equal(bytes, PARTS * PART.length);
    });
  });

  test("a writer that takes its time is waited for", async () => {
    const { call, answer } = collect();
    for (let i = 0; i < 8; i++) {
      call.write(PART);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    call.end();
    assert.equal(await answer, String(8 * PART.length));
  });
});
