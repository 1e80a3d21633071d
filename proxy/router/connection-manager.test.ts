/** The expectations are what Envoy 1.40 sent upstream and downstream for the same configuration. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { SimulatedClock } from "../../core/clock.ts";
import { Flag } from "../../model/flags.ts";
import type { ForwardClientCert, HttpConnectionManager } from "../../model/http.ts";
import type { ConnectionInfo } from "../../telemetry/stream-info.ts";
import {
  connection,
  connectionManager,
  type Fields,
  lines,
  peer,
  request,
  streamInfo,
  tls,
} from "../../test/support/routes.ts";
import { type RequestHead, ResponseHead } from "../http/message.ts";
import { type ConnectionManagerStages, compileConnectionManager } from "./connection-manager.ts";
import { EDGE_HEADERS, INTERNAL_HEADERS } from "./header-groups.ts";
import { newRequestId } from "./request-id.ts";

const clock = new SimulatedClock(1_700_000_000_000);
const ID = "x-request-id: generated";
const LOCAL = "192.0.2.2";

function compile(config: Partial<HttpConnectionManager> = {}): ConnectionManagerStages {
  return compileConnectionManager(connectionManager(config), {
    clock,
    newRequestId: () => "generated",
    localAddress: LOCAL,
  });
}

interface Outcome {
  readonly lines: readonly string[];
  readonly request: RequestHead;
  readonly downstream: string;
}

function run(
  config: Partial<HttpConnectionManager>,
  fields: Fields,
  from: Partial<ConnectionInfo> = {},
  upgrade = "",
): Outcome {
  const asked = request("/x", fields);
  const info = streamInfo(from);
  assert.equal(compile(config).mutateRequest(asked, info, upgrade), null);
  return { lines: lines(asked.headers), request: asked, downstream: info.downstreamAddress };
}

const value = (outcome: Outcome, name: string): string | null => outcome.request.headers.get(name);

test("a plain request gets a scheme and an id", () => {
  const outcome = run({}, [["User-Agent", "curl"]]);
  assert.deepEqual(outcome.lines, ["User-Agent: curl", "x-forwarded-proto: http", ID]);
  assert.equal(outcome.request.scheme, "http");
  assert.equal(outcome.downstream, "");
});

test("the edge says who called", () => {
  const edge = { useRemoteAddress: true };
  assert.deepEqual(run(edge, []).lines, [
    "x-forwarded-for: 10.1.2.3",
    "x-forwarded-proto: http",
    "x-envoy-external-address: 10.1.2.3",
    ID,
  ]);
  // Of a caller on loopback the address would mean nothing elsewhere.
  assert.deepEqual(run(edge, [], { remoteAddress: "127.0.0.1" }).lines, [
    `x-forwarded-for: ${LOCAL}`,
    "x-forwarded-proto: http",
    "x-envoy-external-address: 127.0.0.1",
    ID,
  ]);
  assert.equal(value(run({ ...edge, skipXffAppend: true }, []), "x-forwarded-for"), null);
  assert.equal(
    value(run({ ...edge, appendXForwardedPort: true }, [["x-forwarded-port", "7"]]), "x-forwarded-port"),
    "8080",
  );
});

test("the edge appends to x-forwarded-for, and believes it only beyond trusted hops", () => {
  const cases: readonly (readonly [number, Fields, string, string, string])[] = [
    [0, [["x-forwarded-for", "1.2.3.4"]], "1.2.3.4,10.1.2.3", "", "10.1.2.3"],
    [1, [["x-forwarded-for", "1.2.3.4"]], "1.2.3.4,10.1.2.3", "1.2.3.4:0", "1.2.3.4"],
    [1, [["X-Forwarded-For", "1.1.1.1, 3.3.3.3"]], "1.1.1.1, 3.3.3.3,10.1.2.3", "3.3.3.3:0", "3.3.3.3"],
    [2, [["x-forwarded-for", "1.1.1.1, 3.3.3.3"]], "1.1.1.1, 3.3.3.3,10.1.2.3", "1.1.1.1:0", "1.1.1.1"],
    [3, [["x-forwarded-for", "1.1.1.1, 3.3.3.3"]], "1.1.1.1, 3.3.3.3,10.1.2.3", "", "10.1.2.3"],
    [1, [["x-forwarded-for", "bogus"]], "bogus,10.1.2.3", "", "10.1.2.3"],
    [1, [["x-forwarded-for", ""]], "10.1.2.3", "", "10.1.2.3"],
    [1, [["x-forwarded-for", "1.2.3.4:80"]], "1.2.3.4:80,10.1.2.3", "", "10.1.2.3"],
    [1, [["x-forwarded-for", "2001:DB8:0::1"]], "2001:DB8:0::1,10.1.2.3", "[2001:db8::1]:0", "2001:db8::1"],
  ];
  for (const [xffNumTrustedHops, fields, forwardedFor, downstream, external] of cases) {
    const outcome = run({ useRemoteAddress: true, xffNumTrustedHops }, fields);
    assert.equal(value(outcome, "x-forwarded-for"), forwardedFor);
    assert.equal(outcome.downstream, downstream);
    assert.equal(value(outcome, "x-envoy-external-address"), external);
  }
  const twice = run({ useRemoteAddress: true, xffNumTrustedHops: 1 }, [
    ["x-forwarded-for", "1.1.1.1"],
    ["x-forwarded-for", "2.2.2.2"],
  ]);
  assert.equal(value(twice, "x-forwarded-for"), "1.1.1.1,2.2.2.2,10.1.2.3");
});

test("further in, x-forwarded-for is believed and left alone", () => {
  const cases: readonly (readonly [number, string, string])[] = [
    [0, "1.2.3.4", "1.2.3.4:0"],
    [0, "9.9.9.9,1.2.3.4, 5.6.7.8", "5.6.7.8:0"],
    [2, "9.9.9.9,1.2.3.4, 5.6.7.8", "9.9.9.9:0"],
    [2, "1.2.3.4, 5.6.7.8", ""],
    [0, "1.2.3.4,", ""],
    [0, "::ffff:1.2.3.4", "[::ffff:1.2.3.4]:0"],
    [0, "[::1]:80", ""],
    [0, "", ""],
  ];
  for (const [xffNumTrustedHops, forwardedFor, downstream] of cases) {
    const outcome = run({ xffNumTrustedHops }, [["x-forwarded-for", forwardedFor]]);
    assert.equal(outcome.downstream, downstream, forwardedFor);
    assert.deepEqual(outcome.lines, [`x-forwarded-for: ${forwardedFor}`, "x-forwarded-proto: http", ID]);
  }
});

test("the scheme is what x-forwarded-proto names, where that is believed", () => {
  const cases: readonly (readonly [Partial<HttpConnectionManager>, boolean, string | null, string, string])[] = [
    [{}, false, null, "http", "http"],
    [{}, true, null, "https", "https"],
    [{}, false, "https", "https", "https"],
    [{}, true, "http", "http", "http"],
    [{}, false, "HTTPS", "HTTPS", "https"],
    [{}, false, "ftp", "ftp", "http"],
    [{}, true, "ftp", "ftp", "https"],
    [{}, false, "", "", ""],
    [{ useRemoteAddress: true }, false, "https", "http", "http"],
    [{ useRemoteAddress: true }, true, "http", "https", "https"],
    [{ useRemoteAddress: true, xffNumTrustedHops: 1 }, false, "https", "https", "https"],
    [{ useRemoteAddress: true, xffNumTrustedHops: 1 }, false, null, "http", "http"],
  ];
  for (const [config, secure, given, header, scheme] of cases) {
    const fields: Fields = given === null ? [] : [["x-forwarded-proto", given]];
    const outcome = run(config, fields, { tls: secure ? tls() : null });
    assert.equal(value(outcome, "x-forwarded-proto"), header);
    assert.equal(outcome.request.scheme, scheme);
  }
  const absolute = request("/x");
  absolute.scheme = "https";
  compile().mutateRequest(absolute, streamInfo());
  assert.equal(absolute.scheme, "https");
});

test("request ids are made at the edge and kept further in", () => {
  const client: Fields = [["X-Request-Id", "client"]];
  const empty: Fields = [["x-request-id", ""]];
  assert.equal(value(run({}, client), "x-request-id"), "client");
  assert.equal(value(run({}, empty), "x-request-id"), "generated");
  assert.equal(value(run({ useRemoteAddress: true }, client), "x-request-id"), "generated");
  assert.equal(
    value(run({ useRemoteAddress: true, preserveExternalRequestId: true }, client), "x-request-id"),
    "client",
  );
  assert.equal(value(run({ generateRequestId: false }, []), "x-request-id"), null);
  assert.equal(value(run({ generateRequestId: false }, empty), "x-request-id"), "");
  assert.match(newRequestId(), /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});

test("Envoy's own headers are not taken from callers", () => {
  const fields = (names: readonly string[]): Fields => names.map((name) => [name.toUpperCase(), "1"] as const);
  const kept: Fields = [
    ["x-envoy-attempt-count", "9"],
    ["x-envoy-peer-metadata", "1"],
  ];
  const all: Fields = [...fields(INTERNAL_HEADERS), ...fields(EDGE_HEADERS), ...kept];
  const inner = run({}, all);
  for (const name of INTERNAL_HEADERS) assert.equal(value(inner, name), null, name);
  for (const name of EDGE_HEADERS) assert.equal(value(inner, name), "1", name);
  const edge = run({ useRemoteAddress: true }, [...all, ["x-envoy-external-address", "9.9.9.9"]]);
  for (const name of [...INTERNAL_HEADERS, ...EDGE_HEADERS]) assert.equal(value(edge, name), null, name);
  assert.equal(value(edge, "x-envoy-external-address"), "10.1.2.3");
  for (const [name, expected] of kept) assert.equal(value(edge, name), expected);
});

const HOP: readonly (readonly [Fields, readonly string[]])[] = [
  [
    [
      ["Connection", "X-A, te, close"],
      ["x-a", "1"],
      ["te", "gzip, trailers"],
    ],
    ["te: trailers"],
  ],
  [[["te", "gzip"]], []],
  [[["te", "trailers"]], ["te: trailers"]],
  [[["te", "Trailers"]], []],
  [
    [
      ["connection", "te"],
      ["te", "trailers"],
    ],
    ["te: trailers"],
  ],
  [
    [
      ["connection", "content-length"],
      ["content-length", "0"],
    ],
    ["content-length: 0"],
  ],
  [
    [
      ["keep-alive", "5"],
      ["proxy-connection", "close"],
      ["proxy-authorization", "a"],
    ],
    ["proxy-authorization: a"],
  ],
  [
    [
      ["connection", '"x-a", x-b;q, ,x-c'],
      ["x-a", "1"],
      ["x-b", "1"],
      ["x-c", "1"],
    ],
    ["x-a: 1", "x-b: 1"],
  ],
  [
    [
      ["connection", "x-a"],
      ["connection", "x-b"],
      ["x-a", "1"],
      ["x-b", "1"],
    ],
    [],
  ],
  [
    [
      ["connection", "cookie"],
      ["cookie", "a=1"],
    ],
    [],
  ],
  [[["upgrade", "websocket"]], []],
  [
    [
      ["connection", "upgrade, http2-settings"],
      ["upgrade", "h2c"],
      ["http2-settings", "A"],
    ],
    [],
  ],
  [[["connection", ""]], []],
];

test("headers of the connection are taken off", () => {
  for (const [fields, expected] of HOP) {
    const left = run({ generateRequestId: false }, fields).lines.filter(
      (line) => !line.startsWith("x-forwarded-proto"),
    );
    assert.deepEqual(left, expected, JSON.stringify(fields));
  }
});

test("a request to upgrade keeps its connection headers as they came", () => {
  const fields: Fields = [
    ["Connection", "Upgrade, x-q"],
    ["Upgrade", "WebSocket"],
    ["x-q", "1"],
    ["te", "gzip"],
    ["keep-alive", "4"],
  ];
  const kept = run({ generateRequestId: false }, fields, {}, "websocket").lines;
  assert.deepEqual(kept.slice(0, 4), ["Connection: Upgrade, x-q", "Upgrade: WebSocket", "x-q: 1", "te: gzip"]);
  assert.deepEqual(run({ generateRequestId: false }, fields, {}, "h2c").lines, ["x-forwarded-proto: http"]);
});

test("a connection header that would hide where a request came from is refused", () => {
  const many = (count: number): string => Array.from({ length: count }, () => "a").join(",");
  const te: Fields = [["te", "a".repeat(256)]];
  const refused: readonly Fields[] = [
    [["connection", "X-Forwarded-For"]],
    [["connection", "x-forwarded-host"]],
    [["connection", "close, x-forwarded-proto"]],
    [["connection", ":path"]],
    [["connection", many(10)]],
    [["connection", "te"], ...te],
  ];
  for (const fields of refused) {
    const refusal = compile().mutateRequest(request("/", fields), streamInfo());
    assert.equal(refusal?.status, 400);
    assert.equal(refusal?.details, "http1.connection_header_rejected");
    assert.equal(refusal?.flags, Flag.DPE);
    assert.equal(refusal?.closes, true);
  }
  const hostless = compile().mutateRequest(request("/", [["connection", "close, Host"]]), streamInfo());
  assert.deepEqual([hostless?.status, hostless?.details], [400, "missing_host_header"]);
  for (const fields of [[["connection", many(9)]], [["connection", "close"], ...te]] as const) {
    assert.equal(compile().mutateRequest(request("/", fields), streamInfo()), null);
  }
});

test("a path that is no path, or hides behind a fragment, is not routed", () => {
  const refuse = (config: Partial<HttpConnectionManager>, path: string, method = "GET") => {
    const refusal = compile(config).mutateRequest(request(path, [], { method }), streamInfo());
    return refusal === null ? null : [refusal.status, refusal.details, refusal.location];
  };
  assert.deepEqual(refuse({}, "*", "OPTIONS"), [404, "absolute_path_rejected", null]);
  assert.deepEqual(refuse({}, "/x#y"), [400, "path_normalization_failed", null]);
  assert.deepEqual(refuse({}, "/x?a#y"), [400, "path_normalization_failed", null]);
  assert.deepEqual(refuse({ normalizePath: true }, "/a%00"), [400, "path_normalization_failed", null]);
  assert.deepEqual(refuse({ pathWithEscapedSlashes: "unescape_and_redirect" }, "/a%2fb?c"), [
    307,
    "path_normalization_failed",
    "/a/b?c",
  ]);
  assert.equal(refuse({}, "x:80", "CONNECT"), null);
});

test("a normalised path is the one that everybody sees", () => {
  const asked = request("/a/../b?c");
  const info = streamInfo();
  info.originalPath = asked.path;
  assert.equal(compile({ normalizePath: true }).mutateRequest(asked, info), null);
  assert.equal(asked.path, "/b?c");
  assert.equal(info.originalPath, "/b?c");
});

test("ports are stripped from the authority where that is asked for", () => {
  const strip = (config: Partial<HttpConnectionManager>, authority: string): string => {
    const asked = request("/", [], { authority });
    compile(config).mutateRequest(asked, streamInfo());
    return asked.authority;
  };
  const cases: readonly (readonly [string, string, string])[] = [
    ["foo.com:8080", "foo.com", "foo.com"],
    ["foo.com:81", "foo.com:81", "foo.com"],
    ["[::1]:8080", "[::1]", "[::1]"],
    ["[::1]", "[::1]", "[::1]"],
    ["foo.com:", "foo.com:", "foo.com:"],
    ["foo.com:x", "foo.com:x", "foo.com:x"],
  ];
  for (const [authority, matching, any] of cases) {
    assert.equal(strip({}, authority), authority);
    assert.equal(strip({ stripMatchingHostPort: true }, authority), matching);
    assert.equal(strip({ stripAnyHostPort: true }, authority), any);
  }
});

test("a referer passes only if it is a URI reference without secrets", () => {
  const cases: Readonly<Record<string, boolean>> = {
    "http://a.com/x": true,
    foo: true,
    "/a/b:c?d": true,
    "javascript:x": false,
    "https://a.com/#x": false,
    "https://user@a.com/": false,
    "http://a.com": true,
  };
  for (const [referer, passes] of Object.entries(cases)) {
    assert.equal(value(run({}, [["Referer", referer]]), "referer"), passes ? referer : null, referer);
  }
});

test("via is appended both ways", () => {
  assert.equal(value(run({ via: "me" }, []), "via"), "me");
  assert.equal(
    value(
      run({ via: "me" }, [
        ["via", "1.0 a"],
        ["via", "1.1 b"],
      ]),
      "via",
    ),
    "1.0 a,1.1 b, me",
  );
  assert.equal(respond({ via: "me" }, [["via", "up"]]).get("via"), "up, me");
});

const CLIENT = peer({ dnsSans: ["c1.local", "c2.local"], subject: 'CN=cl ient,O=Acme\\, \\"Inc\\"' });
const BARE = peer({ uriSans: [], subject: "" });
const NAMED = { subject: true, cert: false, chain: false, dns: true, uri: true };
const OWN =
  'By=spiffe://td/ns/a/sa/server;Hash=ab12;Subject="CN=cl ient,O=Acme\\, \\"Inc\\"";URI=spiffe://td/ns/a/sa/client;DNS=c1.local;DNS=c2.local';

test("x-forwarded-client-cert follows its mode", () => {
  const given: Fields = [
    ["x-forwarded-client-cert", "By=prev"],
    ["X-Forwarded-Client-Cert", "By=prev2"],
  ];
  const PREVIOUS = "By=prev,By=prev2";
  const mutual = tls({ peer: CLIENT });
  const modes: readonly (readonly [ForwardClientCert["mode"], string | null, string | null, string | null])[] = [
    // mode, on mutual TLS without and with the header, without a client certificate with the header
    ["sanitize", null, null, null],
    ["forward_only", null, PREVIOUS, null],
    ["append_forward", OWN, `${PREVIOUS},${OWN}`, null],
    ["sanitize_set", OWN, OWN, null],
    ["always_forward_only", null, PREVIOUS, PREVIOUS],
  ];
  for (const [mode, alone, withHeader, withoutPeer] of modes) {
    const config = { forwardClientCert: { mode, ...NAMED } };
    const get = (fields: Fields, secure: ConnectionInfo["tls"]): string | null =>
      value(run(config, fields, { tls: secure }), "x-forwarded-client-cert");
    assert.equal(get([], mutual), alone, mode);
    assert.equal(get(given, mutual), withHeader, mode);
    assert.equal(get(given, tls({ peer: null })), withoutPeer, mode);
    assert.equal(get(given, null), withoutPeer, mode);
  }
});

test("x-forwarded-client-cert holds what is asked for, and keys without a value where Envoy has them", () => {
  const get = (details: Partial<ForwardClientCert>, from: Parameters<typeof tls>[0]): string | null => {
    const forwardClientCert = { mode: "sanitize_set", ...NAMED, ...details } as const;
    return value(run({ forwardClientCert }, [], { tls: tls(from) }), "x-forwarded-client-cert");
  };
  assert.equal(get({}, { peer: BARE }), 'By=spiffe://td/ns/a/sa/server;Hash=ab12;Subject="";URI=');
  assert.equal(get({ subject: false, uri: false }, { peer: BARE, localUriSans: ["a", "b"] }), "By=a;By=b;Hash=ab12");
  const PEM = "-----BEGIN%20CERTIFICATE-----%0AA%2B%2F%3D%0A-----END%20CERTIFICATE-----%0A";
  assert.equal(
    get({ cert: true, chain: true, subject: false, uri: false }, { peer: BARE, localUriSans: [] }),
    `Hash=ab12;Cert="${PEM}";Chain="${PEM}"`,
  );
});

test("each connection's certificates are told apart", () => {
  const stages = compile({ forwardClientCert: { mode: "sanitize_set", ...NAMED } });
  for (const fingerprint256 of ["aa", "bb", "aa"]) {
    const asked = request("/");
    const info = streamInfo();
    info.connection = connection({ tls: tls({ peer: peer({ fingerprint256 }) }) });
    stages.mutateRequest(asked, info);
    assert.ok(asked.headers.get("x-forwarded-client-cert")?.includes(`Hash=${fingerprint256}`));
  }
});

/** What a response is after the router's and the connection manager's mutations. */
function respond(config: Partial<HttpConnectionManager>, fields: Fields, status = 200): ResponseHead["headers"] {
  const head = new ResponseHead();
  head.status = status;
  for (const [name, text] of fields) head.headers.append(name, text);
  const info = streamInfo();
  info.requestEndAt = 1;
  info.upstreamFirstByteReceivedAt = 43.9;
  const stages = compile(config);
  stages.mutateUpstreamResponse(head, info);
  stages.mutateResponse(head, info, request("/", [["x-request-id", "asked"]]));
  return head.headers;
}

