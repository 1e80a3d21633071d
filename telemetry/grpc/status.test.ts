import assert from "node:assert/strict";
import { test } from "node:test";
import { HeaderMap } from "../../core/header-map.ts";
import { callStatus, GrpcStatus, givenStatus, grpcStatusOf, httpStatusOf, isGrpc, statusName } from "./status.ts";

const fields = (grpcStatus: string): HeaderMap => HeaderMap.of({ "grpc-status": grpcStatus });

test("gRPC is told by its content type, which has relatives", () => {
  for (const type of ["application/grpc", "application/grpc+proto", "application/grpc+"]) assert.ok(isGrpc(type), type);
  const others = [null, "", "application/grp", "application/grpc-web", "application/grpc;charset=utf-8", "text/plain"];
  for (const type of others) assert.equal(isGrpc(type), false, String(type));
});

test("trailers speak before the head, and both before the HTTP status", () => {
  assert.equal(callStatus(fields("5"), fields("0"), 200), GrpcStatus.notFound);
  assert.equal(callStatus(HeaderMap.of({ other: "1" }), fields("14"), 200), GrpcStatus.unavailable);
  assert.equal(callStatus(null, fields(""), 404), GrpcStatus.unimplemented);
  assert.equal(callStatus(null, HeaderMap.of({}), 200), GrpcStatus.unknown);
  assert.equal(callStatus(null, null, 0), null);
});

test("a status is taken as it is while it is a number", () => {
  assert.equal(givenStatus(fields("0")), 0);
  assert.equal(givenStatus(fields("99")), 99);
  for (const raw of ["abc", "-1", "1.5", "1 ", "99999999999"]) assert.equal(givenStatus(fields(raw)), -1, raw);
  assert.equal(givenStatus(null), null);
});

test("statuses are named in both ways, or by their number", () => {
  assert.equal(statusName(GrpcStatus.cancelled, "camel"), "Canceled");
  assert.equal(statusName(GrpcStatus.cancelled, "constant"), "CANCELLED");
  assert.equal(statusName(99, "camel"), "99");
  assert.equal(statusName(-1, "constant"), "-1");
  for (const [key, code] of Object.entries(GrpcStatus)) {
    const constant = key.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase();
    assert.equal(statusName(code, "constant"), constant);
  }
});

test("HTTP statuses stand for gRPC's and the other way round, as in Envoy", () => {
  const fromHttp = { 200: 2, 400: 13, 401: 16, 403: 7, 404: 12, 418: 2, 429: 14, 500: 2, 502: 14, 503: 14, 504: 14 };
  for (const [http, grpc] of Object.entries(fromHttp)) assert.equal(grpcStatusOf(Number(http)), grpc, http);
  const toHttp = [200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401];
  assert.deepEqual(
    toHttp,
    toHttp.map((_, grpc) => httpStatusOf(grpc)),
  );
  assert.equal(httpStatusOf(17), 500);
  assert.equal(httpStatusOf(-1), 500);
});
