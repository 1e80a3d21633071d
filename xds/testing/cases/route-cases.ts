/** Route tables, virtual hosts, matches and header mutations that load or do not. */
import { host, type Json, route, withAction, withHosts, withRoute, withTable } from "../bootstrap-json.ts";
import { cases } from "./case.ts";

const domains = (...lists: readonly string[][]): Json =>
  withHosts(...lists.map((list, i) => host({ name: `v${i}`, domains: list })));
const match = (fields: Json): Json => withRoute({ match: fields });
const header = (fields: Json): Json => match({ prefix: "/", headers: [fields] });
const query = (fields: Json): Json => match({ prefix: "/", query_parameters: [fields] });
const add = (key: string, value = "x", option: Json = {}): Json =>
  withRoute({ request_headers_to_add: [{ header: { key, value }, ...option }] });
const remove = (name: string): Json => withRoute({ request_headers_to_remove: [name] });

const STRICTER_NAMES = "Envoy only refuses NUL, CR and LF in header names, and would send malformed heads";

export const DOMAIN_CASES = cases(
  ["no virtual hosts", withHosts()],
  [
    "a domain in two virtual hosts",
    domains(["a"], ["a"]),
    "virtual_hosts[1].domains[0]",
    /already in virtual host "v0"/,
  ],
  ["a domain twice in one virtual host", domains(["a", "a"]), "virtual_hosts[0].domains[1]", /already/],
  ["a domain twice but for its case", domains(["A"], ["a"]), "virtual_hosts[1].domains[0]", /"a" is already/],
  ["* twice", domains(["*"], ["*"]), "virtual_hosts[1].domains[0]", /"\*" is already/],
  ["*.a twice", domains(["*.a"], ["*.a"]), "virtual_hosts[1].domains[0]", /already/],
  ["a.* twice", domains(["a.*"], ["a.*"]), "virtual_hosts[1].domains[0]", /already/],
  ["wildcards of both kinds beside an exact domain", domains(["*.a", "a.*"], ["a", "*"])],
  ["a wildcard inside a domain", domains(["a*b"])],
  ["no domains", domains([]), "virtual_hosts[0].domains", /must not be empty/],
  ["a virtual host without a name", withHosts(host({ name: "" })), "virtual_hosts[0].name", /is required/],
  ["two virtual hosts of one name", withHosts(host({ domains: ["a"] }), host({ domains: ["b"] }))],
  ["an unknown TLS requirement", withHosts(host({ require_tls: 7 })), "require_tls", /expected one of NONE/],
);

export const MATCH_CASES = cases(
  ["no match", withRoute({ match: undefined }), "routes[0].match", /is required/],
  ["a match without a path", match({}), "match", /one of prefix, path/],
  ["an empty prefix", match({ prefix: "" })],
  ["gRPC calls only", match({ prefix: "/shop.v1.Orders/", grpc: {} })],
  ["tunnels", match({ connect_matcher: {} }), "connect_matcher", /is not supported/, "tunnels are to come"],
  ["an empty path", match({ path: "" })],
  ["a prefix without a slash", match({ prefix: "a" })],
  ["a separated prefix of a slash", match({ path_separated_prefix: "/" }), "path_separated_prefix", /must have two/],
  [
    "a separated prefix that ends with a slash",
    match({ path_separated_prefix: "/a/" }),
    "path_separated_prefix",
    /not/,
  ],
  ["a separated prefix with a query", match({ path_separated_prefix: "/a?b" }), "path_separated_prefix", /not/],
  ["a separated prefix", match({ path_separated_prefix: "/a" })],
  ["two paths", match({ path: "/a", prefix: "/b" }), "match.prefix", /only one of/],
  ["an unclosed group", match({ safe_regex: { regex: "(" } }), "safe_regex.regex", /not a valid RE2 expression/],
  ["look-ahead, which RE2 does not have", match({ safe_regex: { regex: "(?=a)" } }), "safe_regex.regex", /RE2/],
  ["a back-reference, which RE2 does not have", match({ safe_regex: { regex: "(a)\\1" } }), "safe_regex.regex", /RE2/],
  ["too many repetitions", match({ safe_regex: { regex: "a{1001}" } }), "safe_regex.regex", /RE2/],
  ["an empty expression", match({ safe_regex: { regex: "" } }), "safe_regex.regex", /must not be empty/],
  ["the engine named", match({ safe_regex: { google_re2: {}, regex: "a" } })],
  ["a share without a default", match({ prefix: "/", runtime_fraction: {} }), "default_value", /is required/],
  [
    "an unknown denominator",
    match({ prefix: "/", runtime_fraction: { default_value: { numerator: 1, denominator: 9 } } }),
    "denominator",
    /expected one of HUNDRED/,
  ],
  ["a share above the whole", match({ prefix: "/", runtime_fraction: { default_value: { numerator: 101 } } })],
);

