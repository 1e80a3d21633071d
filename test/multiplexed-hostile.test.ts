/**
 * Peers that have agreed to send the heads of HTTP/1 as streams and then send what HTTP/1 itself would refuse, or what only
 * frames make possible: nothing of it reaches an application or a caller as anything but an error.
 */
import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import tls from "node:tls";
import { CERTIFICATE, PRIVATE_KEY } from "../xds/testing/pem.ts";
import { data, Flag, frame, settings, Type } from "./support/http2-frames.ts";
import { connectHttp2, Http2Wire } from "./support/http2-wire.ts";
import { startProxy } from "./support/running-proxy.ts";
import { firstHop, holdBusy, secondHop } from "./support/two-hops.ts";
import { type Message, ok, Upstream, until } from "./support/wire.ts";

const ALPN = ["outrigger-mux/1"];
const CREDENTIALS = { cert: CERTIFICATE, key: PRIVATE_KEY };
const LAST = Flag.endStream;
const ENDED = Flag.endStream | Flag.endHeaders;

/** HEADERS of text, whole unless `flags` says otherwise. */
const head = (stream: number, text: string, flags: number = ENDED): Buffer =>
  frame(Type.headers, flags, stream, Buffer.from(text, "latin1"));

const GET = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";
const post = (fields: string): string => `POST /a HTTP/1.1\r\nHost: x\r\n${fields}\r\n`;

