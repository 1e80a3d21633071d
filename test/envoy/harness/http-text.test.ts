import assert from "node:assert/strict";
import { test } from "node:test";
import { readMessage } from "./http-text.ts";

const response = (text: string, ended = false, head = false) =>
  readMessage(Buffer.from(text, "latin1"), ended, { side: "response", head });

test("a message ends where its framing says", () => {
  const length = response("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1");
  assert.equal(length?.message.body.toString(), "ok");
  assert.equal(length?.end, 40);
  const chunked = response(
    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2;x\r\nab\r\n1\r\nc\r\n0\r\nx-sum: 1\r\n\r\nmore",
  );
  assert.equal(chunked?.message.body.toString(), "abc");
  assert.deepEqual(chunked?.message.trailers, [["x-sum", "1"]]);
  assert.equal(response("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n", false, true)?.message.body.length, 0);
  assert.equal(response("HTTP/1.1 204 No Content\r\n\r\n")?.message.framing, "none");
});

test("what is not there yet may still come, until the connection ends", () => {
  const half = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc";
  assert.equal(response(half), null);
  assert.equal(response(half, true)?.message.complete, false);
  assert.equal(response("HTTP/1.1 200 OK\r\n\r\nabc"), null);
  assert.equal(response("HTTP/1.1 200 OK\r\n\r\nabc", true)?.message.complete, true);
  assert.equal(
    response("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\na", true)?.message.body.toString(),
    "a",
  );
  assert.equal(response("HTTP/1.1 2", true)?.message.startLine, "(no whole head)");
  assert.equal(response("", true), null);
});
