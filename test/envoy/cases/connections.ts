/** What becomes of a connection: kept, closed, shared by pipelined requests; HTTP/1.0, 100-continue, HEAD. */
import type { Area, Case, JsonObject } from "../harness/case.ts";
import { ANY, named, to } from "../harness/config.ts";
import { call, get, late, raw, request, respond, sends } from "../harness/http.ts";

const HEAD = "host: {host}\r\nx-case: {case}\r\n";

const post = (text: string, body: string): string => `POST / HTTP/1.1\r\n${HEAD}${text}\r\n${body}`;

const kept: Case[] = [
  { name: "two requests one after the other", steps: [...get("/1"), ...get("/2")] },
  {
    name: "pipelined requests",
    steps: [
      { send: request("GET", "/1") + request("POST", "/2", { body: "abc" }) + request("GET", "/3") },
      { read: "response" },
      { read: "response" },
      { read: "response" },
    ],
  },
  {
    name: "pipelined after a malformed one",
    steps: [{ send: `GET / HTTP/1.1\r\nbad header\r\n\r\n${request("GET", "/2")}` }, { read: "response" }],
  },
  { name: "connection: close", steps: get("/", { connection: "close" }) },
  { name: "connection: Close among others", steps: get("/", { connection: "x-a, Close" }) },
  { name: "connection: keep-alive", steps: get("/", { connection: "keep-alive" }) },
  { name: "proxy-connection: close", steps: get("/", { "proxy-connection": "close" }) },
  {
    name: "pipelined after connection: close",
    steps: [
      { send: request("GET", "/1", { headers: { connection: "close" } }) + request("GET", "/2") },
      { read: "response" },
    ],
  },
  {
    name: "the caller ends its side early",
    answers: [late(300, respond(200))],
    steps: [{ send: request("GET", "/") }, { waitMs: 60 }, { end: "half" }, { read: "response" }],
  },
  {
    name: "the caller leaves in the middle of a body",
    steps: [{ send: post("content-length: 10\r\n", "abc") }, { waitMs: 60 }, { end: "close" }],
  },
  {
    name: "the caller leaves while the upstream thinks",
    answers: [{ steps: [{ waitMs: 200 }] }],
    steps: [{ send: request("GET", "/") }, { waitMs: 60 }, { end: "reset" }],
  },
  {
    name: "a head that never ends",
    steps: [{ send: "GET / HTTP/1.1\r\nhost: {host}\r\n" }, { waitMs: 50 }, { end: "close" }],
  },
  {
    name: "a head in pieces",
    steps: [
      { send: "GE" },
      { waitMs: 20 },
      { send: "T / HTTP/1.1\r\nho" },
      { waitMs: 20 },
      { send: "st: {host}\r\n\r" },
      { waitMs: 20 },
      { send: "\n" },
      { read: "response" },
    ],
  },
  {
    name: "so many requests and no more",
    manager: { common_http_protocol_options: { max_requests_per_connection: 2 } },
    steps: [...get("/1"), ...get("/2")],
  },
  {
    name: "a malformed request keeps its connection",
    manager: { stream_error_on_invalid_http_message: true },
    steps: get("/a#b"),
  },
];

const old: JsonObject = { http_protocol_options: { accept_http_10: true, default_host_for_http_10: "old.dom" } };

const any: readonly JsonObject[] = [{ name: "any", domains: ["*"], routes: [to(ANY)] }];

const from10 = (text: string): string => `GET / HTTP/1.0\r\nx-case: {case}\r\n${text}\r\n`;

const oldVersion: Case[] = [
  { name: "HTTP/1.0", manager: old, virtualHosts: any, steps: raw(from10("host: a.dom\r\n")) },
  { name: "HTTP/1.0 without a host", manager: old, virtualHosts: any, steps: raw(from10("")) },
  {
    name: "HTTP/1.0 that is kept alive",
    manager: old,
    virtualHosts: any,
    steps: raw(from10("host: a.dom\r\nconnection: keep-alive\r\n")),
  },
  {
    name: "HTTP/1.0 and a chunked answer",
    manager: old,
    virtualHosts: any,
    answers: [sends("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n")],
    steps: raw(from10("host: a.dom\r\n")),
  },
  {
    name: "HTTP/1.0 and a chunked answer, kept alive",
    manager: old,
    virtualHosts: any,
    answers: [sends("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n")],
    steps: raw(from10("host: a.dom\r\nconnection: keep-alive\r\n")),
  },
  {
    name: "HTTP/1.0 and a direct response",
    manager: old,
    virtualHosts: [{ name: "any", domains: ["*"], routes: [named("direct", ANY)] }],
    steps: raw(from10("host: a.dom\r\n")),
  },
];

const expect = "expect: 100-continue\r\n";

const continues: Case[] = [
  {
    name: "expect 100-continue",
    steps: [
      { send: post(`${expect}content-length: 3\r\n`, "") },
      { waitMs: 50 },
      { send: "abc" },
      { read: "response" },
    ],
  },
  { name: "expect 100-continue with the body at once", steps: raw(post(`${expect}content-length: 3\r\n`, "abc")) },
  {
    name: "expect 100-continue passed to the upstream",
    manager: { proxy_100_continue: true },
    answers: [
      {
        early: true,
        steps: [
          { write: "HTTP/1.1 100 Continue\r\n\r\n" },
          { body: true },
          { write: "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok" },
        ],
      },
    ],
    steps: [
      { send: post(`${expect}content-length: 3\r\n`, "") },
      { waitMs: 80 },
      { send: "abc" },
      { read: "response" },
    ],
  },
  {
    name: "expect 100-continue refused by the upstream",
    manager: { proxy_100_continue: true },
    answers: [
      {
        early: true,
        steps: [{ write: "HTTP/1.1 417 Expectation Failed\r\ncontent-length: 0\r\n\r\n" }, { waitMs: 50 }],
      },
    ],
    steps: [{ send: post(`${expect}content-length: 3\r\n`, "") }, { read: "response" }],
  },
  {
    name: "expect 100-continue and a direct response",
    routes: [named("direct", ANY)],
    steps: [{ send: post(`${expect}content-length: 3\r\n`, "") }, { read: "response" }],
  },
  { name: "expect something else", steps: raw(post("expect: 200-maybe\r\ncontent-length: 3\r\n", "abc")) },
];

const heads: Case[] = [
  { name: "HEAD", steps: call("HEAD", "/"), answers: [sends("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n")] },
  { name: "HEAD without a length", steps: call("HEAD", "/"), answers: [sends("HTTP/1.1 200 OK\r\n\r\n")] },
  {
    name: "HEAD and a chunked answer",
    steps: call("HEAD", "/"),
    answers: [sends("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")],
  },
  { name: "HEAD then GET", steps: [...call("HEAD", "/"), ...get("/")] },
  { name: "HEAD without a route", routes: [to({ prefix: "/a" })], steps: call("HEAD", "/b") },
  {
    name: "HEAD for gRPC without a route",
    routes: [to({ prefix: "/a" })],
    steps: call("HEAD", "/b", { headers: { "content-type": "application/grpc" } }),
  },
  { name: "TRACE", steps: call("TRACE", "/") },
  { name: "DELETE without a body", steps: call("DELETE", "/") },
  { name: "POST without a length", steps: raw(`POST / HTTP/1.1\r\n${HEAD}\r\n`), answers: [respond(200)] },
];

export const connections: Area = {
  name: "connections",
  cases: [...kept, ...oldVersion, ...continues, ...heads],
};
