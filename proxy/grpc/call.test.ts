import assert from "node:assert/strict";
import { test } from "node:test";
import { HeaderMap } from "../../core/header-map.ts";
import { Flag } from "../../model/flags.ts";
import { StreamInfo } from "../../telemetry/stream-info.ts";
import { GrpcCall } from "./call.ts";

const fields = (status?: string): HeaderMap => HeaderMap.of(status === undefined ? {} : { "grpc-status": status });

/** An endpoint that notes what it is told, and a call that has begun. */
function setup() {
  const monitored: number[] = [];
  const counted: boolean[] = [];
  const endpoint = {
    monitor: { onResponse: (status: number) => void monitored.push(status) },
    countResponse: (success: boolean) => void counted.push(success),
  };
  const call = new GrpcCall();
  call.begin(true);
  return { call, endpoint, monitored, counted };
}

test("an answer without a message says all in its head", () => {
  for (const own of [false, true]) {
    const { call, endpoint, monitored, counted } = setup();
    call.onHead(endpoint, 200, fields("14"), true, own);
    assert.deepEqual(counted, []);
    call.onAccepted(endpoint);
    assert.equal(call.served, false);
    call.onEnd(endpoint, null);
    assert.deepEqual([monitored, counted], [[503], [false]]);
  }
});

test("as in Envoy, outlier detection does not hear of trailers, but the endpoint's numbers do", () => {
  const { call, endpoint, monitored, counted } = setup();
  call.onHead(endpoint, 200, fields(), false, false);
  call.onAccepted(endpoint);
  assert.deepEqual([call.served, monitored, counted], [null, [200], []]);
  call.onEnd(endpoint, fields("14"));
  assert.deepEqual([call.served, monitored, counted], [false, [200], [false]]);
});

test("under the own policy outlier detection waits for the trailers", () => {
  const { call, endpoint, monitored, counted } = setup();
  call.onHead(endpoint, 200, fields(), false, true);
  assert.deepEqual(monitored, []);
  call.onEnd(endpoint, fields("13"));
  assert.deepEqual([call.served, monitored, counted], [false, [500], [false]]);
});

test("what the caller is to blame for speaks for the endpoint", () => {
  const { call, endpoint, monitored, counted } = setup();
  call.onHead(endpoint, 200, fields(), false, true);
  call.onEnd(endpoint, fields("5"));
  assert.deepEqual([call.served, monitored, counted], [true, [200], [true]]);
});

test("the end of a stream without a status is an error", () => {
  for (const trailers of [null, fields()]) {
    const { call, endpoint, monitored, counted } = setup();
    call.onHead(endpoint, 200, fields(), false, true);
    call.onEnd(endpoint, trailers);
    assert.deepEqual([call.served, monitored, counted], [false, [500], [false]]);
  }
});

test("an HTTP status that is none of gRPC's is taken for what it stands for, at once", () => {
  const { call, endpoint, monitored, counted } = setup();
  call.onHead(endpoint, 503, fields(), false, false);
  call.onAccepted(endpoint);
  assert.deepEqual([call.served, monitored, counted], [false, [503], [false]]);
  call.onEnd(endpoint, null);
  assert.deepEqual([monitored, counted], [[503], [false]]);
  const missing = setup();
  missing.call.onHead(missing.endpoint, 404, fields(), true, true);
  assert.deepEqual([missing.call.served, missing.monitored], [true, [200]]);
});

test("an answer that is not passed on counts against the endpoint, once", () => {
  const known = setup();
  known.call.onHead(known.endpoint, 200, fields("1"), true, false);
  known.call.onRetried(known.endpoint);
  assert.deepEqual([known.monitored, known.counted], [[499], [false]]);
  const unknown = setup();
  unknown.call.onHead(unknown.endpoint, 200, fields(), false, true);
  unknown.call.onRetried(unknown.endpoint);
  assert.deepEqual([unknown.monitored, unknown.counted], [[500], [false]]);
  unknown.call.onHead(unknown.endpoint, 200, fields("0"), true, true);
  unknown.call.onAccepted(unknown.endpoint);
  unknown.call.onEnd(unknown.endpoint, null);
  assert.deepEqual(
    [unknown.monitored, unknown.counted],
    [
      [500, 200],
      [false, true],
    ],
  );
});

test("the first message is enough for an endpoint that is being probed, and is told once", () => {
  const { call, endpoint, monitored } = setup();
  call.onHead(endpoint, 200, fields(), false, true);
  call.onFirstMessage(endpoint);
  call.onFirstMessage(endpoint);
  call.onEnd(endpoint, fields("14"));
  assert.deepEqual(monitored, [200]);
});

test("a call that is used again remembers nothing", () => {
  const { call, endpoint, monitored, counted } = setup();
  call.onRequestData(Buffer.from([0, 0, 0, 0, 9, 1]));
  call.onHead(endpoint, 200, fields(), false, true);
  call.countResponses(true);
  call.onResponseData(Buffer.from([0, 0, 0, 0, 0, 0]));
  assert.deepEqual([call.requestMessages, call.responseMessages], [1, 1]);
  call.begin(false);
  call.onRequestData(Buffer.from([0, 0, 0, 0, 0]));
  call.onResponseData(Buffer.from([0, 0, 0, 0, 0]));
  call.onEnd(endpoint, fields("0"));
  assert.deepEqual([call.requestMessages, call.responseMessages, call.served], [0, 0, true]);
  // The new answer's end counts; outlier detection does not wait for it any more.
  assert.deepEqual([monitored, counted], [[], [true]]);
});

test("what metrics and traces say of the end", () => {
  const info = new StreamInfo({
    id: 1,
    remoteAddress: "",
    remotePort: 0,
    localAddress: "",
    localPort: 0,
    tls: null,
    listener: "",
    filterChain: "",
  });
  const status = (code: number, flags: number, head?: string, trailers?: string): number | null => {
    const { call } = setup();
    info.responseCode = code;
    info.flags = flags;
    call.finish(info, fields(head), trailers === undefined ? null : fields(trailers));
    return call.status;
  };
  assert.equal(status(200, 0, undefined, "5"), 5);
  assert.equal(status(200, 0, "14"), 14);
  assert.equal(status(200, 0), 2);
  // The caller left: before the answer, in it, and after all was said.
  assert.equal(status(0, Flag.DC, "14"), 1);
  assert.equal(status(200, Flag.DC), 1);
  assert.equal(status(200, Flag.DC, undefined, "0"), 0);
});
