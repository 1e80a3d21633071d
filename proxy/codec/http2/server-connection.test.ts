/** How a caller's connection waits, drains and ends, on simulated time; what it refuses is h2spec's to say. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { HeaderMap } from "../../../core/header-map.ts";
import type { Http2Options } from "../../../model/http.ts";
import {
  Code,
  data,
  Flag,
  frame,
  headers,
  literals,
  PREFACE,
  request,
  rstStream,
  Setting,
  settings,
  Type,
  windowUpdate,
} from "../../../test/support/http2-frames.ts";
import { ResponseHead } from "../../http/message.ts";
import { Body } from "../stream.ts";
import type { Http2ServerOptions } from "./server-connection.ts";
import { Pair, respond, type ServerCall } from "./testing/pair.ts";
import { takeFrames, type WrittenFrame } from "./testing/wire.ts";

/** A server whose client the test plays. */
function setup(options: Partial<Http2ServerOptions> = {}, http2: Partial<Http2Options> = {}) {
  const pair = new Pair({ options, server: http2 });
  const { serverSocket: socket, server } = pair;
  socket.peer = null;
  const send = (...frames: readonly Buffer[]): void => void socket.emit("data", Buffer.concat(frames));
  const written = (): readonly WrittenFrame[] => {
    server.outbox.flush();
    return takeFrames(socket);
  };
  /** What was written of a type: GOAWAY's and RST_STREAM's numbers. */
  const codes = (type: number): number[][] =>
    written()
      .filter((one) => one.type === type)
      .map(({ stream, payload }) =>
        type === Type.goaway ? [payload.readUInt32BE(0), payload.readUInt32BE(4)] : [stream, payload.readUInt32BE(0)],
      );
  send(PREFACE, settings());
  return { pair, pass: (ms: number) => pair.pass(ms), socket, send, written, codes, served: pair.served };
}

const get = (stream: number): Buffer => headers(stream, request("/"));
const post = (stream: number): Buffer => headers(stream, request("/", [], "POST"), 0);
const LAST = 2 ** 31 - 1;

describe("a drain", () => {
  test("tells in two steps: what comes in between is served, what comes later refused", () => {
    const { pair, pass, socket, send, codes, served } = setup();
    send(get(1));
    pair.server.drain(100);
    assert.deepEqual(codes(Type.goaway), [[LAST, Code.noError]]);
    send(get(3));
    assert.equal(served.length, 2);
    pass(110);
    assert.deepEqual(codes(Type.goaway), [[3, Code.noError]]);
    send(get(5));
    assert.equal(served.length, 2);
    assert.deepEqual(codes(Type.rstStream), [[5, Code.refusedStream]]);
    for (const call of served) respond(call, 200);
    assert.ok(socket.writableEnded);
  });

  test("of an idle connection ends it after the grace", () => {
    const { pair, pass, socket, codes } = setup();
    pair.server.drain(500);
    // Asked again, the shorter time holds.
    pair.server.drain(100);
    pair.server.drain(900);
    pass(60);
    assert.ok(!socket.writableEnded);
    pass(60);
    assert.ok(socket.writableEnded);
    assert.deepEqual(codes(Type.goaway), [
      [LAST, Code.noError],
      [0, Code.noError],
    ]);
    pass(200);
    assert.ok(socket.destroyed);
    assert.equal(pair.wheel.size, 0);
  });

  test("lets a call go on for as long as it takes", () => {
    const { pair, pass, socket, send, served } = setup();
    send(post(1));
    pair.server.drain(100);
    pass(100_000);
    send(data(1, "late", Flag.endStream));
    assert.equal(served[0]?.content.toString(), "late");
    assert.ok(!socket.writableEnded);
    respond(served[0] as ServerCall, 200);
    assert.ok(socket.writableEnded);
  });
});

describe("a connection ends", () => {
  test("when nothing was asked of it for idle_timeout, counted from its last stream's end", () => {
    const { pass, socket, send, served, codes } = setup({ idleTimeoutMs: 1000, drainMs: 100 });
    pass(800);
    send(get(1));
    pass(5000);
    respond(served[0] as ServerCall, 200);
    assert.deepEqual(codes(Type.goaway), []);
    pass(900);
    assert.ok(!socket.writableEnded);
    pass(120);
    assert.deepEqual(codes(Type.goaway), [[LAST, Code.noError]]);
    pass(120);
    assert.ok(socket.writableEnded);
  });

  test("after max_connection_duration, once its calls are over", () => {
    const { pass, socket, send, served } = setup({ maxDurationMs: 1000, drainMs: 100 });
    send(get(1));
    pass(1200);
    assert.ok(!socket.writableEnded);
    respond(served[0] as ServerCall, 200);
    assert.ok(socket.writableEnded);
  });

  test("after max_requests_per_connection, and takes no more", () => {
    const { socket, send, served, codes } = setup({ maxRequests: 2 });
    send(get(1), get(3), get(5));
    assert.equal(served.length, 2);
    const goaways = codes(Type.goaway);
    assert.equal(goaways.length, 1);
    for (const call of served) respond(call, 200);
    assert.ok(socket.writableEnded);
  });
});