export const MATCHER_CASES = cases(
  ["a header without a name", header({}), "headers[0].name", /must not be empty/],
  ["a header that only has to be there", header({ name: "a" })],
  ["a header that must be missing", header({ name: "a", present_match: false })],
  ["an empty exact match", header({ name: "a", exact_match: "" })],
  ["an empty prefix", header({ name: "a", prefix_match: "" }), "prefix_match", /must not be empty/],
  ["an empty suffix", header({ name: "a", suffix_match: "" }), "suffix_match", /must not be empty/],
  ["an empty part", header({ name: "a", contains_match: "" }), "contains_match", /must not be empty/],
  ["a string match without a pattern", header({ name: "a", string_match: {} }), "string_match", /one of exact/],
  ["an empty prefix pattern", header({ name: "a", string_match: { prefix: "" } }), "prefix", /must not be empty/],
  ["an empty exact pattern", header({ name: "a", string_match: { exact: "" } })],
  ["a range from high to low", header({ name: "a", range_match: { start: 5, end: 1 } })],
  ["a pseudo header", header({ name: ":method", exact_match: "GET" })],
  ["a line break in the name", header({ name: "a\n" }), "headers[0].name", /not a valid header name/],
  ["a space in the name", header({ name: "a b" }), "headers[0].name", /not a valid header name/, STRICTER_NAMES],
  [
    "a regular expression without regard to case",
    header({ name: "a", string_match: { safe_regex: { regex: "a" }, ignore_case: true } }),
    "ignore_case",
    /no effect/,
  ],
  ["a query parameter without a name", query({}), "query_parameters[0].name", /must not be empty/],
  ["a query parameter that only has to be there", query({ name: "a" })],
  ["a query parameter's name that is too long", query({ name: "a".repeat(1025) }), "name", /1024 bytes/],
);

export const HEADER_CASES = cases(
  ["a pseudo header set", add(":path"), "header.key", /:path must not be modified/],
  ["host set", add("Host"), "header.key", /host must not be modified/],
  [
    "a response's status set",
    withRoute({ response_headers_to_add: [{ header: { key: ":status", value: "x" } }] }),
    "header.key",
    /must not be modified/,
  ],
  ["a pseudo header removed", remove(":path"), "request_headers_to_remove[0]", /must not be removed/],
  ["host removed", remove("host"), "request_headers_to_remove[0]", /must not be removed/],
  ["an x-envoy header set", add("x-envoy-foo")],
  ["an x-envoy header removed", remove("X-Envoy-Foo")],
  ["no name", add(""), "header.key", /must not be empty/],
  ["no header", withRoute({ request_headers_to_add: [{}] }), "request_headers_to_add[0].header", /is required/],
  ["a name removed that is empty", remove(""), "request_headers_to_remove[0]", /must not be empty/],
  ["a space in a name", add("a b"), "header.key", /not a valid header name/, STRICTER_NAMES],
  ["a space in a removed name", remove("a b"), "request_headers_to_remove[0]", /not a valid/, STRICTER_NAMES],
  ["a line break in a value", add("a", "b\nc"), "header.value", /must not contain/],
  ["an empty value", add("a", "")],
  ["a command that is not closed", add("a", "%FOO"), "header.value", /valid command at position 0/],
  ["an unknown command", add("a", "%FOO%"), "header.value", /FOO is not supported/],
  ["a percent sign alone", add("a", "100%"), "header.value", /valid command at position 3/],
  ["a percent sign doubled", add("a", "100%%")],
  ["a command without its argument", add("a", "%REQ%"), "header.value", /REQ requires parameters/],
  ["a command with an argument and a length", add("a", "%REQ(x-a?:path):3%")],
  ["both ways to append", add("a", "b", { append: true, append_action: "OVERWRITE_IF_EXISTS" }), "append", /together/],
  ["the older way to overwrite", add("a", "b", { append: false })],
  ["an unknown action", add("a", "b", { append_action: "REPLACE" }), "append_action", /expected one of/],
  [
    "a thousand headers and one",
    withRoute({ request_headers_to_add: Array(1001).fill({ header: { key: "a", value: "b" } }) }),
    "request_headers_to_add",
    /more than 1000/,
  ],
  [
    "an internal header without a name",
    withTable({ internal_only_headers: [""] }),
    "internal_only_headers[0]",
    /empty/,
    "a name that no header has",
  ],
);

