/**
 * The client side against servers that break the protocol: what h2spec does for servers, mirrored. The peer sees its
 * connection or stream end with the code that RFC 9113 names, the caller a 502 or 503, and the next request an answer.
 */
import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { http2Cluster } from "../support/http2-config.ts";
import {
  Code,
  data,
  Flag,
  frame,
  goaway,
  headers,
  integer,
  literal,
  literals,
  ping,
  response,
  rstStream,
  Setting,
  settings,
  Type,
  windowUpdate,
} from "../support/http2-frames.ts";
import { Http2Upstream, type Http2Wire, type ServerOptions } from "../support/http2-wire.ts";
import type { ProxyConfig } from "../support/running-proxy.ts";
import { ASKING_ENVOY, type Subject, startSubject } from "../support/subject.ts";
import { field, type Message, turns, until } from "../support/wire.ts";

const GET = "GET /a HTTP/1.1\r\nHost: x.test\r\n\r\n";

interface Setup {
  readonly subject: Subject;
  readonly upstream: Http2Upstream;
}

function answer(wire: Http2Wire, stream: number): void {
  wire.write(headers(stream, response(200), 0), data(stream, "fine", Flag.endStream));
}

/** The first request is given to `first`, all others are answered. */
async function start(
  t: TestContext,
  first: (wire: Http2Wire, stream: number) => void,
  options: { readonly server?: ServerOptions; readonly proxy?: ProxyConfig; readonly http2?: object } = {},
): Promise<Setup> {
  let requests = 0;
  const upstream = await Http2Upstream.start(t, {
    onRequest: ({ id }, wire) => (requests++ === 0 ? first : answer)(wire, id),
    ...options.server,
  });
  const subject = await startSubject(t, {
    upstreams: [upstream.port],
    ...options.proxy,
    cluster: { ...http2Cluster({ ...options.http2 }), ...options.proxy?.cluster },
  });
  return { subject, upstream };
}

async function ask(subject: Subject, text = GET): Promise<Message> {
  const caller = await subject.connect();
  caller.write(text);
  for (;;) {
    const message = await caller.message();
    if (statusOf(message) >= 200) return message;
  }
}

const statusOf = (message: Message): number => Number(message.start.split(" ")[1]);

async function servesTheNext({ subject, upstream }: Setup): Promise<void> {
  const next = await ask(subject);
  assert.equal(statusOf(next), 200);
  assert.equal(next.body, "fine");
  assert.ok(upstream.requests.length > 1);
}

/** Envoy often ends a connection without the GOAWAY that says why. */
function endedWith(code: number | null | undefined, expected: number, wire: Http2Wire): void {
  if (ASKING_ENVOY && (code === null || code === undefined)) return;
  assert.equal(code, expected, wire.describe());
}

/** INTERNAL_ERROR is what Envoy gives streams up with. */
function cancelled(wire: Http2Wire, stream: number): void {
  const code = wire.stream(stream).reset ?? -1;
  assert.ok(code === Code.cancel || code === Code.internalError, `code ${code}`);
}

const raw = (block: Buffer, stream: number, flags: number = Flag.endStream): Buffer =>
  frame(Type.headers, flags | Flag.endHeaders, stream, block);

const OK_BLOCK = literals(response(200));
const NOTHING = Buffer.alloc(0);

