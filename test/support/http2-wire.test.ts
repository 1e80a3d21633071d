import assert from "node:assert/strict";
import http2 from "node:http2";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { HpackReader, readHuffman } from "./hpack-reader.ts";
import { data, Flag, headers, integer, request, response } from "./http2-frames.ts";
import { connectHttp2, Http2Upstream } from "./http2-wire.ts";

test("Huffman codes and integers are read and written as RFC 7541's examples are", () => {
  assert.equal(readHuffman(Buffer.from("f1e3c2e5f23a6ba0ab90f4ff", "hex")), "www.example.com");
  assert.equal(readHuffman(Buffer.from("9d29ad171863c78f0b97c8e9ae82ae43d3", "hex")), "https://www.example.com");
  assert.throws(() => readHuffman(Buffer.of(0xff, 0xff)));
  assert.deepEqual(integer(1337, 5, 0), Buffer.of(31, 154, 10));
});

test("header blocks are read as RFC 7541, appendix C.4, lists them, dynamic table and all", () => {
  const reader = new HpackReader();
  const [first, second] = ["828684418cf1e3c2e5f23a6ba0ab90f4ff", "828684be5886a8eb10649cbf"];
  const fields = [
    [":method", "GET"],
    [":scheme", "http"],
    [":path", "/"],
    [":authority", "www.example.com"],
  ];
  assert.deepEqual(reader.read(Buffer.from(first, "hex")), fields);
  assert.deepEqual(reader.read(Buffer.from(second, "hex")), [...fields, ["cache-control", "no-cache"]]);
});

test("a hand-written client is served by Node's server", async (t) => {
  const server = http2.createServer((asked, answer) => asked.pipe(answer));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.close());
  const wire = await connectHttp2(t, (server.address() as AddressInfo).port);
  wire.write(headers(1, request("/", [], "POST"), 0), data(1, "hello", Flag.endStream));
  const log = await wire.over(1);
  assert.equal(log.status, 200);
  assert.equal(log.body, "hello");
});

test("a hand-written server serves Node's client", async (t) => {
  const upstream = await Http2Upstream.start(t, {
    onRequest: ({ id }, wire) => wire.write(headers(id, response(200), 0), data(id, "hello", Flag.endStream)),
  });
  const session = http2.connect(`http://127.0.0.1:${upstream.port}`);
  t.after(() => session.destroy());
  const stream = session.request({ ":path": "/x" });
  let text = "";
  for await (const chunk of stream) text += String(chunk);
  assert.equal(text, "hello");
  assert.equal(upstream.requests[0]?.field(":path"), "/x");
});