const reply = (body: unknown, status = 200): Json => withAction({ direct_response: { status, body } });

export const ACTION_CASES = cases(
  ["no action", withRoute({ route: undefined }), "routes[0]", /one of route, redirect/],
  ["no forwarding", withAction({ non_forwarding_action: {} })],
  ["two actions", withRoute({ direct_response: { status: 200 } }), "direct_response", /only one of/],
  ["a direct response", withAction({ direct_response: { status: 204 } })],
  ["a status below 200", reply(undefined, 199), "direct_response.status", /from 200 to 599/],
  ["a status above 599", reply(undefined, 600), "direct_response.status", /from 200 to 599/],
  ["a body at the limit", reply({ inline_string: "x".repeat(4096) })],
  ["a body over the limit", reply({ inline_string: "x".repeat(4097) }), "direct_response.body", /4097 bytes/],
  ["a body over the limit in bytes only", reply({ inline_string: "é".repeat(2049) }), "body", /4098 bytes/],
  [
    "a body under a raised limit",
    withTable({
      max_direct_response_body_size_bytes: 5000,
      virtual_hosts: [
        host({
          routes: [
            route({ route: undefined, direct_response: { status: 200, body: { inline_string: "x".repeat(4097) } } }),
          ],
        }),
      ],
    }),
  ],
  ["a body from nowhere", reply({}), "direct_response.body", /one of filename/],
  ["a body from a missing file", reply({ filename: "/nonexistent/body" }), "body.filename", /cannot read/],
  ["an empty redirect", withAction({ redirect: {} })],
  [
    "two paths to redirect to",
    withAction({ redirect: { path_redirect: "/x", prefix_rewrite: "/y" } }),
    "redirect.prefix_rewrite",
    /only one of/,
  ],
  [
    "a line break in a redirect",
    withAction({ redirect: { path_redirect: "x\n" } }),
    "path_redirect",
    /must not contain/,
  ],
  [
    "a bad expression in a redirect",
    withAction({ redirect: { regex_rewrite: { pattern: { regex: "(" } } } }),
    "pattern.regex",
    /RE2/,
  ],
  [
    "a port beyond all ports",
    withAction({ redirect: { port_redirect: 70000 } }),
    "port_redirect",
    /65535/,
    "Envoy sends the caller there",
  ],
  [
    "an unknown redirect code",
    withAction({ redirect: { response_code: "MULTIPLE_CHOICES" } }),
    "response_code",
    /expected one of/,
  ],
  ["a decorator without an operation", withRoute({ decorator: {} }), "decorator.operation", /is required/],
  ["a decorator", withRoute({ decorator: { operation: "x", propagate: false } })],
  ["an unknown field", withRoute({ foo_bar: 1 }), "routes[0].foo_bar", /has no field "foo_bar"/],
  [
    "a field that is not supported",
    withAction({ filter_action: {} }),
    "filter_action",
    /is not supported/,
    "a field to come",
  ],
);