/** Bytes that a peer sends on stream 1, by what is wrong with them. */
const REQUESTS: Readonly<Record<string, readonly Buffer[]>> = {
  "transfer-encoding": [head(1, post("Transfer-Encoding: chunked\r\n"), Flag.endHeaders), data(1, "0\r\n\r\n", LAST)],
  "transfer-encoding and a length": [
    head(1, post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"), Flag.endHeaders),
    data(1, "0\r\n\r\n", LAST),
  ],
  "another coding": [head(1, post("Transfer-Encoding: gzip\r\n"), Flag.endHeaders), data(1, "ab", LAST)],
  "more content than its length": [head(1, post("Content-Length: 2\r\n"), Flag.endHeaders), data(1, `ab${GET}`, LAST)],
  "less content than its length": [head(1, post("Content-Length: 9\r\n"), Flag.endHeaders), data(1, "ab", LAST)],
  "a length and no content": [head(1, post("Content-Length: 2\r\n"))],
  "two lengths": [head(1, post("Content-Length: 2\r\nContent-Length: 3\r\n"), Flag.endHeaders), data(1, "abc", LAST)],
  "a signed length": [head(1, post("Content-Length: +2\r\n"), Flag.endHeaders), data(1, "ab", LAST)],
  "a second request behind its head": [head(1, GET + GET)],
  "content in its head": [head(1, `${post("Content-Length: 2\r\n")}ab`)],
  "an upgrade": [
    head(1, "GET /a HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", Flag.endHeaders),
  ],
  "a head that is not whole": [head(1, "GET /a HTTP/1.1\r\nHost: x\r\n")],
  "an empty head": [head(1, "")],
  "a bare LF": [head(1, "GET /a HTTP/1.1\nHost: x\n\n")],
  "a bare CR in a value": [head(1, "GET /a HTTP/1.1\r\nHost: x\r\nA: b\rc\r\n\r\n")],
  "a folded line": [head(1, "GET /a HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n")],
  "a space before the colon": [head(1, "GET /a HTTP/1.1\r\nHost: x\r\nA : b\r\n\r\n")],
  "NUL in a value": [head(1, "GET /a HTTP/1.1\r\nHost: x\r\nA: b\0c\r\n\r\n")],
  "two hosts": [head(1, "GET /a HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n")],
  "no host": [head(1, "GET /a HTTP/1.1\r\n\r\n")],
  "a space in its target": [head(1, "GET /a b HTTP/1.1\r\nHost: x\r\n\r\n")],
  "HTTP/2 as its version": [head(1, "GET /a HTTP/2.0\r\nHost: x\r\n\r\n")],
  "a header list of HPACK": [head(1, "\x82\x86\x84\x41\x01x")],
};

async function secondAlone(t: TestContext) {
  const application = await Upstream.serving(t, () => ok("fine"));
  const proxy = await startProxy(t, secondHop({ upstreams: [application.port] }, ALPN));
  const connect = () => connectHttp2(t, proxy.port, { tls: { ...CREDENTIALS, ALPNProtocols: ALPN }, text: true });
  return { application, proxy, connect };
}

describe("a request", () => {
  test("that is malformed, or ends where its head does not say, ends alone and unseen", async (t) => {
    const { application, proxy, connect } = await secondAlone(t);
    for (const [name, frames] of Object.entries(REQUESTS)) {
      const wire = await connect();
      wire.write(...frames);
      const log = wire.stream(1);
      await until(() => wire.gone || log.ended || log.reset !== null).catch(() => assert.fail(`${name}: no end`));
      assert.match(log.heads.flat()[0]?.[1] ?? "HTTP/1.1 400", /^HTTP\/1\.1 (4|501)/, name);
      const whole: readonly Message[] = application.requests.splice(0);
      assert.deepEqual(whole, [], `${name}: the application has had a request`);
      assert.equal(wire.gone, false, name);
      wire.write(head(3, GET));
      assert.equal((await wire.over(3)).body, "fine", name);
      application.requests.length = 0;
      wire.destroy();
    }
    await proxy.settled(3000, ["timers"]);
  });

  test("with a second head in the place of trailers, or trailers that are malformed", async (t) => {
    const { application, connect } = await secondAlone(t);
    for (const trailers of [GET, "A: b\r\n", "A b\r\n\r\n", "A: b\r\n\r\nGET / HTTP/1.1\r\n\r\n"]) {
      const wire = await connect();
      wire.write(head(1, post(""), Flag.endHeaders), data(1, "ab"), head(1, trailers));
      await until(() => wire.gone || wire.stream(1).ended || wire.stream(1).reset !== null);
      assert.equal(wire.stream(1).body, "", trailers);
    }
    assert.deepEqual(application.requests, []);
  });

  test("with a trailer that would frame a message is framed as before", async (t) => {
    const { application, connect } = await secondAlone(t);
    const wire = await connect();
    wire.write(head(1, post(""), Flag.endHeaders), data(1, "ab"), head(1, "Content-Length: 100\r\n\r\n"));
    assert.equal((await wire.over(1)).body, "fine");
    assert.deepEqual(
      application.requests.map(({ body, framing }) => [body, framing]),
      [["ab", "chunked"]],
    );
  });

  test("whose head comes in pieces is as good as whole", async (t) => {
    const { connect } = await secondAlone(t);
    const wire = await connect();
    wire.write(
      head(1, GET.slice(0, 7), LAST),
      frame(Type.continuation, 0, 1, Buffer.from(GET.slice(7, 20), "latin1")),
      frame(Type.continuation, Flag.endHeaders, 1, Buffer.from(GET.slice(20), "latin1")),
    );
    assert.equal((await wire.over(1)).body, "fine");
  });
});

/** What a peer answers on the stream of a call, by what is wrong with it. */
const ANSWERS: Readonly<Record<string, (stream: number) => readonly Buffer[]>> = {
  "transfer-encoding": (id) => [
    head(id, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", Flag.endHeaders),
    data(id, "0\r\n\r\n", LAST),
  ],
  "another coding": (id) => [
    head(id, "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", Flag.endHeaders),
    data(id, "x", LAST),
  ],
  "two lengths": (id) => [
    head(id, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", Flag.endHeaders),
    data(id, "xy", LAST),
  ],
  "a length and no content": (id) => [head(id, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n")],
  "a second answer behind its head": (id) => [head(id, "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\n\r\n")],
  "a head that is not whole": (id) => [head(id, "HTTP/1.1 200 OK\r\n")],
  "no status": (id) => [head(id, "HTTP/1.1 OK\r\n\r\n")],
  "a bare LF": (id) => [head(id, "HTTP/1.1 200 OK\nA: b\n\n")],
  "a CR in its reason": (id) => [head(id, "HTTP/1.1 200 O\rK\r\n\r\n")],
  "101": (id) => [
    head(id, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", Flag.endHeaders),
  ],
  "a request": (id) => [head(id, GET)],
};

test("an answer that is malformed, or ends where its head does not say, is a failure that ends alone", async (t) => {
  const server = tls.createServer({ ...CREDENTIALS, ALPNProtocols: [...ALPN, "http/1.1"] });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const wires: Http2Wire[] = [];
  const cases = Object.entries(ANSWERS);
  t.after(() => {
    for (const wire of wires) wire.destroy();
    server.close();
  });
  server.on("secureConnection", (socket) => {
    socket.on("error", () => undefined);
    // What is there to keep the proxy busy is never answered.
    if (socket.alpnProtocol !== ALPN[0]) return;
    const wire = new Http2Wire(socket, true, { text: true });
    wires.push(wire);
    wire.write(settings());
    wire.onFrame = ({ type, stream }) => {
      if (type !== Type.headers) return;
      const [, kind, index] = /^GET \/(\w+)\/?(\d*)/.exec(wire.stream(stream).heads.flat()[0]?.[1] ?? "") ?? [];
      if (kind === "bad") wire.write(...(cases[Number(index)]?.[1](stream) ?? []));
      else if (kind === "a")
        wire.write(head(stream, "HTTP/1.1 200 Fine\r\n\r\n", Flag.endHeaders), data(stream, "fine", LAST));
    };
  });
  const { port } = server.address() as { readonly port: number };
  const proxy = await startProxy(t, firstHop([port], { action: { timeout: "0s" } }));
  await holdBusy(proxy);
  for (const [index, [name]] of cases.entries()) {
    const caller = await proxy.connect();
    caller.write(`GET /bad/${index} HTTP/1.1\r\nHost: x\r\n\r\n`);
    assert.match((await caller.message()).start, /^HTTP\/1\.1 50[23]/, name);
    caller.write(GET);
    const after = await caller.message();
    assert.deepEqual([after.start, after.body], ["HTTP/1.1 200 Fine", "fine"], name);
    caller.destroy();
  }
  assert.equal(wires.length, 1, "all were streams of one connection");
});
