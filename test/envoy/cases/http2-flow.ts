/** Windows and SETTINGS: who may send how much, and what changes while calls are in flight. */
import type { Answer, Area, Case, Http2Step } from "../harness/case.ts";
import { upstreamOptions } from "../harness/config.ts";
import { late, request as request1, respond } from "../harness/http.ts";
import { answers, call, from2, get, head, LOG, overHttp2, send, status } from "../harness/http2/build.ts";
import { encodeSettings, FLAG, TYPE, uint32 } from "../harness/http2/frames.ts";

const BODY = "0123456789".repeat(20);
const ANSWER = respond(200, {}, BODY);
const window = (size: number, stream = 1): Http2Step => ({
  frame: { type: TYPE.window, stream, payload: uint32(size) },
});
const settings = (values: Readonly<Record<number, number>>): Http2Step => ({
  frame: { type: TYPE.settings, payload: encodeSettings(values) },
});
/** What a caller with a window of seven bytes has received when it stops waiting. */
const SMALL = { settings: { 4: 7 } };

const both = (name: string, http2: readonly Http2Step[], more: Partial<Case>): Case[] => [
  from2(`${name}, HTTP/1.1 upstream`, http2, more),
  from2(`${name}, HTTP/2 upstream`, http2, { cluster: overHttp2(), ...more }),
];

const windows: Case[] = [
  ...both(
    "a small window holds the answer back",
    [...send("GET", "/"), { until: 7 }, { waitMs: 80 }, { end: "close" }],
    {
      ...SMALL,
      answers: [ANSWER],
      // How much the proxy had buffered when the caller left is its own affair.
      view: (lines) => lines.filter((line) => !line.startsWith("log")),
    },
  ),
  ...both(
    "a window that grows lets it go on",
    [...send("GET", "/"), { until: 7 }, { waitMs: 30 }, window(500), { until: "end" }],
    {
      ...SMALL,
      answers: [ANSWER],
    },
  ),
  ...both(
    "a window that grows by SETTINGS",
    [...send("GET", "/"), { until: 7 }, { waitMs: 30 }, settings({ 4: 500 }), { until: "end" }],
    {
      ...SMALL,
      answers: [ANSWER],
    },
  ),
  ...both(
    "a window of nothing",
    [...send("GET", "/"), { until: "head" }, { waitMs: 30 }, window(500), { until: "end" }],
    {
      settings: { 4: 0 },
      answers: [ANSWER],
    },
  ),
  ...both("a window of nothing and an answer without a body", get("/"), {
    settings: { 4: 0 },
    answers: [respond(204)],
  }),
  ...both(
    "a window that shrinks below nothing",
    [
      ...send("GET", "/"),
      { until: 7 },
      settings({ 4: 0 }),
      { waitMs: 30 },
      window(10),
      { waitMs: 30 },
      window(500),
      { until: "end" },
    ],
    { ...SMALL, answers: [ANSWER] },
  ),
  ...both(
    "a window of nothing for trailers",
    [...send("POST", "/", { body: "abc" }), { until: "head" }, { waitMs: 30 }, window(500), { until: "end" }],
    {
      settings: { 4: 0 },
      cluster: overHttp2(),
      answers: [answers({ headers: status(200) }, { data: "abc" }, { headers: [["x-t", "1"]], end: true })],
    },
  ).slice(1),
  ...both(
    "one slow stream does not hold up another",
    [
      ...send("GET", "/slow"),
      { until: 7 },
      ...send("GET", "/fast", { stream: 3 }),
      window(500, 3),
      { until: "end", stream: 3 },
      window(500),
      { until: "end" },
    ],
    {
      ...SMALL,
      answers: [ANSWER],
      // The streams' log lines come in the order in which they end.
    },
  ),
  from2(
    "a local reply waits for the window",
    [...send("GET", "/"), { until: 7 }, { waitMs: 30 }, window(500), { until: "end" }],
    {
      ...SMALL,
      routes: [{ match: { prefix: "/" }, direct_response: { status: 200, body: { inline_string: BODY } } }],
    },
  ),
  from2("an upstream's padding", get("/"), {
    cluster: overHttp2(),
    answers: [
      answers(
        { headers: status(200) },
        { frame: { type: TYPE.data, flags: FLAG.padded | FLAG.endStream, stream: 1, payload: "\x02abc\0\0" } },
      ),
    ],
  }),
  from2(
    "forty frames of DATA",
    [
      { headers: head("POST", "/") },
      ...Array.from({ length: 40 }, (): Http2Step => ({ data: "0123456789" })),
      { data: "", end: true },
      { until: "end" },
    ],
    { cluster: overHttp2() },
  ),
  from2("a body of 60 KiB each way", call("POST", "/", { body: "x".repeat(60_000) }), {
    cluster: overHttp2(),
    answers: [respond(200, {}, "y".repeat(60_000))],
  }),
  from2("a body of 60 KiB each way to HTTP/1.1", call("POST", "/", { body: "x".repeat(60_000) }), {
    answers: [respond(200, {}, "y".repeat(60_000))],
  }),
  {
    name: "a body of 300 KB from HTTP/1.1",
    log: LOG,
    cluster: overHttp2(),
    answers: [respond(200, {}, "y".repeat(300_000))],
    steps: [{ send: request1("POST", "/", { body: "x".repeat(300_000) }) }, { read: "response" }],
  },
];