const DATE = new Date(1_700_000_000_000).toUTCString();

test("a response gets a server, a date and the time that the upstream took", () => {
  assert.deepEqual(respond({}, [["x-a", "1"]]).toObject(), {
    "x-a": "1",
    "x-envoy-upstream-service-time": "42",
    date: DATE,
    server: "envoy",
  });
  assert.equal(respond({}, [["Date", "theirs"]]).get("date"), "theirs");
  assert.equal(respond({}, [["x-envoy-upstream-service-time", "77"]]).get("x-envoy-upstream-service-time"), "42");
  const suppressEnvoyHeaders = {
    filters: [
      {
        kind: "router",
        name: "r",
        disabled: false,
        suppressEnvoyHeaders: true,
        respectExpectedRqTimeout: false,
      } as const,
    ],
  };
  assert.equal(
    respond(suppressEnvoyHeaders, [["x-envoy-upstream-service-time", "77"]]).get("x-envoy-upstream-service-time"),
    "77",
  );
});

test("the time that the upstream took is unknown while the request still arrives", () => {
  const head = new ResponseHead();
  compile().mutateUpstreamResponse(head, streamInfo());
  assert.equal(head.headers.has("x-envoy-upstream-service-time"), false);
});

test("the date moves with the clock", () => {
  const stages = compile();
  const dateAfter = (ms: number): string | null => {
    clock.advance(ms);
    const head = new ResponseHead();
    stages.mutateLocalResponse(head, streamInfo(), request("/"));
    return head.headers.get("date");
  };
  const first = dateAfter(0);
  assert.equal(dateAfter(999), first);
  assert.equal(dateAfter(1), new Date(clock.wallTime()).toUTCString());
  assert.notEqual(dateAfter(0), first);
});

