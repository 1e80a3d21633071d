import assert from "node:assert/strict";
import { test } from "node:test";
import { failures } from "./failures.ts";
import { grpcTrailers, toGrpcReply } from "./grpc-reply.ts";
import { ResponseHead } from "./message.ts";

function reply(status: number, body: string, grpcStatus?: number, framed = true): Record<string, string> {
  const head = new ResponseHead();
  head.status = status;
  head.headers.append("content-length", String(body.length));
  head.headers.append("content-type", "text/plain");
  toGrpcReply(head, body, grpcStatus, framed);
  assert.equal(head.status, 200);
  return head.headers.toObject();
}

test("the HTTP status becomes the call's, and the body its message", () => {
  assert.deepEqual(reply(403, "RBAC: access denied"), {
    "content-type": "application/grpc",
    "content-length": "0",
    "grpc-status": "7",
    "grpc-message": "RBAC: access denied",
  });
  const statuses: Readonly<Record<number, string>> = {
    400: "13",
    401: "16",
    404: "12",
    418: "2",
    429: "14",
    503: "14",
  };
  for (const [status, expected] of Object.entries(statuses)) {
    assert.equal(reply(Number(status), "")["grpc-status"], expected);
  }
});

test("a status of its own is told as it is; an empty body is no message", () => {
  assert.deepEqual(reply(200, "", 5), {
    "content-type": "application/grpc",
    "content-length": "0",
    "grpc-status": "5",
  });
});

test("a message is percent-encoded", () => {
  assert.equal(reply(503, "100% gr\u00fcn\n")["grpc-message"], "100%25 gr%C3%BCn%0A");
});

test("over HTTP/2 the end of the stream says that there is no body", () => {
  assert.deepEqual(reply(503, "no healthy upstream", undefined, false), {
    "content-type": "application/grpc",
    "grpc-status": "14",
    "grpc-message": "no healthy upstream",
  });
});

test("a call that fails in the middle of its answer is told in trailers", () => {
  assert.deepEqual(grpcTrailers(failures.connection_termination, "cut\n").toObject(), {
    "grpc-status": "14",
    "grpc-message": "cut%0A",
  });
  assert.equal(grpcTrailers(failures.maxDuration, "").get("grpc-status"), "4");
});
