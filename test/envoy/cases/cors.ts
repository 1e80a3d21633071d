/** Calls from pages of other origins, and the preflights that browsers send before them. */
import type { Area, Case, JsonObject, Step } from "../harness/case.ts";
import { ANY, filter, to, typed } from "../harness/config.ts";
import { call, respond } from "../harness/http.ts";

const NAME = "envoy.filters.http.cors";
const cors = filter(NAME, "Cors");
const per = (policy: JsonObject): JsonObject => ({ typed_per_filter_config: { [NAME]: typed("CorsPolicy", policy) } });

const policy: JsonObject = {
  allow_origin_string_match: [{ exact: "https://a.test" }, { suffix: ".b.test" }],
  allow_methods: "GET,PUT",
  allow_headers: "x-a",
  expose_headers: "x-e",
  max_age: "60",
  allow_credentials: true,
};
const any = { allow_origin_string_match: [{ exact: "*" }], allow_methods: "*", allow_headers: "*" };

type Fields = Readonly<Record<string, string>>;
const from = (origin: string, more: Fields = {}): readonly Step[] => call("GET", "/", { headers: { origin, ...more } });
const preflight = (origin: string, more: Fields = {}): readonly Step[] =>
  call("OPTIONS", "/", { headers: { origin, "access-control-request-method": "PUT", ...more } });

const routed = (name: string, fields: JsonObject, steps: readonly Step[], more: Partial<Case> = {}): Case => ({
  name,
  filters: [cors],
  routes: [to(ANY, {}, per(fields))],
  steps,
  ...more,
});

const upstreamSaysSo = { answers: [respond(200, { "access-control-allow-origin": "upstream" })] };
const half = { default_value: { numerator: 0 } };

export const corsArea: Area = {
  name: "cors",
  cases: [
    routed("allowed origin", policy, from("https://a.test")),
    routed("allowed by suffix, over what the upstream says", policy, from("https://x.b.test"), upstreamSaysSo),
    routed("another origin", policy, from("https://evil.test"), upstreamSaysSo),
    { name: "no origin", filters: [cors], routes: [to(ANY, {}, per(policy))], steps: call("GET", "/") },
    routed("an empty origin", policy, from("")),
    routed("preflight", policy, preflight("https://a.test")),
    routed("preflight of another origin", policy, preflight("https://evil.test")),
    routed(
      "preflight of another origin, not forwarded",
      { ...policy, forward_not_matching_preflights: false },
      preflight("https://evil.test"),
    ),
    routed("OPTIONS that asks for nothing", policy, call("OPTIONS", "/", { headers: { origin: "https://a.test" } })),
    routed("preflight by GET", policy, from("https://a.test", { "access-control-request-method": "PUT" })),
    routed("any origin", any, from("https://z.test")),
    routed("preflight of any method", any, preflight("https://z.test")),
    routed(
      "preflight of any header",
      any,
      preflight("https://z.test", { "access-control-request-headers": "x-q, x-r" }),
    ),
    routed(
      "origins alone",
      { allow_origin_string_match: [{ safe_regex: { regex: ".*" } }] },
      preflight("https://z.test"),
    ),
    routed("no origins", { allow_methods: "GET" }, preflight("https://z.test")),
    routed(
      "private network",
      { ...policy, allow_private_network_access: true },
      preflight("https://a.test", { "access-control-request-private-network": "true" }),
    ),
    routed(
      "private network, not asked for",
      { ...policy, allow_private_network_access: true },
      preflight("https://a.test"),
    ),
    routed("switched off", { ...policy, filter_enabled: half }, preflight("https://a.test")),
    routed(
      "in the shadow",
      { ...policy, filter_enabled: half, shadow_enabled: { default_value: { numerator: 100 } } },
      from("https://a.test"),
    ),
    routed("credentials refused", { ...policy, allow_credentials: false }, preflight("https://a.test")),
    { name: "a route without a policy", filters: [cors], steps: preflight("https://a.test") },
    { name: "a policy without the filter", routes: [to(ANY, {}, per(policy))], steps: preflight("https://a.test") },
    {
      name: "the virtual host's policy",
      filters: [cors],
      virtualHost: per(policy),
      steps: preflight("https://a.test"),
    },
    {
      name: "what the route leaves open, its host says",
      filters: [cors],
      virtualHost: per(policy),
      routes: [to(ANY, {}, per({ allow_methods: "DELETE", max_age: "5" }))],
      steps: preflight("https://a.test"),
    },
    {
      name: "a direct response has no policy",
      filters: [cors],
      routes: [{ match: ANY, direct_response: { status: 200 }, ...per(policy) }],
      steps: from("https://a.test"),
    },
    {
      name: "disabled for the route",
      filters: [cors],
      virtualHost: per(policy),
      routes: [to(ANY, {}, { typed_per_filter_config: { [NAME]: typed("FilterConfig", { disabled: true }) } })],
      steps: preflight("https://a.test"),
    },
    routed("a failure is told to the page too", policy, from("https://a.test"), {
      cluster: { load_assignment: { cluster_name: "{case}" } },
    }),
    routed("response headers of the route on a preflight", policy, preflight("https://a.test"), {
      virtualHost: { response_headers_to_add: [{ header: { key: "x-route", value: "1" } }] },
    }),
    routed("response headers of the route on a call", policy, from("https://a.test"), {
      virtualHost: {
        response_headers_to_add: [{ header: { key: "access-control-expose-headers", value: "x-from-route" } }],
      },
    }),
  ],
};
