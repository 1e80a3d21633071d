/** What calls are told of an upstream's connection, and how it ends; servers that break the rules are in `test/h2`. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  Code,
  data,
  Flag,
  goaway,
  headers,
  response,
  rstStream,
  Setting,
  settings,
  Type,
} from "../../../test/support/http2-frames.ts";
import { Body } from "../stream.ts";
import { PREFACE } from "./protocol.ts";
import { Pair, type PairOptions } from "./testing/pair.ts";
import { takeFrames, type WrittenFrame } from "./testing/wire.ts";

/** A client whose server the test plays. */
function setup(options: PairOptions = {}) {
  const pair = new Pair(options);
  const { clientSocket: socket, client } = pair;
  socket.peer = null;
  const send = (...frames: readonly Buffer[]): void => void socket.emit("data", Buffer.concat(frames));
  let skip = PREFACE.length;
  const written = (): readonly WrittenFrame[] => {
    client.outbox.flush();
    const frames = takeFrames(socket, skip);
    skip = 0;
    return frames;
  };
  const resets = (): number[][] =>
    written()
      .filter(({ type }) => type === Type.rstStream)
      .map(({ stream, payload }) => [stream, payload.readUInt32BE(0)]);
  send(settings());
  return { pair, client, socket, send, written, resets };
}

const head = (stream: number, flags = 0, status = 200): Buffer => headers(stream, response(status), flags);

describe("the reason that a call is told", () => {
  const reasons = {
    [Code.noError]: "remote_reset",
    [Code.cancel]: "remote_reset",
    [Code.internalError]: "remote_reset",
    [Code.protocolError]: "protocol_error",
    [Code.refusedStream]: "refused_stream",
    [Code.connectError]: "connect_error",
  };
  for (const [code, reason] of Object.entries(reasons)) {
    test(`is ${reason} for RST_STREAM with ${code}, before the head and after it`, () => {
      const { pair, send } = setup();
      const [early, late] = [pair.call("/"), pair.call("/")];
      send(rstStream(1, Number(code)), head(3), rstStream(3, Number(code)));
      assert.deepEqual([early.failure, late.failure], [reason, reason]);
    });
  }

  test("is the peer's error where we reset its stream", () => {
    const { pair, send, resets } = setup({ client: { streamErrorOnInvalidMessage: true } });
    const calls = [pair.call("/"), pair.call("/"), pair.call("/"), pair.call("/", Body.none, {}, "HEAD")];
    send(data(1, "x"), head(3, 0, 204), data(3, "x"), head(5), head(5), head(7), data(7, "x"));
    assert.deepEqual(
      calls.map(({ failure }) => failure),
      Array(4).fill("protocol_error"),
    );
    assert.deepEqual(
      resets(),
      [1, 3, 5, 7].map((stream) => [stream, Code.protocolError]),
    );
    assert.equal(calls[0]?.head, null);
  });

  test("is a reset where the answer was only too large, which costs no other call anything", () => {
    const { pair, send, resets } = setup();
    const [large, other] = [pair.call("/"), pair.call("/")];
    const many = Array.from({ length: 101 }, (_, i) => [`x-${i}`, "1"] as const);
    send(headers(1, response(200, many)), head(3, Flag.endStream));
    assert.deepEqual([large.failure, other.ends], ["remote_reset", 1]);
    assert.deepEqual(resets(), [[1, Code.internalError]]);
  });

  test("is the connection's end, or the peer's error if it had to be ended", () => {
    const cut = setup();
    const one = cut.pair.call("/");
    cut.socket.destroy();
    assert.equal(one.failure, "connection_termination");
    const wrong = setup();
    const other = wrong.pair.call("/");
    wrong.send(data(0, "x"));
    assert.equal(other.failure, "protocol_error");
  });
});

