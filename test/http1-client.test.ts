/** The side that faces upstreams: reuse, retries with their bodies, early answers, and every way an answer can go wrong. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type ProxyConfig, startProxy } from "./support/running-proxy.ts";
import { field, ok, readMessage, turns, Upstream, until } from "./support/wire.ts";

const GET = "GET /a HTTP/1.1\r\nHost: x.test\r\n\r\n";

function retry(on: string, more: object = {}): ProxyConfig {
  const backoff = { base_interval: "0.001s", max_interval: "0.002s" };
  return { action: { retry_policy: { retry_on: on, num_retries: 2, retry_back_off: backoff, ...more } } };
}

function upstreamOptions(fields: object): ProxyConfig {
  return {
    cluster: {
      typed_extension_protocol_options: {
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
          "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
          explicit_http_config: { http_protocol_options: {} },
          ...fields,
        },
      },
    },
  };
}

describe("connections to upstreams", () => {
  test("are used again, the last used first", async (t) => {
    const upstream = await Upstream.serving(t, () => ok("x"));
    const proxy = await startProxy(t, { upstreams: [upstream.port] });
    const client = await proxy.connect();
    for (let i = 0; i < 5; i++) {
      client.write(GET);
      await client.message();
    }
    assert.equal(upstream.wires.length, 1);
    assert.equal(proxy.cluster().stats.upstream_cx_total, 1);
    await proxy.settled();
  });

  for (const [name, answer] of [
    ["Connection: close", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx"],
    ["HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx"],
    [
      "bytes beyond its body",
      "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
    ],
    ["a body for HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"],
  ] as const) {
    test(`are not used again after an answer with ${name}`, async (t) => {
      const upstream = await Upstream.serving(t, () => answer);
      const proxy = await startProxy(t, { upstreams: [upstream.port] });
      const client = await proxy.connect();
      const head = name.includes("HEAD");
      for (let i = 0; i < 3; i++) {
        client.write(head ? GET.replace("GET", "HEAD") : GET);
        assert.equal((await client.message({ noBody: head })).body, head ? "" : "x");
      }
      assert.equal(upstream.wires.length, 3);
      await proxy.settled();
    });
  }

  test("that speak out of turn are closed, and what they said reaches nobody", async (t) => {
    const upstream = await Upstream.serving(t, () => ok("x"));
    const proxy = await startProxy(t, { upstreams: [upstream.port] });
    const client = await proxy.connect();
    client.write(GET);
    await client.message();
    const wire = await upstream.wire();
    wire.write(ok("evil"));
    await wire.gone();
    client.write(GET);
    assert.equal((await client.message()).body, "x");
    assert.equal(upstream.wires.length, 2);
    await proxy.settled();
  });

  test("end after max_requests_per_connection, whoever waits for one meanwhile", async (t) => {
    const upstream = await Upstream.serving(t, () => ok("x"));
    const proxy = await startProxy(t, {
      upstreams: [upstream.port],
      cluster: {
        ...upstreamOptions({ common_http_protocol_options: { max_requests_per_connection: 2 } }).cluster,
        circuit_breakers: { thresholds: [{ max_connections: 1 }] },
      },
    });
    const clients = await Promise.all(Array.from({ length: 6 }, () => proxy.connect()));
    for (const client of clients) client.write(GET);
    for (const client of clients) assert.equal((await client.message()).body, "x");
    assert.equal(upstream.wires.length, 3);
    await proxy.settled();
  });

  test("are closed when they have been idle for the cluster's idle_timeout", async (t) => {
    const upstream = await Upstream.serving(t, () => ok("x"));
    const idle = upstreamOptions({ common_http_protocol_options: { idle_timeout: "0.1s" } });
    const proxy = await startProxy(t, { ...idle, upstreams: [upstream.port] });
    const client = await proxy.connect();
    client.write(GET);
    await client.message();
    await (await upstream.wire()).gone();
    assert.equal(proxy.cluster().stats.upstream_cx_idle_timeout, 1);
    client.write(GET);
    assert.equal((await client.message()).body, "x");
    await proxy.settled();
  });

  test("to an endpoint that is taken away serve those who waited for them", async (t) => {
    const upstream = await Upstream.serving(t, () => ok("x"));
    const other = await Upstream.serving(t, () => ok("other"));
    const proxy = await startProxy(t, { upstreams: [upstream.port] });
    const client = await proxy.connect();
    client.write(GET);
    while (proxy.cluster().stats.upstream_rq_pending_active === 0) await turns(1);
    await proxy.apply({ upstreams: [other.port] });
    assert.equal((await client.message()).body, "x");
    assert.equal(proxy.cluster().stats.upstream_cx_total, 1);
    await (await upstream.wire()).gone();
    client.write(GET);
    assert.equal((await client.message()).body, "other");
    await proxy.settled();
  });
});

describe("answers that do not come whole", () => {
  const answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: b\r\n\r\nhello";
  const head = answer.indexOf("hello");

  for (const how of ["end", "reset"] as const) {
    test(`an upstream that ${how}s its connection at any byte`, async (t) => {
      let cutAt = 0;
      const upstream = await Upstream.start(t);
      upstream.onWire = (wire) => {
        wire.socket.on("data", () => {
          wire.write(answer.slice(0, cutAt));
          // The bytes are to be read before the end, also where that is a reset.
          void turns().then(() => wire[how]());
        });
      };
      const proxy = await startProxy(t, { upstreams: [upstream.port] });
      for (cutAt = 0; cutAt <= answer.length; cutAt++) {
        const client = await proxy.connect();
        client.write(GET);
        if (cutAt < head) {
          // As in Envoy: a head that ends in the middle is no HTTP, a connection that is gone is no answer.
          assert.match((await client.message()).start, cutAt > 0 ? /502/ : /503/, `cut at ${cutAt}`);
        } else if (cutAt < answer.length) {
          await client.gone();
          assert.equal(readMessage(client.received), null, `cut at ${cutAt}: a cut answer looks whole`);
          assert.ok(client.received.endsWith(answer.slice(head, cutAt)));
        } else assert.equal((await client.message()).body, "hello");
        client.destroy();
      }
      await proxy.settled();
    });
  }

  for (const [name, text] of [
    ["no HTTP", "SSH-2.0-OpenSSH\r\n\r\n"],
    ["a bare LF", "HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n"],
    ["a length and chunks", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
    ["two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"],
    ["an unknown coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n"],
    ["a status beyond numbers", "HTTP/1.1 2x0 OK\r\n\r\n"],
    ["a NUL in a value", "HTTP/1.1 200 OK\r\nA: \0\r\n\r\n"],
    ["folding", "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n"],
    ["a head that never ends", `HTTP/1.1 200 OK\r\nA: ${"b".repeat(90_000)}`],
    ["a 101 that nobody asked for", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"],
  ] as const) {
    test(`an upstream that answers with ${name}`, async (t) => {
      const upstream = await Upstream.serving(t, () => text);
      const proxy = await startProxy(t, { upstreams: [upstream.port] });
      const client = await proxy.connect();
      client.write(GET);
      assert.match((await client.message()).start, /50[23]/);
      await (await upstream.wire()).gone();
      await proxy.settled();
    });
  }

  test("a malformed chunk cuts an answer that has begun", async (t) => {
    const upstream = await Upstream.serving(
      t,
      () => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\nzz\r\n0\r\n\r\n",
    );
    const proxy = await startProxy(t, { upstreams: [upstream.port] });
    const client = await proxy.connect();
    client.write(GET);
    await client.gone();
    assert.ok(client.received.startsWith("HTTP/1.1 200 OK\r\n") && !client.received.includes("zz"));
    assert.equal(readMessage(client.received), null);
    await proxy.settled();
  });
});

describe("retries", () => {
  const bodies = [
    ["a length", "Content-Length: 11\r\n\r\nhello world", "hello world"],
    ["chunks", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n", "hello world"],
    ["nothing", "\r\n", ""],
  ] as const;

  for (const [name, rest, body] of bodies) {
    test(`send a body with ${name} again, whole`, async (t) => {
      let failures = 2;
      const upstream = await Upstream.serving(t, (request, wire) => {
        if (failures-- <= 0) return ok(`got ${request.body}`);
        wire.reset();
        return null;
      });
      const proxy = await startProxy(t, { ...retry("reset"), upstreams: [upstream.port] });
      const client = await proxy.connect();
      await client.writeSplit(`POST / HTTP/1.1\r\nHost: x.test\r\n${rest}`, 40);
      assert.equal((await client.message()).body, `got ${body}`);
      assert.deepEqual(
        upstream.requests.map((request) => request.body),
        [body, body, body],
      );
      assert.equal(proxy.cluster().stats.upstream_rq_retry, 2);
      await proxy.settled();
    });
  }

  test("send what came while an attempt failed, once and in order", async (t) => {
    const upstream = await Upstream.start(t);
    const proxy = await startProxy(t, {
      ...retry("reset", { retry_back_off: { base_interval: "0.05s" } }),
      upstreams: [upstream.port],
    });
    const client = await proxy.connect();
    client.write("POST / HTTP/1.1\r\nHost: x.test\r\nContent-Length: 9\r\n\r\nabc");
    const first = await upstream.wire(0);
    await first.receive("abc");
    first.reset();
    await until(() => proxy.cluster().stats.upstream_rq_retry === 1);
    client.write("def");
    const second = await upstream.wire(1);
    await second.receive("abcdef");
    client.write("ghi");
    await second.receive("abcdefghi");
    second.write(ok("whole"));
    assert.equal((await client.message()).body, "whole");
    await proxy.settled();
  });

  test("are given up when the body is larger than what is kept", async (t) => {
    const upstream = await Upstream.serving(t, (_request, wire) => {
      wire.reset();
      return null;
    });
    const proxy = await startProxy(t, {
      ...retry("reset"),
      upstreams: [upstream.port],
      listener: { per_connection_buffer_limit_bytes: 1000 },
    });
    for (const [size, attempts] of [
      [900, 3],
      [50_000, 1],
    ] as const) {
      upstream.requests.length = 0;
      const client = await proxy.connect();
      const head = `POST / HTTP/1.1\r\nHost: x.test\r\nContent-Length: ${size}\r\n\r\n`;
      await client.writeSplit(head + "x".repeat(size), head.length + 1);
      assert.match((await client.message()).start, /503/);
      assert.equal(upstream.requests.length, attempts, `attempts with ${size} bytes`);
    }
    await proxy.settled();
  });

  test("of an answer read the rest of a short one and use its connection again", async (t) => {
    let answers = 0;
    const upstream = await Upstream.serving(t, () =>
      ++answers === 1 ? "HTTP/1.1 503 Unavailable\r\nContent-Length: 4\r\n\r\nbusy" : ok("fine"),
    );
    const proxy = await startProxy(t, { ...retry("5xx"), upstreams: [upstream.port] });
    const client = await proxy.connect();
    client.write(GET);
    assert.equal((await client.message()).body, "fine");
    assert.equal(upstream.wires.length, 1);
    await proxy.settled();
  });

  for (const [name, text] of [
    ["never ends", "HTTP/1.1 503 Unavailable\r\nContent-Length: 40\r\n\r\nbusy"],
    [
      "is long",
      `HTTP/1.1 503 Unavailable\r\nTransfer-Encoding: chunked\r\n\r\n${"1000\r\n".padEnd(4104, "x")}\r\n`.repeat(20),
    ],
  ] as const) {
    test(`of an answer do not keep the connection whose rest ${name}`, async (t) => {
      let answers = 0;
      const upstream = await Upstream.serving(t, () => (++answers === 1 ? text : ok("fine")));
      const proxy = await startProxy(t, { ...retry("5xx"), upstreams: [upstream.port] });
      const client = await proxy.connect();
      client.write(GET);
      assert.equal((await client.message()).body, "fine");
      await (await upstream.wire()).gone();
      await proxy.settled();
    });
  }

  test("give a connection that was closed while idle another chance", async (t) => {
    const upstream = await Upstream.serving(t, () => ok("x"));
    const proxy = await startProxy(t, { ...retry("reset"), upstreams: [upstream.port] });
    const client = await proxy.connect();
    client.write(GET);
    await client.message();
    // The end and the next request cross on the wire.
    (await upstream.wire()).end();
    client.write(GET);
    assert.equal((await client.message()).body, "x");
    await proxy.settled();
  });

  test("end with the route's deadline, and leave nothing behind", async (t) => {
    const upstream = await Upstream.serving(t, (_request, wire) => {
      wire.reset();
      return null;
    });
    const { action } = retry("reset", { num_retries: 1000, retry_back_off: { base_interval: "0.02s" } });
    const proxy = await startProxy(t, { action: { ...action, timeout: "0.2s" }, upstreams: [upstream.port] });
    const client = await proxy.connect();
    client.write(GET);
    assert.match((await client.message()).start, /504/);
    await proxy.settled();
  });
});

describe("answers before the request is whole", () => {
  test("reach a caller who is still sending; both connections end", async (t) => {
    const upstream = await Upstream.start(t);
    upstream.onWire = (wire) => {
      wire.socket.once("data", () => wire.write("HTTP/1.1 413 Too Much\r\nContent-Length: 2\r\n\r\nno"));
    };
    const proxy = await startProxy(t, { upstreams: [upstream.port] });
    const client = await proxy.connect();
    client.write("POST / HTTP/1.1\r\nHost: x.test\r\nContent-Length: 100000000\r\n\r\n");
    const answer = client.message();
    const part = "x".repeat(65_536);
    for (let i = 0; i < 200 && !client.closed && client.received === ""; i++) {
      client.write(part);
      await turns(1);
    }
    const { start, body, fields } = await answer;
    assert.deepEqual([start, body], ["HTTP/1.1 413 Too Much", "no"]);
    assert.ok(fields.some(([name, value]) => name === "connection" && value === "close"));
    await client.gone();
    await (await upstream.wire()).gone();
    await proxy.settled();
  });

  test("stream while the request goes on", async (t) => {
    const upstream = await Upstream.start(t);
    const proxy = await startProxy(t, { upstreams: [upstream.port] });
    const client = await proxy.connect();
    client.write("POST / HTTP/1.1\r\nHost: x.test\r\nTransfer-Encoding: chunked\r\n\r\n");
    const wire = await upstream.wire();
    await wire.receive("\r\n\r\n");
    wire.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (const piece of ["1\r\na\r\n", "1\r\nb\r\n", "1\r\nc\r\n"]) {
      client.write(piece);
      await wire.receive(piece);
      wire.write(piece);
      await client.receive(piece);
    }
    client.write("0\r\n\r\n");
    await wire.receive("0\r\n\r\n");
    wire.write("0\r\n\r\n");
    const answer = await client.message();
    assert.equal(answer.body, "abc");
    assert.equal(field(answer, "connection"), "close", "the answer began before the request was whole");
    await proxy.settled();
  });
});

describe("limits", () => {
  test("what does not fit the queue is refused at once, what does is served in order", async (t) => {
    const upstream = await Upstream.start(t);
    const proxy = await startProxy(t, {
      upstreams: [upstream.port],
      cluster: { circuit_breakers: { thresholds: [{ max_connections: 1, max_pending_requests: 2 }] } },
    });
    const clients = await Promise.all(Array.from({ length: 5 }, () => proxy.connect()));
    const { stats } = proxy.cluster();
    for (const [index, client] of clients.entries()) {
      client.write(`GET /${index} HTTP/1.1\r\nHost: x.test\r\n\r\n`);
      await until(() => stats.upstream_rq_pending_total + stats.upstream_rq_pending_overflow === index + 1);
      if (index === 0) await until(() => stats.upstream_rq_active === 1);
    }
    for (const refused of clients.slice(3)) assert.match((await refused.message()).start, /503/);
    const wire = await upstream.wire();
    for (const [index, served] of clients.slice(0, 3).entries()) {
      await wire.receive(`GET /${index} `);
      wire.received = "";
      wire.write(ok("x"));
      assert.match((await served.message()).start, /200/);
    }
    await proxy.settled();
  });
});
