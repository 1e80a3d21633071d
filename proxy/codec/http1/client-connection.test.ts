/** What a pool must be able to rely on when it gets a connection back; what is said on it is tested in `test/`. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { EventClock, SimulatedClock } from "../../../core/clock.ts";
import { TimerWheel } from "../../../core/timer-wheel.ts";
import { RequestHead, ResponseHead } from "../../http/message.ts";
import { Body, type UpstreamHandler } from "../stream.ts";
import { Http1ClientConnection } from "./client-connection.ts";
import { FakeSocket, settle } from "./testing/fake-socket.ts";

class Handler implements UpstreamHandler {
  readonly response = new ResponseHead();
  headRequest = false;
  body = "";
  ends = 0;
  resets: string[] = [];
  onData: () => void = () => undefined;
  onHead: () => void = () => undefined;
  onInformational(): void {}
  onResponseFlush(): void {}
  onUpstreamWritable(): void {}
  onResponseHead(): void {
    this.onHead();
  }
  onResponseData(bytes: Buffer): void {
    this.body += bytes.toString("latin1");
    this.onData();
  }
  onResponseEnd(): void {
    this.ends++;
  }
  onUpstreamReset(failure: string): void {
    this.resets.push(failure);
  }
}

const request = new RequestHead();
request.method = "GET";
request.path = "/";
request.authority = "a";

function setup() {
  const clock = new SimulatedClock();
  const wheel = new TimerWheel(clock);
  const fake = new FakeSocket();
  const owner = { idle: 0, closed: 0, onIdle: () => void owner.idle++, onClosed: () => void owner.closed++ };
  const options = { maxHeadBytes: 10_000, maxFields: 100 };
  const connection = new Http1ClientConnection(fake.socket, options, owner, new EventClock(clock));
  const ask = (handler = new Handler()): Handler => {
    connection.begin(handler, false);
    connection.sendHead(request, Body.none, false);
    connection.sendEnd(null);
    return handler;
  };
  return { clock, wheel, fake, owner, connection, ask };
}

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

describe("a connection given back", () => {
  test("is read again, though the last response's reader was slow to the end", async () => {
    const { fake, owner, connection, ask } = setup();
    const slow = new Handler();
    slow.onData = () => connection.pauseResponse();
    ask(slow);
    fake.send(OK);
    await settle();
    assert.deepEqual([slow.body, slow.ends, owner.idle], ["hello", 1, 1]);
    assert.ok(!fake.isPaused());
    const next = ask();
    fake.send(OK);
    await settle();
    assert.deepEqual([next.body, next.ends], ["hello", 1]);
  });

  test("may be taken for the next request before the last one has heard of its end", async () => {
    const { fake, owner, connection, ask } = setup();
    const first = ask();
    const second = new Handler();
    const order: string[] = [];
    owner.onIdle = () => {
      order.push("given back");
      ask(second);
    };
    first.onResponseEnd = () => order.push("ended");
    fake.send(OK);
    await settle();
    assert.deepEqual(order, ["given back", "ended"]);
    owner.onIdle = () => undefined;
    fake.send(OK);
    await settle();
    assert.deepEqual([second.body, second.ends, connection.requests], ["hello", 1, 2]);
  });

  test("is not given back when more came than was asked for", async () => {
    const { fake, owner, ask } = setup();
    const handler = ask();
    fake.send(`${OK}HTTP/1.1 200 OK\r\n`);
    await settle();
    assert.deepEqual([handler.body, handler.ends, owner.idle, fake.destroyed, owner.closed], ["hello", 1, 0, true, 1]);
  });
});

describe("a response that nobody wants", () => {
  const REFUSED = "HTTP/1.1 503 No\r\nContent-Length: 10\r\n\r\n01234";

  function discarding() {
    const parts = setup();
    const handler = new Handler();
    handler.onHead = () => parts.connection.discard(parts.wheel);
    parts.ask(handler);
    return { ...parts, handler };
  }

  test("is read to its end, and the connection given back", async () => {
    const { fake, owner, handler, wheel } = discarding();
    fake.send(REFUSED);
    await settle();
    assert.equal(owner.idle, 0);
    fake.send("56789");
    await settle();
    assert.deepEqual([owner.idle, handler.body, handler.ends, wheel.size], [1, "", 0, 0]);
  });

  test("is given up after a second", async () => {
    const { fake, owner, clock, handler, wheel } = discarding();
    fake.send(REFUSED);
    await settle();
    clock.advance(1010);
    await settle();
    assert.deepEqual([fake.destroyed, owner.idle, owner.closed, wheel.size], [true, 0, 1, 0]);
    assert.deepEqual(handler.resets, []);
  });

  test("is given up when it is long, or its connection is lost", async () => {
    const long = discarding();
    long.fake.send("HTTP/1.1 503 No\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (let i = 0; i < 3; i++) long.fake.send(`8000\r\n${"x".repeat(0x8000)}\r\n`);
    await settle();
    assert.deepEqual([long.fake.destroyed, long.wheel.size], [true, 0]);
    const lost = discarding();
    lost.fake.send(REFUSED);
    await settle();
    lost.fake.destroy();
    await settle();
    assert.deepEqual([lost.owner.closed, lost.wheel.size, lost.handler.resets], [1, 0, []]);
  });
});

describe("a connection that ends", () => {
  test("tells its request why, once", async () => {
    const cases: readonly (readonly [sent: string, how: (fake: FakeSocket) => void, failure: string])[] = [
      ["", (fake) => fake.push(null), "connection_termination"],
      ["", (fake) => fake.destroy(new Error("cut")), "connection_termination"],
      ["HTTP/1.1 200", (fake) => fake.push(null), "protocol_error"],
      [OK.slice(0, -1), (fake) => fake.push(null), "protocol_error"],
    ];
    for (const [sent, how, failure] of cases) {
      const { fake, owner, ask } = setup();
      const handler = ask();
      if (sent !== "") fake.send(sent);
      await settle();
      how(fake);
      await settle();
      assert.deepEqual([handler.resets, handler.ends, owner.idle, owner.closed], [[failure], 0, 0, 1]);
    }
  });

  test("after it was retired is not given back; an idle one ends at once", async () => {
    const busy = setup();
    const handler = busy.ask();
    busy.connection.retire();
    busy.fake.send(OK);
    await settle();
    assert.deepEqual([handler.ends, busy.owner.idle, busy.owner.closed], [1, 0, 1]);
    const idle = setup();
    idle.connection.retire();
    await settle();
    assert.deepEqual([idle.owner.closed, idle.fake.destroyed], [1, true]);
  });
});