describe("an answer that came whole", () => {
  test("survives a reset and the end of the connection while its reader has stopped", () => {
    for (const last of ["reset", "end"] as const) {
      const { pair, send, socket } = setup();
      const call = pair.call("/", Body.unbounded, {}, "POST");
      call.stream?.pauseResponse();
      send(head(1), data(1, "abc", Flag.endStream));
      if (last === "reset") send(rstStream(1, Code.noError));
      else socket.destroy();
      assert.equal(call.over, false);
      call.stream?.resumeResponse();
      assert.deepEqual([call.content.toString(), call.ends, call.resets], ["abc", 1, []]);
      assert.equal(pair.clientStats.streams_active, 0);
    }
  });

  test("that had not come whole is lost with a reset", () => {
    const { pair, send } = setup();
    const call = pair.call("/");
    call.stream?.pauseResponse();
    send(head(1), data(1, "abc"), rstStream(1, Code.noError));
    assert.deepEqual([call.failure, call.ends], ["remote_reset", 0]);
  });
});

describe("informational answers", () => {
  test("come before the head, any number of them", () => {
    const { pair, send } = setup();
    const call = pair.call("/");
    send(head(1, 0, 103), head(1, 0, 100), head(1, Flag.endStream));
    assert.deepEqual([call.informational, call.head?.status, call.ends], [[103, 100], 200, 1]);
  });

  test("are malformed if they end the stream, and so is DATA that follows one", () => {
    for (const wrong of [[head(1, Flag.endStream, 103)], [head(1, 0, 103), data(1, "x", Flag.endStream)]]) {
      const { pair, send } = setup();
      const call = pair.call("/");
      send(...wrong);
      assert.equal(call.failure, "protocol_error");
    }
  });
});

test("a 204 that says it is empty is let through without saying so", () => {
  const { pair, send } = setup();
  const [empty, wrong] = [pair.call("/"), pair.call("/")];
  send(headers(1, response(204, [["content-length", "0"]])));
  assert.deepEqual([empty.head?.status, empty.head?.headers.get("content-length")], [204, null]);
  send(headers(3, response(204, [["content-length", "1"]])));
  assert.equal(wrong.failure, "protocol_error");
});

describe("GOAWAY", () => {
  test("lets calls go on up to its last stream; later ones were not taken", () => {
    const { pair, client, send, socket } = setup();
    const calls = [pair.call("/"), pair.call("/"), pair.call("/")];
    send(goaway(3, Code.noError));
    assert.deepEqual(
      calls.map(({ failure }) => failure),
      [null, null, "refused_stream"],
    );
    assert.deepEqual([client.capacity, pair.clientDraining], [0, 1]);
    send(goaway(1, Code.noError));
    assert.equal(calls[1]?.failure, "refused_stream");
    assert.ok(!socket.writableEnded);
    send(head(1, Flag.endStream));
    assert.equal(calls[0]?.ends, 1);
    assert.ok(socket.writableEnded);
    assert.equal(pair.clientDraining, 1);
  });

  test("on an idle connection ends it", () => {
    const { send, socket, pair, written } = setup();
    send(goaway(0, Code.noError));
    assert.ok(socket.writableEnded);
    written();
    assert.equal(pair.clientClosed, 1);
  });
});

test("streams are opened up to the peer's limit, as it stands now", () => {
  const { pair, client, send } = setup();
  send(settings([Setting.maxConcurrentStreams, 2]));
  const one = pair.call("/");
  pair.call("/");
  assert.equal(client.capacity, 0);
  send(settings([Setting.maxConcurrentStreams, 1]));
  send(head(1, Flag.endStream));
  assert.deepEqual([one.ends, client.capacity], [1, 0]);
  send(settings([Setting.maxConcurrentStreams, 3]));
  assert.equal(client.capacity, 2);
});

test("a stream that was promised and is not wanted makes room again", () => {
  const { client, send } = setup();
  send(settings([Setting.maxConcurrentStreams, 1]));
  const stream = client.open();
  assert.equal(client.capacity, 0);
  stream.giveBack();
  assert.deepEqual([client.capacity, client.requests, client.activeStreams], [1, 0, 0]);
});

test("a peer that does not answer PING is left", () => {
  const keepalive = { intervalMs: 1000, timeoutMs: 100, intervalJitterPercent: 0, idleIntervalMs: 0 };
  const { pair, send } = setup({ client: { keepalive } });
  const call = pair.call("/");
  pair.clock.advance(1010);
  send(settings());
  pair.clock.advance(2500);
  assert.equal(call.failure, "connection_termination");
  assert.equal(pair.clientStats.keepalive_timeout, 1);
  assert.equal(pair.wheel.size, 0);
});