/** By what the server sends instead of an answer: the codes that the connection may be ended with. */
const CONNECTION_ERRORS: Readonly<Record<string, readonly [bytes: (stream: number) => Buffer, code: number]>> = {
  "SETTINGS on a stream": [(s) => frame(Type.settings, 0, s), Code.protocolError],
  "SETTINGS of 5 bytes": [() => frame(Type.settings, 0, 0, Buffer.alloc(5)), Code.frameSizeError],
  "an acknowledgement of SETTINGS with content": [
    () => frame(Type.settings, Flag.ack, 0, Buffer.alloc(6)),
    Code.frameSizeError,
  ],
  "SETTINGS_ENABLE_PUSH of 1": [() => settings([Setting.enablePush, 1]), Code.protocolError],
  "SETTINGS_ENABLE_PUSH of 2": [() => settings([Setting.enablePush, 2]), Code.protocolError],
  "an initial window above 2^31 - 1": [() => settings([Setting.initialWindowSize, 2 ** 31]), Code.flowControlError],
  "a frame size below 16,384": [() => settings([Setting.maxFrameSize, 16_383]), Code.protocolError],
  "a frame size of 2^24": [() => settings([Setting.maxFrameSize, 2 ** 24]), Code.protocolError],
  "DATA on stream 0": [() => data(0, "x"), Code.protocolError],
  "HEADERS on stream 0": [() => headers(0, response()), Code.protocolError],
  "RST_STREAM on stream 0": [() => rstStream(0, Code.cancel), Code.protocolError],
  "CONTINUATION on stream 0": [() => frame(Type.continuation, Flag.endHeaders, 0, OK_BLOCK), Code.protocolError],
  "PUSH_PROMISE on stream 0": [() => frame(Type.pushPromise, Flag.endHeaders, 0, Buffer.alloc(4)), Code.protocolError],
  "PING on a stream": [(s) => frame(Type.ping, 0, s, Buffer.alloc(8)), Code.protocolError],
  "GOAWAY on a stream": [(s) => frame(Type.goaway, 0, s, Buffer.alloc(8)), Code.protocolError],
  "DATA on an idle stream": [(s) => data(s + 2, "x"), Code.protocolError],
  "HEADERS on an idle stream": [(s) => headers(s + 2, response()), Code.protocolError],
  "HEADERS on a stream that only a server could open": [() => headers(2, response()), Code.protocolError],
  "RST_STREAM on an idle stream": [(s) => rstStream(s + 2, Code.cancel), Code.protocolError],
  "WINDOW_UPDATE on an idle stream": [(s) => windowUpdate(s + 2, 1), Code.protocolError],
  "PUSH_PROMISE although push is switched off": [
    (s) => frame(Type.pushPromise, Flag.endHeaders, s, Buffer.concat([Buffer.of(0, 0, 0, 2), OK_BLOCK])),
    Code.protocolError,
  ],
  "a frame of more than 16,384 bytes": [(s) => frame(Type.data, 0, s, Buffer.alloc(16_385)), Code.frameSizeError],
  "PING of 7 bytes": [() => frame(Type.ping, 0, 0, Buffer.alloc(7)), Code.frameSizeError],
  "RST_STREAM of 3 bytes": [(s) => frame(Type.rstStream, 0, s, Buffer.alloc(3)), Code.frameSizeError],
  "WINDOW_UPDATE of 5 bytes": [() => frame(Type.windowUpdate, 0, 0, Buffer.alloc(5)), Code.frameSizeError],
  "GOAWAY of 7 bytes": [() => frame(Type.goaway, 0, 0, Buffer.alloc(7)), Code.frameSizeError],
  "WINDOW_UPDATE of nothing on the connection": [() => windowUpdate(0, 0), Code.protocolError],
  "a connection's window above 2^31 - 1": [() => windowUpdate(0, 2 ** 31 - 1), Code.flowControlError],
  "padding longer than DATA": [
    (s) => Buffer.concat([headers(s, response(), 0), frame(Type.data, Flag.padded, s, Buffer.of(9, 1, 2))]),
    Code.protocolError,
  ],
  "padding longer than HEADERS": [
    (s) => frame(Type.headers, Flag.padded | Flag.endHeaders, s, Buffer.concat([Buffer.of(255), OK_BLOCK])),
    Code.protocolError,
  ],
  "HEADERS too short for their priority": [
    (s) => frame(Type.headers, Flag.priority | Flag.endHeaders, s, Buffer.alloc(3)),
    Code.frameSizeError,
  ],
  "CONTINUATION without HEADERS": [(s) => frame(Type.continuation, Flag.endHeaders, s, OK_BLOCK), Code.protocolError],
  "PING within a header block": [
    (s) => Buffer.concat([frame(Type.headers, 0, s, OK_BLOCK), ping()]),
    Code.protocolError,
  ],
  "DATA within a header block": [
    (s) => Buffer.concat([frame(Type.headers, 0, s, OK_BLOCK), data(s, "x")]),
    Code.protocolError,
  ],
  "an unknown frame within a header block": [
    (s) => Buffer.concat([frame(Type.headers, 0, s, OK_BLOCK), frame(0x77, 0, 0, NOTHING)]),
    Code.protocolError,
  ],
  "CONTINUATION on another stream": [
    (s) => Buffer.concat([frame(Type.headers, 0, s, OK_BLOCK), frame(Type.continuation, Flag.endHeaders, s + 2)]),
    Code.protocolError,
  ],
  "a header field with index 0": [(s) => raw(Buffer.of(0x80), s), Code.compressionError],
  "a header field that no table has": [(s) => raw(Buffer.of(0xff, 0x20), s), Code.compressionError],
  "an index that never ends": [(s) => raw(Buffer.alloc(20, 0xff), s), Code.compressionError],
  "a table larger than was allowed": [
    (s) => raw(Buffer.concat([integer(2 ** 20, 5, 0x20), OK_BLOCK]), s),
    Code.compressionError,
  ],
  "a table size after a field": [(s) => raw(Buffer.concat([OK_BLOCK, Buffer.of(0x20)]), s), Code.compressionError],
  "a header block that ends within a field": [(s) => raw(OK_BLOCK.subarray(0, -1), s), Code.compressionError],
  "a Huffman code of EOS": [(s) => raw(Buffer.of(0, 0x84, 0xff, 0xff, 0xff, 0xff, 0), s), Code.compressionError],
  "Huffman padding of zeros": [(s) => raw(Buffer.of(0, 0x81, 0x18, 0), s), Code.compressionError],
};

