/** What the proxy answers itself: redirects, direct responses, and local replies as they are configured to look. */
import { STATUS_CODES } from "node:http";
import type { Area, Case, JsonObject } from "../harness/case.ts";
import { ANY, add, to } from "../harness/config.ts";
import { call, get, raw, respond } from "../harness/http.ts";

const redirect = (fields: JsonObject, match: JsonObject = ANY): readonly JsonObject[] => [{ match, redirect: fields }];

const redirects: Case[] = [
  { name: "redirect to https", routes: redirect({ https_redirect: true }), steps: get("/a?b=c") },
  {
    name: "redirect to https drops the default port",
    virtualHosts: [{ name: "any", domains: ["*"], routes: redirect({ https_redirect: true }) }],
    steps: call("GET", "/", { host: "a.dom:80" }),
  },
  {
    name: "redirect to https keeps another port",
    virtualHosts: [{ name: "any", domains: ["*"], routes: redirect({ https_redirect: true }) }],
    steps: call("GET", "/", { host: "a.dom:81" }),
  },
  { name: "redirect scheme", routes: redirect({ scheme_redirect: "wss" }), steps: get("/") },
  { name: "redirect host", routes: redirect({ host_redirect: "b.dom" }), steps: get("/a?b") },
  { name: "redirect port", routes: redirect({ port_redirect: 8443 }), steps: get("/a") },
  { name: "redirect path", routes: redirect({ path_redirect: "/new" }), steps: get("/old?q=1") },
  { name: "redirect path with a query", routes: redirect({ path_redirect: "/new?x=y" }), steps: get("/old?q=1") },
  {
    name: "redirect without the query",
    routes: redirect({ path_redirect: "/new", strip_query: true }),
    steps: get("/old?q=1"),
  },
  {
    name: "redirect prefix",
    routes: redirect({ prefix_rewrite: "/new" }, { prefix: "/old" }),
    steps: get("/old/a?q=1"),
  },
  {
    name: "redirect by regex",
    routes: redirect({ regex_rewrite: { pattern: { regex: "^/(.)/(.)" }, substitution: "/\\2/\\1" } }),
    steps: get("/a/b/c?q"),
  },
  ...["FOUND", "SEE_OTHER", "TEMPORARY_REDIRECT", "PERMANENT_REDIRECT"].map((code) => ({
    name: `redirect code ${code}`,
    routes: redirect({ host_redirect: "b.dom", response_code: code }),
    steps: get("/"),
  })),
  {
    name: "redirect of a POST",
    routes: redirect({ host_redirect: "b.dom" }),
    steps: call("POST", "/", { body: "abc" }),
  },
];

const direct = (status: number, body?: string): readonly JsonObject[] => [
  { match: ANY, direct_response: { status, ...(body === undefined ? {} : { body: { inline_string: body } }) } },
];

const twice = (line: string): string[] => [line, line];