test("the server's name follows its transformation", () => {
  const cases = [
    ["overwrite", "mesh", "mesh"],
    ["append_if_absent", "up", "mesh"],
    ["pass_through", "up", null],
  ] as const;
  for (const [serverHeader, present, absent] of cases) {
    const config = { serverHeader, serverName: "mesh" };
    assert.equal(respond(config, [["Server", "up"]]).get("server"), present);
    assert.equal(respond(config, []).get("server"), absent);
  }
});

test("a response tells the request's id where that is asked for", () => {
  assert.equal(respond({ alwaysSetRequestIdInResponse: true }, [["x-request-id", "up"]]).get("x-request-id"), "asked");
  assert.equal(respond({}, [["x-request-id", "up"]]).get("x-request-id"), "up");
});

test("headers of the upstream's connection are taken off, but not those of a 101", () => {
  const fields: Fields = [
    ["Connection", "keep-alive, x-foo"],
    ["Keep-Alive", "timeout=5"],
    ["Proxy-Connection", "x"],
    ["Upgrade", "websocket"],
    ["x-foo", "1"],
  ];
  const plain = respond({}, fields);
  for (const name of ["connection", "keep-alive", "proxy-connection", "upgrade"]) assert.equal(plain.get(name), null);
  assert.equal(plain.get("x-foo"), "1");
  const switched = respond({}, fields, 101);
  assert.equal(switched.get("connection"), "keep-alive, x-foo");
  assert.equal(switched.get("upgrade"), "websocket");
  assert.equal(switched.get("keep-alive"), null);
});

test("nothing that a peer can send makes the stages throw", () => {
  const stages = compile({
    useRemoteAddress: true,
    xffNumTrustedHops: 2,
    normalizePath: true,
    mergeSlashes: true,
    stripAnyHostPort: true,
    pathWithEscapedSlashes: "unescape_and_redirect",
    via: "me",
    forwardClientCert: { mode: "append_forward", ...NAMED },
  });
  const latin1 = fc.uint8Array({ maxLength: 30 }).map((bytes) => Buffer.from(bytes).toString("latin1"));
  const names = [
    "connection",
    "te",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-request-id",
    "referer",
    "via",
    "upgrade",
  ];
  fc.assert(
    fc.property(latin1, latin1, fc.array(fc.tuple(fc.constantFrom(...names), latin1)), (path, authority, fields) => {
      stages.mutateRequest(request(path, fields, { authority }), streamInfo());
    }),
  );
});
