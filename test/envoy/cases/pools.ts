/** Connections to upstreams: when one is used again, and when it is not. */
import type { Answer, Area, Case } from "../harness/case.ts";
import { upstreamOptions } from "../harness/config.ts";
import { call, get, hangsUp, late, request, respond, sends } from "../harness/http.ts";

const OK = "HTTP/1.1 200 OK\r\n";

/** Two requests one after the other; the first is answered as given. */
const after = (name: string, first: Answer, more: Partial<Case> = {}): Case => ({
  name: `after ${name}`,
  cluster: {},
  showsConnections: true,
  answers: [first, respond(200, {}, "second")],
  steps: [...get("/1"), { waitMs: 30 }, ...get("/2")],
  ...more,
});

const reuse: Case[] = [
  after("a body with a length", respond(200, {}, "ok")),
  after("a chunked body", sends(`${OK}transfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n`)),
  after("a body that ends with the connection", sends(`${OK}\r\nok`, { end: "close" })),
  after("connection: close", sends(`${OK}connection: close\r\ncontent-length: 2\r\n\r\nok`)),
  after("HTTP/1.0", sends("HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok")),
  after(
    "HTTP/1.0 that is kept alive",
    sends("HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nok"),
  ),
  after("204", sends("HTTP/1.1 204 No Content\r\n\r\n")),
  after("304", sends("HTTP/1.1 304 Not Modified\r\n\r\n")),
  after("500", respond(500)),
  after("HEAD", sends(`${OK}content-length: 10\r\n\r\n`), {
    steps: [...call("HEAD", "/1"), { waitMs: 30 }, ...get("/2")],
  }),
  after("bytes beyond the response", sends(`${OK}content-length: 2\r\n\r\nokmore`)),
  after("garbage", sends("garbage\r\n\r\n")),
  after("a hang-up", hangsUp),
  after("a response that was closed behind", { steps: [...respond(200, {}, "ok").steps, { end: "close" }] }),
  after(
    "an early response to an unfinished request",
    { early: true, steps: [{ write: `${OK}content-length: 2\r\n\r\nok` }, { waitMs: 60 }] },
    {
      steps: [{ send: "POST / HTTP/1.1\r\nhost: {host}\r\ncontent-length: 9\r\n\r\nabc" }, { read: "response" }],
    },
  ),
  after("the only request that a connection may have", respond(200, {}, "ok"), {
    cluster: upstreamOptions({ common_http_protocol_options: { max_requests_per_connection: 1 } }),
  }),
  after("the last of two requests", respond(200, {}, "ok"), {
    cluster: upstreamOptions({ common_http_protocol_options: { max_requests_per_connection: 2 } }),
    steps: [...get("/1"), ...get("/2"), ...get("/3")],
  }),
  after("a caller's connection: close", respond(200, {}, "ok"), {
    connections: [get("/1", { connection: "close" }), [{ waitMs: 60 }, ...get("/2")]],
  }),
  after("a caller that left", late(150, respond(200, {}, "ok")), {
    connections: [
      [{ send: request("GET", "/1") }, { waitMs: 50 }, { end: "close" }],
      [{ waitMs: 300 }, ...get("/2")],
    ],
  }),
  after("a retried answer", respond(503, {}, "again"), {
    virtualHost: { retry_policy: { retry_on: "5xx", retry_back_off: { base_interval: "0.02s" } } },
    steps: get("/1"),
    differs: {
      why: "the rest of a short answer that is not wanted is read, so that its connection can be used again",
      envoy: ["up 2> on connection 2"],
      outrigger: ["up 2> on connection 1"],
    },
  }),
];

const several: Case[] = [
  {
    name: "requests at the same time have connections of their own",
    cluster: {},
    showsConnections: true,
    answers: [late(150, respond(200, {}, "ok"))],
    connections: [get("/1"), [{ waitMs: 50 }, ...get("/2")]],
  },
  {
    name: "pipelined requests go one after the other",
    cluster: {},
    showsConnections: true,
    answers: [late(60, respond(200, {}, "one")), respond(200, {}, "two")],
    steps: [{ send: request("GET", "/1") + request("GET", "/2") }, { read: "response" }, { read: "response" }],
  },
];

export const pools: Area = {
  name: "pools",
  cases: [...reuse, ...several],
};
