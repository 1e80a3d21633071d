/** Upgrades to other protocols, and copies of requests to other clusters. */
import type { Answer, Area, Case, JsonObject } from "../harness/case.ts";
import { ANY, cluster, host, to } from "../harness/config.ts";
import { call, get, late, request, respond, sends } from "../harness/http.ts";

const websocket = { upgrade: "websocket", connection: "Upgrade", "sec-websocket-key": "x" };
const switches: Answer = sends(
  "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
  { echo: true },
);
const allowed: JsonObject = { upgrade_configs: [{ upgrade_type: "websocket" }] };

const switching: Case[] = [
  {
    name: "WebSocket",
    manager: allowed,
    answers: [switches],
    steps: [...get("/chat", websocket), { send: "frame one" }, { bytes: 9 }, { send: "two" }, { bytes: 3 }],
  },
  {
    name: "WebSocket with bytes right after the head",
    manager: allowed,
    answers: [switches],
    steps: [{ send: `${request("GET", "/chat", { headers: websocket })}early` }, { read: "response" }, { bytes: 5 }],
  },
  {
    name: "WebSocket that the upstream ends",
    manager: allowed,
    answers: [
      sends(
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\nbye",
        { waitMs: 40 },
        { end: "close" },
      ),
    ],
    steps: [...get("/chat", websocket), { bytes: 3 }],
  },
  {
    name: "WebSocket that the upstream refuses",
    manager: allowed,
    answers: [respond(400, {}, "no")],
    steps: get("/chat", websocket),
  },
  {
    name: "WebSocket that the upstream answers with 200",
    manager: allowed,
    answers: [respond(200, {}, "plain")],
    steps: get("/chat", websocket),
  },
  { name: "WebSocket not allowed", steps: get("/chat", websocket) },
  {
    name: "upgrade to something unknown",
    manager: allowed,
    steps: get("/chat", { upgrade: "other", connection: "upgrade" }),
  },
  {
    name: "WebSocket refused by the route",
    manager: allowed,
    routes: [to(ANY, { upgrade_configs: [{ upgrade_type: "websocket", enabled: false }] })],
    steps: get("/chat", websocket),
  },
  {
    name: "WebSocket allowed by the route alone",
    routes: [to(ANY, { upgrade_configs: [{ upgrade_type: "websocket" }] })],
    answers: [switches],
    steps: [...get("/chat", websocket), { send: "x" }, { bytes: 1 }],
  },
  { name: "upgrade without connection: upgrade", manager: allowed, steps: get("/chat", { upgrade: "websocket" }) },
  {
    name: "h2c is not taken",
    steps: get("/", { upgrade: "h2c", connection: "Upgrade, HTTP2-Settings", "http2-settings": "AAMAAABkAAQAAP__" }),
  },
  { name: "upgrade without a route", manager: allowed, routes: [to({ prefix: "/a" })], steps: get("/b", websocket) },
];

const shadow = [cluster("{case}-shadow", [host("shadow")])];
const mirrored = (policy: JsonObject): readonly JsonObject[] => [
  to(ANY, { request_mirror_policies: [{ cluster: "{case}-shadow", ...policy }] }),
];

const mirrors: Case[] = [
  { name: "mirror", clusters: shadow, routes: mirrored({}), steps: [...get("/m?q=1"), { waitMs: 100 }] },
  {
    name: "mirror of a body",
    clusters: shadow,
    routes: mirrored({}),
    steps: [...call("POST", "/m", { body: "abc" }), { waitMs: 100 }],
  },
  {
    name: "mirror with the host as it is",
    clusters: shadow,
    routes: mirrored({ disable_shadow_host_suffix_append: true }),
    steps: [...get("/m"), { waitMs: 100 }],
  },
  {
    name: "mirror of no request",
    clusters: shadow,
    routes: mirrored({ runtime_fraction: { default_value: { numerator: 0 } } }),
    steps: [...get("/m"), { waitMs: 100 }],
  },
  {
    name: "mirror whose upstream fails",
    clusters: [cluster("{case}-shadow", [host("closed")])],
    routes: mirrored({}),
    steps: get("/m"),
  },
  {
    name: "mirror whose upstream is slow",
    clusters: shadow,
    routes: mirrored({}),
    answers: ({ upstream }) => (upstream === "shadow" ? late(400, respond(200)) : respond(200, {}, "fast")),
    steps: get("/m"),
  },
  {
    name: "mirror with headers and a rewritten path",
    clusters: shadow,
    routes: [
      to(
        { prefix: "/m" },
        { prefix_rewrite: "/n", request_mirror_policies: [{ cluster: "{case}-shadow" }] },
        {
          request_headers_to_add: [{ header: { key: "x-added", value: "1" } }],
        },
      ),
    ],
    steps: [...get("/m/x"), { waitMs: 100 }],
  },
];

export const upgrades: Area = {
  name: "upgrades",
  upstreams: { shadow: null },
  cases: [...switching, ...mirrors],
};