const directs: Case[] = [
  { name: "direct response without a body", routes: direct(200), steps: get("/") },
  { name: "direct response to HEAD", routes: direct(200, "body"), steps: call("HEAD", "/") },
  { name: "direct 204", routes: direct(204), steps: get("/") },
  ...[204, 304].map((status) => ({
    name: `direct ${status} with a body`,
    routes: direct(status, "lost"),
    steps: [...get("/"), ...get("/")],
    view: (lines: readonly string[]) => lines.filter((line) => /^< \S|^log/.test(line)),
    differs: {
      why: "RFC 9110, section 6.4.1: such a response ends with its head; Envoy's bytes after it garble the next one",
      envoy: [
        `< lostHTTP/1.1 ${status} ${STATUS_CODES[status]}`,
        ...twice(`log: ${status} - direct_response rx=0 tx=4 attempts=0 cluster=- host=- route=- HTTP/1.1 GET /`),
      ],
      outrigger: [
        `< HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
        ...twice(`log: ${status} - direct_response rx=0 tx=0 attempts=0 cluster=- host=- route=- HTTP/1.1 GET /`),
      ],
    },
  })),
  {
    name: "nothing takes the type and length of a local reply away",
    routes: [{ ...direct(200, "typed")[0], response_headers_to_remove: ["content-type", "x-none"] }],
    steps: get("/"),
  },
  {
    name: "a local reply without a body has no type",
    routes: [{ ...direct(200)[0], response_headers_to_add: [add("content-type", "text/tea")] }],
    steps: get("/"),
  },
  {
    name: "a type is added to a local reply where there is none",
    routes: [
      { ...direct(200, "typed")[0], response_headers_to_add: [add("content-type", "text/tea", "ADD_IF_ABSENT")] },
    ],
    steps: get("/"),
  },
  {
    name: "TLS required, and nobody's headers on the redirect",
    virtualHost: { require_tls: "ALL", response_headers_to_add: [add("x-host", "1")] },
    table: { response_headers_to_add: [add("x-table", "1")] },
    steps: get("/"),
  },
  { name: "direct 201", routes: direct(201, "made"), steps: get("/a?b") },
  { name: "direct 503 in UTF-8", routes: direct(503, "grüß"), steps: get("/") },
  {
    name: "direct response to a body that is read",
    routes: direct(200, "ok"),
    steps: call("POST", "/", { body: "abc" }),
  },
  {
    name: "direct response to a body that is not there yet",
    routes: direct(200, "ok"),
    steps: raw("POST / HTTP/1.1\r\nhost: {host}\r\ncontent-length: 10\r\n\r\n123"),
  },
  {
    name: "direct response to gRPC",
    routes: direct(403, "no"),
    steps: call("POST", "/", { headers: { "content-type": "application/grpc" } }),
  },
];

const bodyFormat: JsonObject = {
  text_format_source: { inline_string: "%RESPONSE_CODE%: %LOCAL_REPLY_BODY% (%REQ(:path)%)\n" },
};
const statusIs = (value: number): JsonObject => ({
  status_code_filter: { comparison: { op: "EQ", value: { default_value: value, runtime_key: "none" } } },
});

const localReplies: Case[] = [
  {
    name: "local reply format",
    manager: { local_reply_config: { body_format: bodyFormat } },
    routes: direct(403, "no"),
    steps: get("/a"),
  },
  {
    name: "local reply in JSON",
    manager: {
      local_reply_config: {
        body_format: {
          json_format: {
            code: "%RESPONSE_CODE%",
            text: "%LOCAL_REPLY_BODY%",
            path: "%REQ(:path)%",
            flags: "%RESPONSE_FLAGS%",
          },
          content_type: "application/problem+json",
        },
      },
    },
    routes: direct(400, 'a "quote"'),
    steps: get("/x"),
  },
  {
    name: "local reply mapper",
    manager: {
      local_reply_config: {
        mappers: [
          {
            filter: statusIs(404),
            status_code: 410,
            body: { inline_string: "gone" },
            headers_to_add: [add("x-mapped", "%RESPONSE_CODE%")],
          },
        ],
        body_format: bodyFormat,
      },
    },
    routes: [to({ prefix: "/a" })],
    steps: get("/b"),
  },
  {
    name: "local reply mapper with a format of its own",
    manager: {
      local_reply_config: {
        mappers: [
          {
            filter: { response_flag_filter: { flags: ["NR"] } },
            body_format_override: {
              text_format_source: { inline_string: "<b>%RESPONSE_FLAGS%</b>" },
              content_type: "text/html",
            },
          },
        ],
      },
    },
    routes: [to({ prefix: "/a" })],
    steps: get("/b"),
  },
  {
    name: "local reply mapper by header",
    manager: {
      local_reply_config: {
        mappers: [
          {
            filter: { header_filter: { header: { name: "x-json", present_match: true } } },
            body: { inline_string: "{}" },
          },
        ],
      },
    },
    routes: direct(400, "plain"),
    steps: [...get("/", { "x-json": "1" }), ...get("/")],
  },
  {
    name: "local reply config leaves the upstream's answers alone",
    manager: { local_reply_config: { mappers: [{ filter: statusIs(503), body: { inline_string: "mapped" } }] } },
    answers: [respond(503, {}, "own")],
    steps: get("/"),
  },
];

export const replies: Area = {
  name: "replies",
  cases: [...redirects, ...directs, ...localReplies],
};
