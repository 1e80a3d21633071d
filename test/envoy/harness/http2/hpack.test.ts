import assert from "node:assert/strict";
import http2 from "node:http2";
import net from "node:net";
import { test } from "node:test";
import { FLAG, TYPE } from "./frames.ts";
import { encodeFields, type Field, HeaderReader } from "./hpack.ts";
import { Http2Peer, type StreamRecord } from "./peer.ts";

test("fields that are written can be read", () => {
  const fields: Field[] = [
    [":path", "/"],
    ["x-long", "a".repeat(20_000)],
    ["", "\x00\xff"],
  ];
  assert.deepEqual(new HeaderReader().read(encodeFields(fields)), fields);
});

test("the examples of RFC 7541, appendix C.4: Huffman codes and a table that grows", () => {
  const reader = new HeaderReader();
  const read = (hex: string): string => JSON.stringify(reader.read(Buffer.from(hex, "hex")));
  assert.match(read("828684418cf1e3c2e5f23a6ba0ab90f4ff"), /"www\.example\.com"/);
  assert.match(read("828684be5886a8eb10649cbf"), /":authority","www\.example\.com".*"no-cache"/);
  assert.match(read("828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf"), /"custom-key","custom-value"/);
});

test("malformed blocks are refused", () => {
  for (const hex of ["80", "ff8001", "0005616263", "0081ff80", "7f"]) {
    assert.throws(() => new HeaderReader().read(Buffer.from(hex, "hex")), hex);
  }
});

test("every byte that Node's encoder can put into a value arrives", async (t) => {
  const value = Array.from({ length: 256 }, (_, byte) => byte)
    .filter((byte) => byte > 31 && byte !== 127)
    .map((byte) => String.fromCharCode(byte))
    .join("")
    .trim();
  const arrived = new Promise<StreamRecord>((resolve) => {
    const server = net.createServer((socket) => {
      const peer: Http2Peer = new Http2Peer(socket, {
        side: "server",
        onStream: (stream) => {
          peer.frame({
            type: TYPE.headers,
            flags: FLAG.endHeaders | FLAG.endStream,
            stream: stream.id,
            payload: "\x88",
          });
          resolve(stream);
        },
      });
    });
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as net.AddressInfo;
      const client = http2.connect(`http://127.0.0.1:${port}`);
      const request = client.request({ ":path": "/x", "x-value": value });
      request.resume();
      request.once("close", () => client.close());
      t.after(() => server.close());
    });
  });
  const { head } = await arrived;
  assert.equal(head?.find(([name]) => name === "x-value")?.[1], value);
});
