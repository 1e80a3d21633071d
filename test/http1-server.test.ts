/** The side that faces callers: pipelining, HEAD, 1.0, 100-continue, limits, deadlines, and how connections end. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { startProxy } from "./support/running-proxy.ts";
import { field, ok, turns, Upstream, until } from "./support/wire.ts";

const GET = "GET /a HTTP/1.1\r\nHost: x.test\r\n\r\n";

function get(path: string, more = ""): string {
  return `GET ${path} HTTP/1.1\r\nHost: x.test\r\n${more}\r\n`;
}

describe("pipelining", () => {
  test("ten requests in one segment, some with bodies, are answered in order", async (t) => {
    const upstream = await Upstream.serving(t, (request) => ok(`${request.start} ${request.body}`));
    const proxy = await startProxy(t, { upstreams: [upstream.port] });
    const client = await proxy.connect();
    const post = (path: string, body: string): string =>
      `POST ${path} HTTP/1.1\r\nHost: x.test\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    const chunked = (path: string): string =>
      `PUT ${path} HTTP/1.1\r\nHost: x.test\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1;x\r\nc\r\n0\r\n\r\n`;
    const all = Array.from({ length: 10 }, (_, i) =>
      i % 3 === 0 ? get(`/${i}`) : i % 3 === 1 ? post(`/${i}`, `b${i}`) : chunked(`/${i}`),
    );
    client.write(all.join(""));
    for (let i = 0; i < 10; i++) {
      const { body } = await client.message();
      const expected = i % 3 === 0 ? `GET /${i} HTTP/1.1 ` : i % 3 === 1 ? `POST /${i} HTTP/1.1 b${i}` : null;
      assert.equal(body, expected ?? `PUT /${i} HTTP/1.1 abc`);
    }
    assert.equal(upstream.requests.length, 10);
    assert.equal(upstream.wires.length, 1, "one connection does for requests that wait for each other");
    await proxy.settled();
  });

  test("a malformed request is answered after the sound ones before it, and nothing after it is read", async (t) => {
    const upstream = await Upstream.serving(t, () => ok("fine"));
    const proxy = await startProxy(t, { upstreams: [upstream.port] });
    const client = await proxy.connect();
    client.write(`${GET}${GET}GET /bad HTTP/1.1\r\nHost x\r\n\r\n${GET}`);
    assert.equal((await client.message()).body, "fine");
    assert.equal((await client.message()).body, "fine");
    const refused = await client.message();
    assert.match(refused.start, /400/);
    assert.equal(field(refused, "connection"), "close");
    await client.gone();
    assert.equal(client.received, "");
    assert.equal(upstream.requests.length, 2);
    await proxy.settled();
  });

  test("direct responses to a long pipeline do not grow the stack", async (t) => {
    const proxy = await startProxy(t, {
      routes: [{ match: { prefix: "/" }, direct_response: { status: 200, body: { inline_string: "x" } } }],
    });
    const client = await proxy.connect();
    const count = 3000;
    client.write(GET.repeat(count));
    for (let i = 0; i < count; i++) assert.equal((await client.message()).body, "x");
    await proxy.settled();
  });

  test("a caller who asks on and on without reading has no more than a few answers kept for it", async (t) => {
    const body = "x".repeat(10_000);
    const upstream = await Upstream.serving(t, () => ok(body));
    const proxy = await startProxy(t, { upstreams: [upstream.port] });
    const client = await proxy.connect();
    client.socket.pause();
    const count = 5000;
    client.write(GET.repeat(count));
    for (let before = -1; upstream.requests.length !== before; ) {
      before = upstream.requests.length;
      await new Promise((resolve) => setTimeout(resolve, 150));
    }
    // The kernel takes some megabytes for the socket; the proxy itself must stop there.
    const served = upstream.requests.length;
    assert.ok(served < count, `${served} of ${count} were fetched`);
    client.socket.resume();
    for (let i = 0; i < count; i++) assert.equal((await client.message()).body.length, body.length);
    await proxy.settled();
  });
});

describe("messages without bodies", () => {
  test("the answer to HEAD has the length of what GET would give, and the connection goes on", async (t) => {
    const upstream = await Upstream.serving(t, (request) =>
      request.start.startsWith("HEAD") ? "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n" : ok("hello"),
    );
    const proxy = await startProxy(t, { upstreams: [upstream.port] });
    const client = await proxy.connect();
    client.write(`HEAD /a HTTP/1.1\r\nHost: x.test\r\n\r\n${GET}`);
    const head = await client.message({ noBody: true });
    assert.equal(field(head, "content-length"), "5");
    assert.equal((await client.message()).body, "hello");
    assert.equal(upstream.wires.length, 1);
    await proxy.settled();
  });

  test("a local reply to HEAD has no body", async (t) => {
    const proxy = await startProxy(t, { upstreams: [1] });
    const client = await proxy.connect();
    client.write(`HEAD / HTTP/1.1\r\nHost: x.test\r\n\r\nHEAD / HTTP/1.1\r\nHost: x.test\r\n\r\n`);
    assert.match((await client.message({ noBody: true })).start, /503/);
    assert.match((await client.message({ noBody: true })).start, /503/);
    assert.equal(client.received, "");
    await proxy.settled();
  });
});

describe("HTTP/1.0", () => {
  const accept = { manager: { http_protocol_options: { accept_http_10: true } } };

  test("is refused unless it is allowed", async (t) => {
    const upstream = await Upstream.serving(t, () => ok("x"));
    const proxy = await startProxy(t, { upstreams: [upstream.port] });
    const client = await proxy.connect();
    client.write("GET / HTTP/1.0\r\nHost: x.test\r\n\r\n");
    assert.match((await client.message()).start, /426/);
    await client.gone();
    assert.equal(upstream.requests.length, 0);
    await proxy.settled();
  });

  test("ends the connection after one answer, unless it asks to keep it", async (t) => {
    const upstream = await Upstream.serving(t, () => ok("x"));
    const proxy = await startProxy(t, { ...accept, upstreams: [upstream.port] });
    const once = await proxy.connect();
    once.write("GET / HTTP/1.0\r\nHost: x.test\r\n\r\n");
    assert.equal((await once.message()).body, "x");
    await once.gone();
    const kept = await proxy.connect();
    for (let i = 0; i < 2; i++) {
      kept.write("GET / HTTP/1.0\r\nHost: x.test\r\nConnection: keep-alive\r\n\r\n");
      const answer = await kept.message();
      assert.deepEqual([answer.body, field(answer, "connection")], ["x", "keep-alive"]);
    }
    assert.equal(upstream.requests[0]?.start, "GET / HTTP/1.1");
    await proxy.settled();
  });

  test("a body that an upstream cuts is not passed off as whole", async (t) => {
    const upstream = await Upstream.start(t);
    const proxy = await startProxy(t, { ...accept, upstreams: [upstream.port] });
    const client = await proxy.connect();
    client.write("GET / HTTP/1.0\r\nHost: x.test\r\n\r\n");
    const wire = await upstream.wire();
    await wire.receive("\r\n\r\n");
    wire.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    await client.receive("hello");
    wire.destroy();
    await until(() => client.closed);
    assert.equal(client.error, "ECONNRESET", "an orderly end would say that this was all");
    await proxy.settled();
  });
});

describe("Expect: 100-continue", () => {
  const post = "POST / HTTP/1.1\r\nHost: x.test\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n";

  test("is answered by the proxy at once and not passed on", async (t) => {
    const upstream = await Upstream.serving(t, (request) => ok(request.body));
    const proxy = await startProxy(t, { upstreams: [upstream.port] });
    const client = await proxy.connect();
    client.write(post);
    assert.equal((await client.message()).start, "HTTP/1.1 100 Continue");
    client.write("hi");
    assert.equal((await client.message()).body, "hi");
    assert.equal(field(upstream.requests[0] as never, "expect"), undefined);
    await proxy.settled();
  });

  test("goes to the upstream with proxy_100_continue, and its answer comes back", async (t) => {
    const upstream = await Upstream.start(t);
    const proxy = await startProxy(t, { upstreams: [upstream.port], manager: { proxy_100_continue: true } });
    const client = await proxy.connect();
    client.write(post);
    const wire = await upstream.wire();
    await wire.receive("\r\n\r\n");
    assert.match(wire.received, /expect: 100-continue/i);
    assert.equal(client.received, "");
    wire.write("HTTP/1.1 100 Continue\r\n\r\n");
    assert.equal((await client.message()).start, "HTTP/1.1 100 Continue");
    client.write("hi");
    await wire.receive("\r\n\r\nhi");
    wire.write(ok("done"));
    assert.equal((await client.message()).body, "done");
    await proxy.settled();
  });

  test("a 100 that nobody asked for stays here", async (t) => {
    const upstream = await Upstream.serving(t, () => `HTTP/1.1 100 Continue\r\n\r\n${ok("x")}`);
    const proxy = await startProxy(t, { upstreams: [upstream.port] });
    const client = await proxy.connect();
    client.write(GET);
    assert.match((await client.message()).start, /200/);
    await proxy.settled();
  });
});

describe("limits of a head", () => {
  test("too large a head is answered with 431, however slowly it grows", async (t) => {
    const upstream = await Upstream.serving(t, () => ok("x"));
    const proxy = await startProxy(t, { upstreams: [upstream.port], manager: { max_request_headers_kb: 2 } });
    for (const filler of [`a: ${"b".repeat(3000)}`, `${"a: b\r\n".repeat(20)}c: ${"d".repeat(2500)}`]) {
      const atOnce = await proxy.connect();
      atOnce.write(get("/", `${filler}\r\n`));
      assert.match((await atOnce.message()).start, /431/);
      await atOnce.gone();
      const slow = await proxy.connect();
      const text = get("/", `${filler}\r\n`);
      for (let at = 0; at < text.length && slow.received === ""; at += 97) {
        slow.write(text.slice(at, at + 97));
        await turns(1);
      }
      assert.match((await slow.message()).start, /431/);
      await slow.gone();
    }
    assert.equal(upstream.requests.length, 0);
    await proxy.settled();
  });

  test("too many fields are answered with 431", async (t) => {
    const proxy = await startProxy(t, {
      upstreams: [1],
      manager: { common_http_protocol_options: { max_headers_count: 10 } },
    });
    const client = await proxy.connect();
    client.write(get("/", "a: b\r\n".repeat(11)));
    assert.match((await client.message()).start, /431/);
    await client.gone();
    await proxy.settled();
  });

  test("a request line without end is refused, not kept", async (t) => {
    const proxy = await startProxy(t, { upstreams: [1] });
    const client = await proxy.connect();
    for (let sent = 0; sent < 100 && client.received === "" && !client.closed; sent++) {
      client.write("a".repeat(1024));
      await turns(1);
    }
    await client.receive("HTTP/1.1 4");
    await client.gone();
    await proxy.settled();
  });
});

describe("malformed bodies", () => {
  for (const [name, body] of [
    ["a chunk size that is no number", "3\r\nabc\r\nzz\r\n"],
    ["a chunk that is longer than it says", "3\r\nabcd\r\n"],
    ["a chunk size beyond all measure", "FFFFFFFFFFFFFFFFFF\r\n"],
    ["a negative chunk size", "-1\r\n"],
    ["a bare LF after a chunk size", "3\nabc\r\n"],
    ["a space before an extension", "3 ;a\r\nabc\r\n"],
    ["a malformed trailer", "3\r\nabc\r\n0\r\nbad trailer\r\n\r\n"],
  ] as const) {
    test(`${name}: 400, and the upstream sees that the request is not whole`, async (t) => {
      const upstream = await Upstream.start(t);
      const proxy = await startProxy(t, { upstreams: [upstream.port] });
      const client = await proxy.connect();
      client.write("POST / HTTP/1.1\r\nHost: x.test\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n");
      const wire = await upstream.wire();
      await wire.receive("2\r\nok\r\n");
      client.write(body);
      assert.match((await client.message()).start, /400/);
      await client.gone();
      await wire.gone();
      assert.ok(!wire.received.includes("0\r\n\r\n"), "the upstream must not take the body for complete");
      await proxy.settled();
    });
  }
});

describe("deadlines of a request", () => {
  test("a head that does not arrive is answered with 408", async (t) => {
    const proxy = await startProxy(t, { upstreams: [1], manager: { request_headers_timeout: "0.1s" } });
    const client = await proxy.connect();
    await turns(20);
    assert.ok(!client.ended, "the time begins with the first byte");
    client.write("GET / HTTP/1.1\r\n");
    assert.match((await client.message()).start, /408/);
    await client.gone();
    await proxy.settled();
  });

  test("a body that does not arrive is answered with 408, counted from the first byte of the head", async (t) => {
    const upstream = await Upstream.start(t);
    // Seconds, because a busy machine may take long over a few turns.
    const manager = { request_headers_timeout: "4s", request_timeout: "5s" };
    const proxy = await startProxy(t, { upstreams: [upstream.port], manager });
    const client = await proxy.connect();
    client.write("POST / HTTP/1.1\r\nHost: x.test\r\n");
    await turns(3);
    client.write("Content-Length: 5\r\n\r\nab");
    const { start, body } = await client.message();
    assert.match(start, /408/);
    assert.equal(body, "request timeout", "the head came in time: its deadline is not the body's");
    await client.gone();
    await (await upstream.wire()).gone();
    await proxy.settled();
  });

  test("request_timeout ends once the answer has begun", async (t) => {
    const upstream = await Upstream.start(t);
    const proxy = await startProxy(t, { upstreams: [upstream.port], manager: { request_timeout: "0.15s" } });
    const client = await proxy.connect();
    client.write("POST / HTTP/1.1\r\nHost: x.test\r\nContent-Length: 5\r\n\r\nab");
    const wire = await upstream.wire();
    await wire.receive("ab");
    wire.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab");
    await client.receive("ab");
    await new Promise((resolve) => setTimeout(resolve, 300));
    wire.write("cd");
    assert.equal((await client.message()).body, "abcd");
    await proxy.settled();
  });

  test("no deadline of one request reaches into the next", async (t) => {
    const upstream = await Upstream.serving(t, () => ok("x"));
    const manager = { request_headers_timeout: "0.1s", request_timeout: "0.1s" };
    const proxy = await startProxy(t, { upstreams: [upstream.port], manager });
    const client = await proxy.connect();
    await client.writeSplit(GET, 10);
    await client.message();
    await client.writeSplit("POST / HTTP/1.1\r\nHost: x.test\r\nContent-Length: 2\r\n\r\nab", 54);
    await client.message();
    await new Promise((resolve) => setTimeout(resolve, 200));
    client.write(GET);
    assert.match((await client.message()).start, /200/);
    await proxy.settled();
  });
});

describe("the end of a connection", () => {
  test("idle connections are closed after idle_timeout and drain_timeout, busy ones are not", async (t) => {
    const upstream = await Upstream.start(t);
    const common = { common_http_protocol_options: { idle_timeout: "0.15s" }, drain_timeout: "0.1s" };
    const proxy = await startProxy(t, { upstreams: [upstream.port], manager: common });
    const idle = await proxy.connect();
    const busy = await proxy.connect();
    busy.write(GET);
    await idle.gone();
    assert.ok(!busy.ended);
    const wire = await upstream.wire();
    await new Promise((resolve) => setTimeout(resolve, 100));
    wire.write(ok("late"));
    assert.equal((await busy.message()).body, "late");
    await busy.gone();
    await proxy.settled();
  });

  test("Connection: close is honoured and announced", async (t) => {
    const upstream = await Upstream.serving(t, () => ok("x"));
    const proxy = await startProxy(t, { upstreams: [upstream.port] });
    const client = await proxy.connect();
    client.write(get("/", "Connection: close\r\n") + GET);
    const answer = await client.message();
    assert.equal(field(answer, "connection"), "close");
    await client.gone();
    assert.equal(upstream.requests.length, 1);
    await proxy.settled();
  });

  test("max_requests_per_connection announces the last answer", async (t) => {
    const upstream = await Upstream.serving(t, () => ok("x"));
    const common = { common_http_protocol_options: { max_requests_per_connection: 2 } };
    const proxy = await startProxy(t, { upstreams: [upstream.port], manager: common });
    const client = await proxy.connect();
    client.write(GET + GET);
    assert.equal(field(await client.message(), "connection"), undefined);
    assert.equal(field(await client.message(), "connection"), "close");
    await client.gone();
    await proxy.settled();
  });

  test("a caller who half-closes before its answer is taken as gone", async (t) => {
    const upstream = await Upstream.start(t);
    const proxy = await startProxy(t, { upstreams: [upstream.port] });
    const client = await proxy.connect();
    client.write(GET);
    const wire = await upstream.wire();
    await wire.receive("\r\n\r\n");
    client.end();
    await wire.gone();
    await client.gone();
    await proxy.settled();
  });
});