describe("a request", () => {
  test("above the limit of streams is refused, and the next after one has ended is not", () => {
    const { send, served, codes } = setup({}, { maxConcurrentStreams: 2 });
    send(get(1), get(3), get(5));
    assert.equal(served.length, 2);
    assert.deepEqual(codes(Type.rstStream), [[5, Code.refusedStream]]);
    respond(served[0] as ServerCall, 200);
    send(get(7));
    assert.equal(served.length, 3);
  });

  test("whose head never ends is timed out by request_headers_timeout", () => {
    const { pass, send, pair, written } = setup({ headTimeoutMs: 200 });
    const block = literals(request("/"));
    send(frame(Type.headers, Flag.endStream, 1, block.subarray(0, 5)));
    pass(150);
    send(frame(Type.continuation, 0, 1, block.subarray(5, 9)));
    assert.equal(pair.server.activeStreams, 1);
    pass(80);
    const frames = written();
    assert.ok(frames.some(({ type, flags }) => type === Type.headers && (flags & Flag.endStream) !== 0));
    assert.deepEqual(
      frames.filter(({ type }) => type === Type.rstStream).map(({ payload }) => payload.readUInt32BE(0)),
      [Code.noError],
    );
    assert.equal(pair.server.activeStreams, 0);
    // The rest of the head is no offence, and the connection goes on.
    send(frame(Type.continuation, Flag.endHeaders, 1, block.subarray(9)), get(3));
    assert.equal(pair.served.length, 1);
    assert.equal(pair.wheel.size, 0);
  });

  test("whose body never ends is timed out by request_timeout, which its end stops", () => {
    const { pass, send, pair, served } = setup({ requestTimeoutMs: 300 });
    send(post(1), post(3), data(3, "", Flag.endStream));
    pass(350);
    assert.deepEqual(
      served.map(({ timedOut }) => timedOut),
      [true, false],
    );
    assert.equal(pair.wheel.size, 0);
  });

  test("that was answered before it ended is not wanted any more", () => {
    const { send, served, codes, pair } = setup();
    send(post(1), data(1, "abc"));
    respond(served[0] as ServerCall, 200, "early");
    assert.deepEqual(codes(Type.rstStream), [[1, Code.noError]]);
    send(data(1, "def", Flag.endStream));
    assert.deepEqual([codes(Type.goaway), codes(Type.rstStream), pair.server.activeStreams], [[], [], 0]);
  });

  test("has its end told apart from a reset, with Envoy's words", () => {
    const { send, served } = setup();
    send(post(1), rstStream(1, Code.cancel), post(3), rstStream(3, Code.refusedStream));
    send(post(5), windowUpdate(5, LAST));
    assert.deepEqual(
      served.map(({ resets }) => resets),
      [["http2.remote_reset"], ["http2.remote_refuse"], ["http2.remote_reset"]],
    );
  });
});

describe("a response", () => {
  const answer = (call: ServerCall, body: string): void => {
    const head = new ResponseHead();
    head.status = 200;
    call.stream?.sendHead(head, Body.unbounded);
    call.stream?.sendData(Buffer.from(body));
  };

  test("that waits for a window is over when its end was written", () => {
    const { send, served, written } = setup();
    send(settings([Setting.initialWindowSize, 3]), get(1));
    const call = served[0] as ServerCall;
    answer(call, "abcdef");
    assert.equal(call.stream?.hasPending, true);
    call.stream?.sendEnd(HeaderMap.of({ "x-sum": "6" }));
    assert.equal(call.endedLater, 0);
    send(windowUpdate(1, 2));
    assert.equal(call.endedLater, 0);
    send(windowUpdate(1, 1));
    assert.equal(call.endedLater, 1);
    const content = written().filter(({ type }) => type === Type.data);
    assert.equal(Buffer.concat(content.map(({ payload }) => payload)).toString(), "abcdef");
  });

  test("that waits for a window and is reset has not ended", () => {
    const { send, served, pair } = setup();
    send(settings([Setting.initialWindowSize, 0]), get(1));
    const call = served[0] as ServerCall;
    answer(call, "abc");
    call.stream?.sendEnd(null);
    send(rstStream(1, Code.cancel));
    assert.deepEqual([call.endedLater, call.resets.length, pair.server.activeStreams], [0, 1, 0]);
  });

  test("without anything waiting ends at once", () => {
    const { send, served } = setup();
    send(get(1));
    const call = served[0] as ServerCall;
    answer(call, "abc");
    assert.equal(call.stream?.hasPending, false);
    call.stream?.sendEnd(null);
    assert.equal(call.endedLater, 0);
  });
});

describe("a flood ends with ENHANCE_YOUR_CALM", () => {
  test("if the peer makes us reset stream after stream", () => {
    const { send, codes, pair } = setup();
    for (let id = 1; id < 1000; id += 2) send(get(id), windowUpdate(id, LAST));
    assert.deepEqual(codes(Type.goaway).at(-1)?.[1], Code.enhanceYourCalm);
    assert.equal(pair.serverStats.premature_reset_flood, 1);
  });

  test("if it resets streams that are long gone faster than Envoy's bucket fills", () => {
    const { send, codes, served } = setup({}, { streamResetBurst: 10, streamResetRate: 1 });
    send(get(1));
    respond(served[0] as ServerCall, 200);
    for (let i = 0; i < 11; i++) send(rstStream(1, Code.cancel));
    assert.deepEqual(codes(Type.goaway).at(-1)?.[1], Code.enhanceYourCalm);
  });
});
