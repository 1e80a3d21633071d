/** How a caller's connection waits and ends, on simulated time; what it says is tested on real sockets in `test/`. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { EventClock, SimulatedClock } from "../../../core/clock.ts";
import { TimerWheel } from "../../../core/timer-wheel.ts";
import { RequestHead, ResponseHead } from "../../http/message.ts";
import { Body, type DownstreamHandler, type ServerHandler } from "../stream.ts";
import { Http1ServerConnection, type ServerOptions } from "./server-connection.ts";
import { FakeSocket, settle } from "./testing/fake-socket.ts";

const OPTIONS: ServerOptions = {
  maxFields: 100,
  acceptHttp10: false,
  defaultHostForHttp10: "",
  allowAbsoluteUrl: true,
  allowChunkedLength: false,
  allowCustomMethods: false,
  underscores: "allow",
  maxHeadBytes: 60_000,
  idleTimeoutMs: 60_000,
  headTimeoutMs: 0,
  requestTimeoutMs: 0,
  closeDelayMs: 200,
  maxRequests: 0,
  maxDurationMs: 0,
  drainMs: 50,
};

const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

class Handler implements DownstreamHandler {
  resets = 0;
  writable = 0;
  onRequestData(): void {}
  onRequestEnd(): void {}
  onDownstreamReset(): void {
    this.resets++;
  }
  onDownstreamEnded(): void {}
  onDownstreamWritable(): void {
    this.writable++;
  }
}

function setup(options: Partial<ServerOptions> = {}) {
  const clock = new SimulatedClock();
  const events = new EventClock(clock);
  const wheel = new TimerWheel(events);
  const fake = new FakeSocket();
  const handler = new Handler();
  const seen = { requests: 0, timeouts: 0, malformed: 0, closes: 0 };
  const server: ServerHandler = {
    nextRequest: () => ({ head: new RequestHead(), handler }),
    onRequest: () => seen.requests++,
    onMalformed: () => seen.malformed++,
    onRefused: () => undefined,
    onRequestTimeout: () => seen.timeouts++,
    onClose: () => seen.closes++,
  };
  const connection = new Http1ServerConnection(fake.socket, { ...OPTIONS, ...options }, server, {
    clock: events,
    wheel,
  });
  const answer = (bytes = 0, pieces = 1): void => {
    const head = new ResponseHead();
    head.status = 200;
    head.headers.append("content-length", String(bytes * pieces));
    connection.sendHead(head, bytes === 0 ? Body.none : Body.length);
    for (let i = 0; i < pieces; i++) if (bytes > 0) connection.sendData(Buffer.alloc(bytes, "x"));
    connection.sendEnd(null);
  };
  return { clock, wheel, fake, handler, seen, connection, answer };
}

describe("a connection that ends", () => {
  test("waits for its peer to take what was written, as long as it takes something", async () => {
    const { clock, wheel, fake, connection, answer, seen } = setup();
    fake.send(GET);
    await settle();
    connection.closeAfterResponse();
    fake.stalled = true;
    answer(10_000, 5);
    for (let i = 0; i < 5; i++) {
      clock.advance(190);
      fake.accept();
      await settle();
      assert.ok(!fake.destroyed, `after ${i + 1} pieces`);
    }
    assert.equal(fake.taken.length > 50_000, true);
    clock.advance(500);
    await settle();
    assert.ok(fake.destroyed);
    assert.deepEqual([seen.closes, wheel.size], [1, 0]);
  });

  test("is cut when its peer takes nothing for delayed_close_timeout", async () => {
    const { clock, wheel, fake, connection, answer } = setup();
    fake.send(GET);
    await settle();
    connection.closeAfterResponse();
    fake.stalled = true;
    answer(10_000);
    clock.advance(195);
    assert.ok(!fake.destroyed);
    clock.advance(15);
    await settle();
    assert.ok(fake.destroyed);
    assert.equal(wheel.size, 0);
  });

  test("is over as soon as all is written where there is no delay, however long that takes", async () => {
    const { clock, fake, connection, answer } = setup({ closeDelayMs: 0 });
    fake.send(GET);
    await settle();
    connection.closeAfterResponse();
    fake.stalled = true;
    answer(10_000);
    clock.advance(5000);
    await settle();
    assert.ok(!fake.destroyed);
    fake.stalled = false;
    fake.accept();
    await settle();
    assert.ok(fake.destroyed);
    assert.ok(fake.taken.endsWith("x"));
  });

  test("lets the peer go on sending for a while, without keeping or reading all of it", async () => {
    const { fake, connection, answer, clock } = setup({ closeDelayMs: 1000 });
    fake.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\nabc");
    await settle();
    answer(10);
    for (let i = 0; i < 30; i++) {
      fake.send("y".repeat(65_536));
      await settle();
    }
    assert.ok(!fake.destroyed, "a reset would take the answer with it");
    assert.ok(fake.isPaused());
    assert.ok(connection.idle);
    clock.advance(1100);
    assert.ok(fake.destroyed);
  });
});

describe("a connection between requests", () => {
  test("serves no more while the peer has not taken the last answers", async () => {
    const { fake, answer, seen } = setup();
    fake.stalled = true;
    fake.send(GET + GET + GET);
    await settle();
    assert.equal(seen.requests, 1);
    answer(2000);
    await settle();
    assert.equal(seen.requests, 1, "the next request waits for room");
    fake.stalled = false;
    fake.accept();
    await settle();
    assert.equal(seen.requests, 2);
    answer(10);
    await settle();
    assert.equal(seen.requests, 3);
  });

  test("that is not read by its peer is idle, and ends as such", async () => {
    const { fake, answer, clock, wheel } = setup();
    fake.stalled = true;
    fake.send(GET);
    await settle();
    answer(2000);
    await settle();
    clock.advance(60_100);
    clock.advance(300);
    await settle();
    assert.ok(fake.destroyed);
    assert.equal(wheel.size, 0);
  });

  test("holds some pipelined bytes and leaves more in the kernel, and still sees its peer go", async () => {
    const { fake, handler, seen } = setup();
    fake.send(GET);
    fake.send(GET.repeat(100));
    await settle();
    assert.ok(!fake.isPaused());
    fake.send(GET.repeat(3000));
    await settle();
    assert.ok(fake.isPaused());
    assert.equal(seen.requests, 1);
    const other = setup();
    other.fake.send(GET + GET);
    await settle();
    other.fake.push(null);
    await settle();
    assert.deepEqual([handler.resets, other.handler.resets], [0, 1]);
  });

  test("ends after idle_timeout since its last answer", async () => {
    const { fake, answer, clock, wheel } = setup();
    clock.advance(50_000);
    fake.send(GET);
    await settle();
    answer(10);
    clock.advance(60_020);
    assert.ok(!fake.writableEnded, "a request may be on its way");
    clock.advance(60);
    assert.ok(fake.writableEnded);
    fake.push(null);
    clock.advance(300);
    await settle();
    assert.ok(fake.destroyed);
    assert.equal(wheel.size, 0);
  });

  test("in a drain is given the grace, also after an answer that had promised to stay", async () => {
    for (const asksAgain of [true, false]) {
      const { fake, connection, clock, answer, seen } = setup();
      fake.send(GET);
      await settle();
      const head = new ResponseHead();
      head.status = 200;
      head.headers.append("content-length", "4");
      connection.sendHead(head, Body.length);
      connection.sendData(Buffer.from("ab"));
      connection.drain(1000);
      connection.sendData(Buffer.from("cd"));
      connection.sendEnd(null);
      assert.ok(!fake.taken.includes("connection: close"));
      clock.advance(900);
      assert.ok(!fake.writableEnded);
      if (asksAgain) {
        fake.send(GET);
        await settle();
        assert.equal(seen.requests, 2);
        answer(1);
        assert.ok(fake.taken.includes("connection: close"));
      } else clock.advance(120);
      assert.ok(fake.writableEnded);
    }
  });

  test("that lives too long is drained", async () => {
    const { fake, clock } = setup({ maxDurationMs: 5000 });
    clock.advance(5005);
    assert.ok(!fake.writableEnded, "a request may be on its way");
    clock.advance(210);
    assert.ok(fake.writableEnded);
    assert.equal(fake.taken, "");
  });
});

describe("deadlines of a request", () => {
  test("of its head and of all of it run from the first byte", async () => {
    const both = { headTimeoutMs: 100, requestTimeoutMs: 300 };
    const head = setup(both);
    head.fake.send("GET / HT");
    await settle();
    head.clock.advance(110);
    assert.equal(head.seen.timeouts, 1);
    const whole = setup(both);
    whole.fake.send("POST / HTTP/1.1\r\n");
    await settle();
    whole.clock.advance(90);
    whole.fake.send("Host: a\r\nContent-Length: 5\r\n\r\n");
    await settle();
    whole.clock.advance(200);
    assert.equal(whole.seen.timeouts, 0);
    whole.clock.advance(20);
    assert.equal(whole.seen.timeouts, 1);
  });

  test("the shorter one counts while the head arrives", async () => {
    const { fake, clock, seen } = setup({ headTimeoutMs: 500, requestTimeoutMs: 100 });
    fake.send("GET / HT");
    await settle();
    clock.advance(110);
    assert.equal(seen.timeouts, 1);
  });
});
