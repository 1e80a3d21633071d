/** However the bytes of a request and of its response are cut into segments, both sides see the same messages. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type ProxyConfig, startProxy } from "./support/running-proxy.ts";
import { type Message, readMessage, Upstream, type Wire } from "./support/wire.ts";

interface Pair {
  readonly name: string;
  readonly request: string;
  /** What the upstream answers; absent where the request must not reach it. */
  readonly response?: string;
  readonly config?: ProxyConfig;
  /** The upstream closes after its response. */
  readonly closes?: true;
  /** What must hold of the unsplit exchange. */
  readonly check: (seen: Seen) => void;
}

interface Seen {
  readonly upstream: Message | null;
  readonly client: Message;
}

const GET = "GET /a HTTP/1.1\r\nHost: x.test\r\n\r\n";
const OK = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

function answered(status: string, body?: string): (seen: Seen) => void {
  return ({ client }) => {
    assert.match(client.start, new RegExp(`^HTTP/1\\.[01] ${status}`));
    if (body !== undefined) assert.equal(client.body, body);
  };
}

const PAIRS: readonly Pair[] = [
  {
    name: "a request without a body",
    request: `GET /p?q=1 HTTP/1.1\r\nHost: x.test\r\nX-CaSe:  kept \r\nx-two: 1\r\nx-two: 2\r\n\r\n`,
    response: OK,
    check: ({ upstream, client }) => {
      assert.equal(upstream?.start, "GET /p?q=1 HTTP/1.1");
      assert.ok(upstream.fields.some(([name, value]) => name === "X-CaSe" && value === "kept"));
      assert.equal(client.body, "hello");
    },
  },
  {
    name: "empty lines before the request line",
    request: `\r\n\r\n${GET}`,
    response: OK,
    check: answered("200", "hello"),
  },
  {
    name: "bodies with lengths",
    request: "POST /a HTTP/1.1\r\nHost: x.test\r\nContent-Length: 11\r\n\r\nhello world",
    response: OK,
    check: ({ upstream, client }) => {
      assert.deepEqual([upstream?.body, upstream?.framing, client.body], ["hello world", "length", "hello"]);
    },
  },
  {
    name: "chunked bodies with extensions and leading zeros",
    request:
      'POST /a HTTP/1.1\r\nHost: x.test\r\nTransfer-Encoding: chunked\r\n\r\n005;a=b\r\nhello\r\n6;c="d;e"\r\n world\r\n000;z\r\n\r\n',
    response: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nA;x\r\n0123456789\r\n01\r\n!\r\n0\r\n\r\n",
    check: ({ upstream, client }) => {
      assert.deepEqual([upstream?.body, upstream?.framing], ["hello world", "chunked"]);
      assert.deepEqual([client.body, client.framing], ["0123456789!", "chunked"]);
    },
  },
  {
    name: "trailers, where they are switched on",
    config: {
      manager: { http_protocol_options: { enable_trailers: true } },
      cluster: {
        typed_extension_protocol_options: {
          "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            explicit_http_config: { http_protocol_options: { enable_trailers: true } },
          },
        },
      },
    },
    request:
      "POST /a HTTP/1.1\r\nHost: x.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 1\r\nx-b: 2\r\n\r\n",
    response: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Md5: 9\r\n\r\n",
    check: ({ upstream, client }) => {
      assert.deepEqual(upstream?.trailers, ["X-Sum: 1", "x-b: 2"]);
      assert.deepEqual(client.trailers, ["X-Md5: 9"]);
    },
  },
  {
    name: "a chunked response for a caller that speaks 1.0",
    config: { manager: { http_protocol_options: { accept_http_10: true } } },
    request: "GET /a HTTP/1.0\r\nHost: x.test\r\nConnection: keep-alive\r\n\r\n",
    response: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;q\r\nhello\r\n06\r\n world\r\n0\r\n\r\n",
    check: ({ client }) => assert.deepEqual([client.body, client.framing], ["hello world", "close"]),
  },
  {
    name: "a response that ends with its connection",
    request: GET,
    response: "HTTP/1.1 200 OK\r\nX-A: b\r\n\r\nuntil the end",
    closes: true,
    check: ({ client }) => assert.deepEqual([client.body, client.framing], ["until the end", "chunked"]),
  },
  {
    name: "a response from a 1.0 upstream",
    request: GET,
    response: "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    closes: true,
    check: answered("200", "ok"),
  },
  {
    name: "a response without a reason phrase",
    request: GET,
    response: "HTTP/1.1 404\r\nContent-Length: 0\r\n\r\n",
    check: answered("404", ""),
  },
  {
    name: "HEAD",
    request: "HEAD /a HTTP/1.1\r\nHost: x.test\r\n\r\n",
    response: "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n",
    check: answered("200", ""),
  },
  { name: "204", request: GET, response: "HTTP/1.1 204 No Content\r\n\r\n", check: answered("204", "") },
  {
    name: "304",
    request: GET,
    response: "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\nETag: x\r\n\r\n",
    check: answered("304", ""),
  },
  {
    name: "informational responses before the final one",
    request: GET,
    response: `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n${OK}`,
    check: answered("103"),
  },
  {
    name: "an absolute request target",
    request: "GET http://y.test/b HTTP/1.1\r\nHost: x.test\r\n\r\n",
    response: OK,
    check: ({ upstream }) => {
      assert.equal(upstream?.start, "GET /b HTTP/1.1");
      assert.ok(upstream.fields.some(([name, value]) => name === "Host" && value === "y.test"));
    },
  },
  ...(
    [
      ["a bare LF after the request line", "GET / HTTP/1.1\nHost: x.test\r\n\r\n", "400"],
      ["a bare CR in a value", "GET / HTTP/1.1\r\nHost: x.test\r\nA: b\rc\r\n\r\n", "400"],
      ["obsolete folding", "GET / HTTP/1.1\r\nHost: x.test\r\nA: b\r\n c\r\n\r\n", "400"],
      ["a space before the colon", "GET / HTTP/1.1\r\nHost : x.test\r\n\r\n", "400"],
      ["a NUL in a value", "GET / HTTP/1.1\r\nHost: x.test\r\nA: \0\r\n\r\n", "400"],
      ["two lengths", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", "400"],
      [
        "a length and chunks",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "400",
      ],
      ["a coding that nobody knows", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n", "501"],
      ["no host", "GET / HTTP/1.1\r\nA: b\r\n\r\n", "400"],
      ["two hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "400"],
      ["a request line without a version", "GET /\r\n\r\n", "426"],
    ] as const
  ).map(
    ([name, request, status]): Pair => ({
      name,
      request,
      check: (seen) => {
        assert.equal(seen.upstream, null);
        answered(status)(seen);
      },
    }),
  ),
];

/** Fields that differ from one exchange to the next. */
const VOLATILE = new Set(["x-request-id", "date", "x-envoy-upstream-service-time", "x-envoy-expected-rq-timeout-ms"]);

function stable(message: Message | null): unknown {
  return message && { ...message, fields: message.fields.filter(([name]) => !VOLATILE.has(name.toLowerCase())) };
}

describe("every exchange, split at every byte", { concurrency: 6 }, () => {
  for (const pair of PAIRS) {
    test(pair.name, async (t) => {
      let responseSplit = 0;
      const upstream = await Upstream.start(t);
      const seen: Message[] = [];
      upstream.onWire = (wire: Wire) => {
        wire.socket.on("data", () => {
          const next = readMessage(wire.received);
          if (next === null) return;
          wire.received = next.rest;
          seen.push(next.message);
          void wire.writeSplit(pair.response ?? "", responseSplit).then(() => {
            if (pair.closes) wire.end();
          });
        });
        wire.socket.on("end", () => wire.end());
      };
      const proxy = await startProxy(t, { ...pair.config, upstreams: [upstream.port] });
      const noBody = pair.request.startsWith("HEAD");

      const run = async (requestAt: number, responseAt: number): Promise<Seen> => {
        responseSplit = responseAt;
        const client = await proxy.connect();
        await client.writeSplit(pair.request, requestAt);
        const message = await client.message({ noBody });
        client.destroy();
        return { upstream: seen.pop() ?? null, client: message };
      };
      const whole = await run(pair.request.length, pair.response?.length ?? 0);
      pair.check(whole);
      const expected = { upstream: stable(whole.upstream), client: stable(whole.client) };
      for (let at = 1; at < pair.request.length; at++) {
        const { upstream: got, client } = await run(at, pair.response?.length ?? 0);
        assert.deepEqual({ upstream: stable(got), client: stable(client) }, expected, `request split at ${at}`);
      }
      for (let at = 1; at < (pair.response?.length ?? 0); at++) {
        const { upstream: got, client } = await run(pair.request.length, at);
        assert.deepEqual({ upstream: stable(got), client: stable(client) }, expected, `response split at ${at}`);
      }
      await proxy.settled();
    });
  }
});