const changes: Case[] = [
  from2("a caller without a header table", [...get("/1"), ...call("GET", "/2", { stream: 3 })], { settings: { 1: 0 } }),
  from2("a header table that shrinks", [
    ...get("/1"),
    settings({ 1: 0 }),
    ...call("GET", "/2", { stream: 3 }),
    settings({ 1: 100 }),
    ...call("GET", "/3", { stream: 5 }),
  ]),
  from2("a caller that allows large frames", get("/"), {
    settings: { 5: 65_536, 4: 1_000_000 },
    answers: [respond(200, {}, "y".repeat(50_000))],
  }),
  from2("a caller that wants small heads", get("/"), {
    settings: { 6: 10 },
    answers: [respond(200, { "x-a": "a".repeat(100) }, "ok")],
  }),
  from2("a caller that allows no push", get("/"), { settings: { 2: 0 } }),
  from2("PING", [{ frame: { type: TYPE.ping, payload: "12345678" } }, ...get("/")]),
  from2("many SETTINGS", [...Array.from({ length: 20 }, () => settings({ 4: 100_000 })), ...get("/")]),
];

const LATE: Answer = late(150, respond(200, {}, "late"));

/** The first answer of an upstream comes with SETTINGS. */
const announcing = (values: Readonly<Record<number, number>>): Pick<Case, "answers"> => ({
  answers: ({ number }) =>
    number === 1
      ? answers(
          { frame: { type: TYPE.settings, payload: encodeSettings(values) } },
          { headers: status(200), end: true },
        )
      : LATE,
});

const upstreams: Case[] = [
  from2(
    "an upstream that takes one stream at a time",
    [
      ...get("/1"),
      { waitMs: 30 },
      ...send("GET", "/2", { stream: 3 }),
      ...send("GET", "/3", { stream: 5 }),
      { until: "end", stream: 3 },
      { until: "end", stream: 5 },
    ],
    {
      cluster: overHttp2(),
      ...announcing({ 3: 1 }),
      showsConnections: true,
      view: (lines) => [
        `${new Set(lines.filter((line) => line.includes(" on connection "))).size} calls`,
        ...lines
          .filter((line) => line.includes(" on connection "))
          .map((line) => line.slice(-1))
          .sort(),
        ...lines.filter((line) => line.includes(":status")),
      ],
    },
  ),
  from2(
    "an upstream's window that grows",
    [...get("/1"), { waitMs: 30 }, ...call("POST", "/2", { stream: 3, body: BODY })],
    {
      cluster: overHttp2(),
      answers: ({ number }) =>
        number === 1
          ? answers(
              { frame: { type: TYPE.settings, payload: encodeSettings({ 4: 5 }) } },
              { headers: status(200), end: true },
            )
          : {
              early: true,
              ...answers(
                { until: 5 },
                { waitMs: 30 },
                { frame: { type: TYPE.window, stream: 3, payload: uint32(500) } },
                { until: "end" },
                { headers: status(200), end: true },
              ),
            },
    },
  ),
  from2(
    "an upstream of HTTP/1.1 and its limit of one call",
    [...send("GET", "/1"), ...send("GET", "/2", { stream: 3 }), { until: "end" }, { until: "end", stream: 3 }],
    {
      cluster: upstreamOptions({}),
      answers: [LATE],
      showsConnections: true,
      view: (lines) =>
        lines
          .filter((line) => line.includes(" on connection "))
          .map((line) => line.slice(-1))
          .sort(),
    },
  ),
];

export const http2Flow: Area = { name: "http2-flow", cases: [...windows, ...changes, ...upstreams] };