describe("a server that breaks the connection's rules", () => {
  for (const [name, [bytes, code]] of Object.entries(CONNECTION_ERRORS)) {
    test(`with ${name} is left, and the caller gets 502`, async (t) => {
      const setup = await start(t, (wire, stream) => wire.write(bytes(stream)));
      const { subject, upstream } = setup;
      const caller = await subject.connect();
      caller.write(GET);
      const wire = await upstream.wire();
      const ended = await wire.ended();
      endedWith(ended, code, wire);
      // Where a head had come, the caller has it and sees that the rest is missing.
      const cut = name === "padding longer than DATA";
      if (!cut) assert.equal(statusOf(await caller.message()), 502);
      else await caller.gone();
      if (!cut) assert.match(await subject.logged(), /^502 UPE upstream_reset_before_response_started\{protocol_error/);
      await servesTheNext(setup);
      assert.equal(upstream.wires.length, 2);
      await subject.settled();
    });
  }

  const beginnings: Readonly<Record<string, readonly Buffer[]>> = {
    "anything before SETTINGS": [ping(), settings()],
    "an acknowledgement before SETTINGS": [frame(Type.settings, Flag.ack, 0)],
    "HTTP/1.1": [Buffer.from("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")],
    noise: [Buffer.alloc(40, 0xa5)],
  };
  for (const [name, begin] of Object.entries(beginnings)) {
    test(`that begins with ${name} is left, and the caller gets 502`, async (t) => {
      const { subject, upstream } = await start(t, () => undefined, { server: { begin } });
      const asked = ask(subject);
      await (await upstream.wire()).ended();
      assert.equal(statusOf(await asked), 502);
      await subject.settled();
    });
  }

  test("with more DATA than the connection's window is left with FLOW_CONTROL_ERROR", async (t) => {
    const small = { initial_stream_window_size: 65_535, initial_connection_window_size: 65_535 };
    const { subject, upstream } = await start(
      t,
      (wire, stream) => {
        wire.write(headers(stream, response(200), 0));
        // More than proxy and kernel take while the caller does not read.
        const part = data(stream, Buffer.alloc(16_384));
        for (let sent = 0; sent < 2500; sent++) wire.write(part);
      },
      { http2: small, server: { widens: false }, proxy: { cluster: { per_connection_buffer_limit_bytes: 1024 } } },
    );
    const caller = await subject.connect();
    // Who doesn't read holds the windows shut.
    caller.socket.pause();
    caller.write(GET);
    const wire = await upstream.wire();
    endedWith(await wire.ended(), Code.flowControlError, wire);
    await subject.settled();
  });
});

/** Answers that are malformed (RFC 9113, section 8.1.1) before any of them can have been passed on. */
const MALFORMED: Readonly<Record<string, (stream: number) => Buffer>> = {
  "no :status": (s) => headers(s, [["x-a", "1"]]),
  "two :status": (s) => headers(s, [...response(200), ...response(200)]),
  "a :status that is no number": (s) => headers(s, response("2x0")),
  "a :status of two digits": (s) => headers(s, response("20")),
  "a :status of four digits": (s) => headers(s, response("2000")),
  "an empty :status": (s) => headers(s, response("")),
  ":status after a field": (s) => headers(s, [["x-a", "1"], ...response(200)]),
  "an unknown pseudo-header field": (s) => headers(s, [...response(200), [":x", "1"]]),
  "a request's pseudo-header field": (s) => headers(s, [...response(200), [":path", "/"]]),
  "a name with an uppercase letter": (s) => headers(s, response(200, [["X-a", "1"]])),
  "an empty name": (s) => headers(s, response(200, [["", "1"]])),
  "a name with a blank": (s) => headers(s, response(200, [["x a", "1"]])),
  "a name with CR LF": (s) => headers(s, response(200, [["x\r\na", "1"]])),
  "a name with a colon in it": (s) => headers(s, response(200, [["x:a", "1"]])),
  "a value with CR LF": (s) => headers(s, response(200, [["x", "a\r\nb: c"]])),
  "a value with LF": (s) => headers(s, response(200, [["x", "a\nb"]])),
  "a value with NUL": (s) => headers(s, response(200, [["x", "a\0b"]])),
  "content-length that is no number": (s) => headers(s, response(200, [["content-length", "1x"]])),
  "two differing content-length": (s) =>
    headers(
      s,
      response(200, [
        ["content-length", "1"],
        ["content-length", "2"],
      ]),
      0,
    ),
  "content-length of more than an empty answer has": (s) => headers(s, response(200, [["content-length", "5"]])),
  "status 101": (s) => headers(s, response(101), 0),
  "an informational head that ends the stream": (s) => headers(s, response(103)),
  "DATA before a head": (s) => data(s, "x", Flag.endStream),
  "DATA after an informational head only": (s) => Buffer.concat([headers(s, response(103), 0), data(s, "x", 1)]),
};

describe("a malformed answer", () => {
  for (const [name, bytes] of Object.entries(MALFORMED)) {
    test(`with ${name} is a 502 and ends its stream or connection`, async (t) => {
      const setup = await start(t, (wire, stream) => wire.write(bytes(stream)));
      const { subject, upstream } = setup;
      assert.equal(statusOf(await ask(subject)), 502);
      assert.match(await subject.logged(), /^502 UPE /);
      const wire = await upstream.wire();
      await until(() => wire.goaway !== null || wire.stream(1).reset !== null || wire.gone);
      const code = wire.stream(1).reset ?? wire.goaway?.code;
      endedWith(code, Code.protocolError, wire);
      await servesTheNext(setup);
      await subject.settled();
    });
  }

  /** Those that become malformed only after their head was passed on. */
  const later: Readonly<Record<string, (stream: number) => readonly Buffer[]>> = {
    "more content than content-length": (s) => [
      headers(s, response(200, [["content-length", "3"]]), 0),
      data(s, "abcd", Flag.endStream),
    ],
    "less content than content-length": (s) => [
      headers(s, response(200, [["content-length", "9"]]), 0),
      data(s, "abcd", Flag.endStream),
    ],
    "pseudo-header fields in its trailers": (s) => [
      headers(s, response(200), 0),
      data(s, "a"),
      headers(s, [[":status", "200"]]),
    ],
    "trailers that do not end the stream": (s) => [
      headers(s, response(200), 0),
      data(s, "a"),
      headers(s, [["x-sum", "1"]], 0),
    ],
    "uppercase names in its trailers": (s) => [
      headers(s, response(200), 0),
      data(s, "a"),
      headers(s, [["X-Sum", "1"]]),
    ],
  };
  for (const [name, bytes] of Object.entries(later)) {
    test(`with ${name} never looks whole to the caller`, async (t) => {
      const setup = await start(t, (wire, stream) => wire.write(...bytes(stream)));
      const { subject, upstream } = setup;
      const caller = await subject.connect();
      caller.write(GET);
      await caller.gone();
      // An answer that was refused before its head left is a 502; one that was cut has no end.
      if (!caller.received.startsWith("HTTP/1.1 502")) {
        const whole = /content-length: (\d+)[\s\S]*?\r\n\r\n([\s\S]*)$/.exec(caller.received);
        if (whole !== null) assert.notEqual(whole[2]?.length, Number(whole[1]), caller.received);
        else assert.doesNotMatch(caller.received, /\r\n0\r\n/);
      }
      const wire = await upstream.wire();
      await until(() => wire.goaway !== null || wire.stream(1).reset !== null || wire.gone);
      await servesTheNext(setup);
      await subject.settled();
    });
  }

  test("leaves the other streams alone where the cluster says so", async (t) => {
    const { subject, upstream } = await start(
      t,
      (wire, stream) => {
        void until(() => upstream.requests.length > 1).then(() => {
          wire.write(headers(stream, response("2x0")), headers(stream + 2, response(200), 0));
          wire.write(data(stream + 2, "fine", Flag.endStream));
        });
      },
      {
        http2: { override_stream_error_on_invalid_http_message: true },
        server: {},
      },
    );
    const asked = [ask(subject), ask(subject)];
    const statuses = (await Promise.all(asked)).map(statusOf).sort();
    assert.deepEqual(statuses, [200, 502]);
    assert.equal(upstream.wires.length, 1);
    const wire = await upstream.wire();
    await until(() => wire.stream(1).reset !== null);
    assert.equal(wire.stream(1).reset, Code.protocolError);
    await subject.settled();
  });
});

describe("a frame on a stream that is over", () => {
  const after: Readonly<Record<string, (stream: number) => Buffer>> = {
    DATA: (s) => data(s, "more"),
    HEADERS: (s) => headers(s, [["x-more", "1"]]),
  };
  for (const [name, bytes] of Object.entries(after)) {
    test(`${name} after END_STREAM does not reach another request`, async (t) => {
      const setup = await start(t, (wire, stream) => {
        answer(wire, stream);
        wire.write(bytes(stream));
      });
      const first = await ask(setup.subject);
      assert.equal(first.body, "fine");
      await servesTheNext(setup);
      await setup.subject.settled();
    });
  }

  test("WINDOW_UPDATE, RST_STREAM and PRIORITY may come late", async (t) => {
    const setup = await start(t, (wire, stream) => {
      answer(wire, stream);
      wire.write(windowUpdate(stream, 5), rstStream(stream, Code.noError));
      wire.write(frame(Type.priority, 0, stream, Buffer.of(0, 0, 0, 0, 16)));
    });
    assert.equal((await ask(setup.subject)).body, "fine");
    await servesTheNext(setup);
    assert.equal(setup.upstream.wires.length, 1);
    await setup.subject.settled();
  });

  test("of a request that was given up, an answer that is still on its way is read and dropped", async (t) => {
    const { subject, upstream } = await start(t, () => undefined, { server: { onRequest: () => undefined } });
    const caller = await subject.connect();
    caller.write(GET);
    const { id } = await upstream.request();
    caller.reset();
    const wire = await upstream.wire();
    await until(() => wire.stream(id).reset !== null);
    cancelled(wire, id);
    // Fields that enter the table, so that the next block can only be read by who has read this one.
    const indexed = Buffer.concat([Buffer.of(0x88, 0x40), literal(["x-late", "yes"]).subarray(1)]);
    wire.write(raw(indexed, id, 0), data(id, "late", Flag.endStream));
    const next = ask(subject);
    const second = await upstream.request(1);
    wire.write(raw(Buffer.of(0x88, 0xbe), second.id, 0), data(second.id, "fine", Flag.endStream));
    const message = await next;
    assert.equal(message.body, "fine");
    assert.equal(field(message, "x-late"), "yes", JSON.stringify(message));
    assert.equal(upstream.wires.length, 1);
    await subject.settled();
  });
});

describe("informational heads", () => {
  test("before the final one are passed on or dropped, never the answer", async (t) => {
    const setup = await start(t, (wire, stream) => {
      wire.write(headers(stream, response(103, [["link", "</a>"]]), 0), headers(stream, response(102), 0));
      answer(wire, stream);
    });
    const caller = await setup.subject.connect();
    caller.write(GET);
    let message = await caller.message();
    while (statusOf(message) < 200) message = await caller.message();
    assert.equal(message.body, "fine");
    await setup.subject.settled();
  });
});

describe("GOAWAY", () => {
  const retrying = { action: { retry_policy: { retry_on: "refused-stream,reset", num_retries: 2 } } };

  test("below a request's stream means that it was not processed: it is asked again elsewhere", async (t) => {
    const setup = await start(t, (wire) => wire.write(goaway(0, Code.noError)), { proxy: retrying });
    assert.equal((await ask(setup.subject)).body, "fine");
    assert.equal(setup.upstream.wires.length, 2);
    await setup.subject.settled();
  });

  test("before the first request sends it elsewhere", async (t) => {
    const upstream = await Http2Upstream.start(t, {
      onWire: (wire, index) => {
        wire.write(settings());
        if (index === 0) wire.write(goaway(0, Code.noError));
      },
      begin: [],
      onRequest: ({ id }, wire) => {
        if (upstream.wires.indexOf(wire) > 0) answer(wire, id);
      },
    });
    const subject = await startSubject(t, {
      upstreams: [upstream.port],
      cluster: http2Cluster(),
      ...retrying,
    });
    assert.equal((await ask(subject)).body, "fine");
    await subject.settled();
  });

  test("above a request's stream lets it end, and the next one goes elsewhere", async (t) => {
    const setup = await start(t, async (wire, stream) => {
      wire.write(goaway(stream, Code.noError));
      await wire.settled();
      answer(wire, stream);
    });
    assert.equal((await ask(setup.subject)).body, "fine");
    await (await setup.upstream.wire()).ended();
    await servesTheNext(setup);
    assert.equal(setup.upstream.wires.length, 2);
    await setup.subject.settled();
  });

  test("in two steps loses no request", async (t) => {
    const setup = await start(t, async (wire, stream) => {
      wire.write(goaway(2 ** 31 - 1, Code.noError));
      await wire.settled();
      wire.write(goaway(stream, Code.noError));
      await wire.settled("again!!!");
      answer(wire, stream);
    });
    assert.equal((await ask(setup.subject)).body, "fine");
    await servesTheNext(setup);
    assert.equal(setup.upstream.wires.length, 2);
    await setup.subject.settled();
  });

  test("within an answer lets the answer go on", async (t) => {
    const setup = await start(t, async (wire, stream) => {
      wire.write(headers(stream, response(200), 0), data(stream, "fi"), goaway(stream, Code.noError));
      await wire.settled();
      wire.write(data(stream, "ne", Flag.endStream));
    });
    assert.equal((await ask(setup.subject)).body, "fine");
    await servesTheNext(setup);
    await setup.subject.settled();
  });

  test("within a request's body lets the body go on", async (t) => {
    const { subject, upstream } = await start(t, (wire, stream) => wire.write(goaway(stream, Code.noError)));
    const caller = await subject.connect();
    caller.write("POST / HTTP/1.1\r\nHost: x.test\r\nContent-Length: 4\r\n\r\nab");
    const request = await upstream.request();
    const wire = await upstream.wire();
    await wire.settled();
    caller.write("cd");
    await until(() => request.ended);
    assert.equal(request.body, "abcd");
    answer(wire, request.id);
    assert.equal((await caller.message()).body, "fine");
    await subject.settled();
  });

  test("for an error, and the end of the connection, is the caller's 503", async (t) => {
    const setup = await start(t, (wire, stream) => {
      wire.write(goaway(stream, Code.internalError));
      wire.socket.end();
    });
    assert.equal(statusOf(await ask(setup.subject)), 503);
    assert.match(await setup.subject.logged(), /^503 UC /);
    await servesTheNext(setup);
    await setup.subject.settled();
  });

  test("while many streams are open refuses those above its mark, and each of them is answered once", async (t) => {
    const COUNT = 20;
    const upstream = await Http2Upstream.start(t, {
      onRequest: ({ id }, wire) => {
        if (upstream.wires.indexOf(wire) > 0) answer(wire, id);
        else if (wire.streams.size === COUNT) {
          wire.write(goaway(19, Code.noError));
          for (const stream of wire.streams.keys()) if (stream <= 19) answer(wire, stream);
        }
      },
    });
    const limits = { circuit_breakers: { thresholds: [{ max_retries: COUNT }] } };
    const cluster = { ...http2Cluster(), ...limits };
    const subject = await startSubject(t, { upstreams: [upstream.port], cluster, ...retrying });
    const answers = await Promise.all(Array.from({ length: COUNT }, () => ask(subject)));
    assert.deepEqual(new Set(answers.map(({ body }) => body)), new Set(["fine"]));
    // 10 were answered before the mark, 10 asked again.
    assert.equal(upstream.requests.length, COUNT + 10);
    await subject.settled();
  });
});

describe("the end of a stream or connection without an answer", () => {
  const codes = [Code.noError, Code.internalError, Code.cancel, Code.refusedStream, 0x99];
  for (const code of codes) {
    test(`RST_STREAM with code ${code} is a 503, and the connection serves on`, async (t) => {
      const setup = await start(t, (wire, stream) => wire.write(rstStream(stream, code)));
      assert.equal(statusOf(await ask(setup.subject)), 503);
      assert.match(await setup.subject.logged(), /^503 UR upstream_reset_before_response_started\{remote_/);
      await servesTheNext(setup);
      assert.equal(setup.upstream.wires.length, 1);
      await setup.subject.settled();
    });
  }

  test("RST_STREAM with PROTOCOL_ERROR is a 502, and the connection serves on", async (t) => {
    const setup = await start(t, (wire, stream) => wire.write(rstStream(stream, Code.protocolError)));
    assert.equal(statusOf(await ask(setup.subject)), 502);
    assert.match(await setup.subject.logged(), /^502 UPE upstream_reset_before_response_started\{protocol_error/);
    await servesTheNext(setup);
    assert.equal(setup.upstream.wires.length, 1);
    await setup.subject.settled();
  });

  test("RST_STREAM after a head cuts the answer", async (t) => {
    const setup = await start(t, (wire, stream) => {
      wire.write(headers(stream, response(200, [["content-length", "9"]]), 0), data(stream, "half"));
      void wire.settled().then(() => wire.write(rstStream(stream, Code.internalError)));
    });
    const caller = await setup.subject.connect();
    caller.write(GET);
    await caller.gone();
    assert.ok(caller.received.endsWith("half"), caller.received);
    await servesTheNext(setup);
    assert.equal(setup.upstream.wires.length, 1);
    await setup.subject.settled();
  });

  test("a whole answer and RST_STREAM with NO_ERROR before the request's end is an answer", async (t) => {
    const { subject } = await start(t, (wire, stream) => {
      answer(wire, stream);
      wire.write(rstStream(stream, Code.noError));
    });
    const caller = await subject.connect();
    caller.write("POST / HTTP/1.1\r\nHost: x.test\r\nContent-Length: 4\r\n\r\nab");
    const message = await caller.message();
    assert.equal(statusOf(message), 200);
    assert.equal(message.body, "fine");
    await subject.settled();
  });

  for (const how of ["end", "reset"] as const) {
    test(`a connection's ${how} is the 503 of all its requests`, async (t) => {
      const upstream = await Http2Upstream.start(t, {
        onRequest: (_, wire) => {
          if (upstream.wires.indexOf(wire) > 0 || wire.streams.size < 5) return;
          if (how === "end") wire.socket.end();
          else wire.socket.resetAndDestroy();
        },
      });
      const subject = await startSubject(t, { upstreams: [upstream.port], cluster: http2Cluster() });
      const answers = await Promise.all(Array.from({ length: 5 }, () => ask(subject)));
      assert.deepEqual(answers.map(statusOf), [503, 503, 503, 503, 503]);
      assert.match(await subject.logged(4), /^503 UC upstream_reset_before_response_started\{connection_termination/);
      await subject.settled();
    });
  }

  test("silence is a 504 at the route's timeout, and the stream is cancelled", async (t) => {
    const setup = await start(t, () => undefined, { proxy: { action: { timeout: "0.2s" } } });
    assert.equal(statusOf(await ask(setup.subject)), 504);
    assert.match(await setup.subject.logged(), /^504 UT /);
    const wire = await setup.upstream.wire();
    await until(() => wire.stream(1).reset !== null);
    cancelled(wire, 1);
    await servesTheNext(setup);
    assert.equal(setup.upstream.wires.length, 1);
    await setup.subject.settled();
  });
});

describe("settings that change in flight", () => {
  test("one stream at a time: requests wait or take another connection, and all are answered", async (t) => {
    let most = 0;
    const upstream = await Http2Upstream.start(t, {
      begin: [settings([Setting.maxConcurrentStreams, 1])],
      onRequest: ({ id }, wire) => {
        const open = [...wire.streams.keys()].filter((key) => key <= id && !answered.has(wire.stream(key))).length;
        // Before the setting has been acknowledged more may come.
        if (wire.frames.some(({ type, flags }) => type === Type.settings && flags & Flag.ack)) {
          most = Math.max(most, open);
        }
        setTimeout(() => {
          answered.add(wire.stream(id));
          answer(wire, id);
        }, 5);
      },
    });
    const answered = new Set<unknown>();
    const subject = await startSubject(t, { upstreams: [upstream.port], cluster: http2Cluster() });
    assert.equal((await ask(subject)).body, "fine");
    const answers = await Promise.all(Array.from({ length: 12 }, () => ask(subject)));
    assert.deepEqual(new Set(answers.map(({ body }) => body)), new Set(["fine"]));
    assert.equal(most, 1);
    await subject.settled();
  });

  test("no stream at all: what waits is asked once streams are allowed again", async (t) => {
    const upstream = await Http2Upstream.start(t, { onRequest: ({ id }, wire) => answer(wire, id) });
    const subject = await startSubject(t, { upstreams: [upstream.port], cluster: http2Cluster() });
    assert.equal((await ask(subject)).body, "fine");
    const first = await upstream.wire();
    first.write(settings([Setting.maxConcurrentStreams, 0]));
    await first.settled();
    const asked = ask(subject);
    await new Promise((resolve) => setTimeout(resolve, 100));
    // Whether it waits here or has gone over another connection: no stream was opened where none may be.
    assert.equal(first.streams.size, 1);
    first.write(settings([Setting.maxConcurrentStreams, 10]));
    assert.equal((await asked).body, "fine");
    await subject.settled();
  });

  test("a refused stream is asked again where the route retries", async (t) => {
    const setup = await start(t, (wire, stream) => wire.write(rstStream(stream, Code.refusedStream)), {
      proxy: { action: { retry_policy: { retry_on: "refused-stream" } } },
    });
    assert.equal((await ask(setup.subject)).body, "fine");
    await setup.subject.settled();
  });

  test("a window that shrinks below zero holds the body until it is above zero again", async (t) => {
    const SIZE = 40_000;
    const upstream = await Http2Upstream.start(t, {
      widens: false,
      begin: [settings([Setting.initialWindowSize, 20_000])],
    });
    const subject = await startSubject(t, { upstreams: [upstream.port], cluster: http2Cluster() });
    const caller = await subject.connect();
    caller.write(`POST / HTTP/1.1\r\nHost: x.test\r\nContent-Length: ${SIZE}\r\n\r\n`);
    const request = await upstream.request();
    const wire = await upstream.wire();
    // The settings stand by now, or the first body bytes could go by the default window.
    await wire.frame(({ type, flags }) => type === Type.settings && (flags & Flag.ack) !== 0);
    caller.write("b".repeat(SIZE));
    await until(() => request.body.length === 20_000);
    wire.write(settings([Setting.initialWindowSize, 5000]));
    await wire.settled();
    // The window is at -15,000: this leaves it at zero.
    wire.write(windowUpdate(request.id, 15_000));
    await wire.settled("zero now");
    assert.equal(request.body.length, 20_000);
    wire.write(windowUpdate(request.id, 1));
    await until(() => request.body.length === 20_001);
    wire.write(settings([Setting.initialWindowSize, 65_535]));
    await until(() => request.ended);
    assert.equal(request.body.length, SIZE);
    answer(wire, request.id);
    assert.equal((await caller.message()).body, "fine");
    await subject.settled();
  });

  test("a stream's window above 2^31 - 1 by new settings ends the connection", async (t) => {
    const { subject, upstream } = await start(t, (wire, stream) => {
      wire.write(windowUpdate(stream, 2 ** 31 - 1 - 65_535), settings([Setting.initialWindowSize, 65_536]));
    });
    const status = statusOf(await ask(subject));
    const wire = await upstream.wire();
    // Envoy is content with the end of the stream.
    if (ASKING_ENVOY) return assert.equal(status, 503);
    assert.equal(await wire.ended(), Code.flowControlError, wire.describe());
    assert.equal(status, 502);
    await subject.settled();
  });

  test("a stream's window above 2^31 - 1 ends the stream or the connection", async (t) => {
    const { subject, upstream } = await start(t, (wire, stream) => wire.write(windowUpdate(stream, 2 ** 31 - 1)));
    const status = statusOf(await ask(subject));
    assert.ok(status === 502 || status === 503, String(status));
    const wire = await upstream.wire();
    await until(() => wire.gone || wire.stream(1).reset !== null);
    endedWith(wire.stream(1).reset ?? wire.goaway?.code, Code.flowControlError, wire);
    await subject.settled();
  });

  test("a smaller table for header fields is announced in the next header block", async (t) => {
    const upstream = await Http2Upstream.start(t, {
      begin: [settings([Setting.headerTableSize, 0])],
      onRequest: ({ id }, wire) => answer(wire, id),
    });
    const subject = await startSubject(t, { upstreams: [upstream.port], cluster: http2Cluster() });
    for (let i = 0; i < 4; i++) {
      const caller = await subject.connect();
      caller.write(`GET /${i} HTTP/1.1\r\nHost: x.test\r\nX-Same: as always\r\n\r\n`);
      assert.equal((await caller.message()).body, "fine");
    }
    // The reader would find no field where the table had been used beyond its size.
    assert.deepEqual(
      upstream.requests.map((log) => [log.field(":path"), log.field("x-same")]),
      [0, 1, 2, 3].map((i) => [`/${i}`, "as always"]),
    );
    await subject.settled();
  });

  test("a server that reads nothing more holds its callers, not the proxy's memory", async (t) => {
    const upstream = await Http2Upstream.start(t, { widens: false });
    const subject = await startSubject(t, {
      upstreams: [upstream.port],
      cluster: { ...http2Cluster(), per_connection_buffer_limit_bytes: 65_536 },
      listener: { per_connection_buffer_limit_bytes: 65_536 },
    });
    const caller = await subject.connect();
    const SIZE = 64 * 1024 * 1024;
    caller.write(`POST / HTTP/1.1\r\nHost: x.test\r\nContent-Length: ${SIZE}\r\n\r\n`);
    const part = Buffer.alloc(1024 * 1024, "b");
    let taken = 0;
    for (let sent = 0; sent < SIZE; sent += part.length) {
      caller.socket.write(part, () => {
        taken += part.length;
      });
    }
    const request = await upstream.request();
    await until(() => request.body.length === 65_535);
    for (let before = -1; before !== taken; ) {
      before = taken;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    // What the kernel's buffers on both sides hold, and little more.
    assert.ok(taken < 16 * 1024 * 1024, `${taken} bytes were taken`);
    assert.equal(request.body.length, 65_535);
    const wire = await upstream.wire();
    wire.write(windowUpdate(0, 2 ** 30), windowUpdate(request.id, 2 ** 30));
    await until(() => request.ended, 10_000);
    answer(wire, request.id);
    assert.equal((await caller.message()).body, "fine");
    await subject.settled();
  });
});

describe("a flood from a server", () => {
  const many = (count: number, bytes: Buffer): Buffer => Buffer.concat(Array.from({ length: count }, () => bytes));
  /** What is sent again and again. */
  const floods: Readonly<Record<string, (stream: number) => Buffer>> = {
    PING: () => many(1000, ping()),
    SETTINGS: () => many(1000, settings([Setting.maxConcurrentStreams, 100])),
    "empty DATA": (s) => Buffer.concat([headers(s, response(200), 0), many(1000, data(s, ""))]),
    PRIORITY: (s) => many(1000, frame(Type.priority, 0, s, Buffer.of(0, 0, 0, 0, 16))),
    WINDOW_UPDATE: (s) => many(1000, windowUpdate(s, 1)),
    CONTINUATION: (s) =>
      Buffer.concat([frame(Type.headers, 0, s, OK_BLOCK), many(1000, frame(Type.continuation, 0, s, NOTHING))]),
  };
  for (const [name, bytes] of Object.entries(floods)) {
    test(`of ${name} ends the connection with ENHANCE_YOUR_CALM`, async (t) => {
      const setup = await start(t, async (wire, stream) => {
        const flood = bytes(stream);
        // Envoy counts only answers that it could not send yet.
        if (ASKING_ENVOY) wire.socket.pause();
        for (let i = 0; i < 500 && wire.goaway === null && wire.socket.writable; i++) {
          wire.write(flood);
          await turns();
        }
        wire.socket.resume();
      });
      const caller = await setup.subject.connect();
      caller.write(GET);
      const wire = await setup.upstream.wire();
      endedWith(await wire.ended(10_000), Code.enhanceYourCalm, wire);
      await until(() => caller.received !== "" || caller.closed || caller.ended);
      if (!caller.received.startsWith("HTTP/1.1 200")) assert.match(caller.received, /^HTTP\/1.1 50[23] /);
      await servesTheNext(setup);
      await setup.subject.settled();
    });
  }

  test("a header block that grows a thousandfold when it is read is refused", async (t) => {
    // One field of 4,000 bytes enters the table; the rest of the block names it again and again.
    const bomb = Buffer.concat([
      Buffer.of(0x88, 0x40),
      literal(["x-bomb", "b".repeat(4000)]).subarray(1),
      Buffer.alloc(12_000, 0xbe),
    ]);
    const setup = await start(t, (wire, stream) => wire.write(raw(bomb, stream)));
    assert.ok([502, 503].includes(statusOf(await ask(setup.subject))));
    await servesTheNext(setup);
    await setup.subject.settled();
  });
});
