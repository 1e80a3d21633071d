/** Format strings against what Envoy 1.40 wrote for the same requests (recorded from a running Envoy). */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { HeaderMap } from "../core/header-map.ts";
import { Flag } from "../model/flags.ts";
import type { JsonTemplate } from "../model/http.ts";
import { checkFormat, compileFormat, compileJsonFormat, type FormatContext } from "./format.ts";
import { type ConnectionInfo, type ConnectionTls, type PeerInfo, StreamInfo } from "./stream-info.ts";

const CONNECTION: ConnectionInfo = {
  id: 1,
  remoteAddress: "127.0.0.1",
  remotePort: 44036,
  localAddress: "127.0.0.1",
  localPort: 36759,
  tls: null,
  listener: "lis",
  filterChain: "fc1",
};

const PEER: PeerInfo = {
  uriSans: ["spiffe://t/ns/a/sa/b", "spiffe://t/x"],
  dnsSans: ["one.example", "two.example"],
  subject: 'CN=cli \\"x\\",OU=a\\+b,O=Acme\\, Inc.,C=DE',
  issuer: "CN=root,O=Test\\, Inc",
  serial: "0a0b0c0d0e",
  fingerprint256: "68b730d4971614f6ff0d84fe2a5f2f812b83a773c6e4508f9044e9d8c181aa12",
  notBefore: Date.UTC(2026, 10, 21, 10, 35, 14),
  notAfter: Date.UTC(2026, 11, 21, 10, 35, 14),
  pem: () => "-----BEGIN CERTIFICATE-----\nA+/=\n-----END CERTIFICATE-----\n",
  chainPem: () => "",
  verified: true,
};

const TLS: ConnectionTls = {
  version: "TLSv1.3",
  cipher: "TLS_AES_256_GCM_SHA384",
  sni: "localhost",
  alpn: "",
  resumed: false,
  peer: PEER,
  localUriSans: ["spiffe://t/ns/a/sa/srv"],
  localSubject: "CN=srv",
};

function context(connection: ConnectionInfo, fill: (info: StreamInfo) => void): FormatContext {
  const info = new StreamInfo(connection);
  info.startTime = Date.UTC(2026, 10, 21, 10, 33, 6, 296);
  info.startedAt = 100;
  fill(info);
  return {
    info,
    request: { method: "", path: "", authority: "", scheme: "http", protocol: "HTTP/1.1", headers: new HeaderMap() },
    responseHeaders: null,
    responseTrailers: null,
  };
}

/** A call that went well: two `x-a`, an empty header, `x-forwarded-for`, two response fields of one name. */
function forwarded(): FormatContext {
  const c = context(CONNECTION, (info) => {
    info.requestEndAt = 100.4;
    info.upstreamFirstByteSentAt = 100.5;
    info.upstreamLastByteSentAt = 100.6;
    info.upstreamFirstByteReceivedAt = 128.207;
    info.upstreamLastByteReceivedAt = 128.3;
    info.endedAt = 128.9;
    info.downstreamAddress = "10.4.5.6:0";
    info.bytesSent = 7;
    info.responseCode = 200;
    info.responseCodeDetails = "via_upstream";
    info.routeName = "okroute";
    info.cluster = "up";
    info.upstreamHost = "127.0.0.1:45077";
    info.upstreamLocalAddress = "127.0.0.1:49452";
    info.upstreamProtocol = "HTTP/2";
    info.upstreamConnectionId = 5;
    info.attempts = 1;
  });
  const headers = HeaderMap.of({ "x-a": "one" });
  headers.append("X-A", "two");
  headers.append("x-e", "");
  headers.append("x-q", 'say "hi"\\');
  headers.append("x-forwarded-for", "10.1.2.3, 10.4.5.6");
  headers.append("x-request-id", "7740e183-2316-42b5-b2bb-88de9c278f7b");
  c.request = { ...c.request, method: "GET", path: "/ok?a=1&b=x%20y", authority: "h.example:80", headers };
  c.responseHeaders = HeaderMap.of({ "x-multi": "a" });
  c.responseHeaders.append("x-multi", "b");
  c.responseHeaders.append("x-empty", "");
  c.responseHeaders.append("content-length", "7");
  c.responseHeaders.append("x-envoy-upstream-service-time", "27");
  return c;
}

/** Two attempts, both refused. */
function refused(): FormatContext {
  const c = context(CONNECTION, (info) => {
    info.requestEndAt = 100;
    info.endedAt = 101.2;
    info.bytesSent = 121;
    info.responseCode = 503;
    info.flags = Flag.UF | Flag.URX;
    info.responseCodeDetails =
      "upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error: Connection refused}";
    info.cluster = "dead";
    info.upstreamHost = "127.0.0.1:1";
    info.upstreamTransportFailure = "delayed_connect_error: Connection refused";
    info.attempts = 2;
  });
  c.request = { ...c.request, method: "GET", path: "/dead", authority: "h" };
  c.responseHeaders = HeaderMap.of({ "content-length": "121" });
  return c;
}

/** A path rewritten on its way. */
function rewritten(): FormatContext {
  const c = forwarded();
  c.request.path = "/new/a?a=2";
  c.request.headers = HeaderMap.of({ "x-envoy-original-path": "/rw/a?a=2" });
  c.info.originalPath = "/rw/a?a=2";
  return c;
}

/** A head that could not be parsed: nothing of the request is known. */
function malformed(): FormatContext {
  const c = context(CONNECTION, (info) => {
    info.endedAt = 100.1;
    info.bytesSent = 11;
    info.responseCode = 400;
    info.responseCodeDetails = "http1.codec_error";
    info.flags = Flag.DPE;
  });
  c.request.scheme = "";
  c.responseHeaders = HeaderMap.of({ "content-length": "11" });
  return c;
}

const mutualTls = (): FormatContext => ({ ...forwarded(), info: context({ ...CONNECTION, tls: TLS }, () => {}).info });
const serverTls = (): FormatContext => {
  const tls = { ...TLS, version: "TLSv1.2", cipher: "ECDHE-ECDSA-AES128-GCM-SHA256", peer: null };
  return { ...forwarded(), info: context({ ...CONNECTION, tls }, () => {}).info };
};

const RECORDED: readonly [request: () => FormatContext, template: string, envoy: string][] = [
  [forwarded, "%RESPONSE_FLAGS% %RESPONSE_FLAGS_LONG%", "- -"],
  [forwarded, "%RESPONSE_CODE% %RESPONSE_CODE_DETAILS%", "200 via_upstream"],
  [
    forwarded,
    "%REQ(x-a)% %REQ(X-A):2% %REQ(x-e)% %REQ(NOPE?X-A)% %REQ(NOPE?X-A):1% %REQ(NOPE)% %REQ(:PATH)% %REQ(x-envoy-original-path?:path)% %REQ(host)% %REQ(:authority)% %REQ(:SCHEME)% %REQ(:METHOD)%",
    "one on  one o - /ok?a=1&b=x%20y /ok?a=1&b=x%20y h.example:80 h.example:80 http GET",
  ],
  [forwarded, "%RESP(x-multi)% [%RESP(x-empty)%] %RESP(:status)% %RESP(content-length)% %TRAILER(x)%", "a [] 200 7 -"],
  [forwarded, "%PROTOCOL% %BYTES_RECEIVED% %BYTES_SENT%", "HTTP/1.1 0 7"],
  [forwarded, "%UPSTREAM_PROTOCOL% %UPSTREAM_CONNECTION_ID%", "HTTP/2 5"],
  [
    forwarded,
    "%UPSTREAM_HOST% %UPSTREAM_CLUSTER% %UPSTREAM_CLUSTER_RAW% %UPSTREAM_REQUEST_ATTEMPT_COUNT%",
    "127.0.0.1:45077 up up 1",
  ],
  [
    forwarded,
    "%DOWNSTREAM_REMOTE_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% %DOWNSTREAM_REMOTE_PORT% %DOWNSTREAM_DIRECT_REMOTE_ADDRESS%",
    "10.4.5.6:0 10.4.5.6 0 127.0.0.1:44036",
  ],
  [
    forwarded,
    "%DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT% %DOWNSTREAM_LOCAL_PORT%",
    "127.0.0.1:36759 127.0.0.1 36759",
  ],
  [
    forwarded,
    "%ROUTE_NAME% %VIRTUAL_CLUSTER_NAME% %FILTER_CHAIN_NAME% %CONNECTION_ID% %STREAM_ID% %ACCESS_LOG_TYPE%",
    "okroute - fc1 1 7740e183-2316-42b5-b2bb-88de9c278f7b DownstreamEnd",
  ],
  [
    forwarded,
    "%PATH% %PATH(NQ)% %PATH(WQ:ORIG)% %PATH(WQ:PATH)% %PATH(NQ:ORIG_OR_PATH)% %QUERY_PARAM(a)% %QUERY_PARAM(b)% %QUERY_PARAMS%",
    "/ok?a=1&b=x%20y /ok - /ok?a=1&b=x%20y /ok 1 x y a=1&b=x%20y",
  ],
  [
    rewritten,
    "%PATH% %PATH(NQ)% %PATH(WQ:ORIG)% %PATH(WQ:PATH)% %PATH(NQ:ORIG_OR_PATH)% %QUERY_PARAM(a)% %QUERY_PARAM(b)% %QUERY_PARAMS%",
    "/rw/a?a=2 /rw/a /rw/a?a=2 /new/a?a=2 /rw/a 2 - a=2",
  ],
  [rewritten, "%REQ(:PATH)% %REQ(x-envoy-original-path?:path)%", "/new/a?a=2 /rw/a?a=2"],
  [
    forwarded,
    "%START_TIME(%Y %y %C %m %d %e %j %H %k %I %l %M %S %p %a %A %b %B %h %u %w %s %z %Z %% %F %T %D %R %c %x %X %r)%",
    "2026 26 20 11 21 21 325 10 10 10 10 33 06 AM Sat Saturday Nov November Nov 6 6 1795257186 +0000 UTC % 2026-11-21 10:33:06 11/21/26 10:33 Sat Nov 21 10:33:06 2026 11/21/26 10:33:06 10:33:06 AM",
  ],
  // Envoy has microseconds here ("296806000"); this clock gives whole milliseconds.
  [
    forwarded,
    "%START_TIME(%f|%1f|%3f|%6f|%9f|%E3S|%E*S|%E3f|%E*f|%Ez|%E4Y|%Q|%v)%",
    "296000000|2|296|296000|296000000|06.296|06.296|296|296|+00:00|2026|%Q|%v",
  ],
  [forwarded, "%START_TIME% %START_TIME()%", "2026-11-21T10:33:06.296Z 2026-11-21T10:33:06.296Z"],
  [forwarded, "%START_TIME(%s.%3f)% %START_TIME(%s%3f)% %START_TIME(abc)%", "1795257186.296 1795257186296 abc"],
  [forwarded, "%DYNAMIC_METADATA(a)% %DYNAMIC_METADATA(a:b)% %FILTER_STATE(a)%", "- - -"],
  [
    forwarded,
    "%DOWNSTREAM_TLS_VERSION% %DOWNSTREAM_PEER_URI_SAN% %REQUESTED_SERVER_NAME% %TRACE_ID% %SPAN_ID%",
    "- - - - -",
  ],
  [
    forwarded,
    "%COMMON_DURATION(DS_RX_BEG:DS_TX_END:ms)% %DURATION% %REQUEST_DURATION% %RESPONSE_DURATION% %RESPONSE_TX_DURATION% %REQUEST_TX_DURATION%",
    "28 28 0 28 0 0",
  ],
  [forwarded, "100%% %UPSTREAM_LOCAL_ADDRESS% %CONNECTION_TERMINATION_DETAILS%", "100% 127.0.0.1:49452 -"],
  [forwarded, "%GRPC_STATUS% %GRPC_STATUS_NUMBER% %LOCAL_REPLY_BODY%", "- - "],
  [refused, "%RESPONSE_FLAGS% %RESPONSE_FLAGS_LONG%", "URX,UF UpstreamRetryLimitExceeded,UpstreamConnectionFailure"],
  [
    refused,
    "%RESPONSE_CODE% %RESPONSE_CODE_DETAILS%",
    "503 upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_Connection_refused}",
  ],
  [refused, "%UPSTREAM_TRANSPORT_FAILURE_REASON%", "delayed_connect_error:_Connection_refused"],
  [
    refused,
    "%COMMON_DURATION(DS_RX_BEG:DS_TX_END:ms)% %DURATION% %REQUEST_DURATION% %RESPONSE_DURATION% %RESPONSE_TX_DURATION% %REQUEST_TX_DURATION%",
    "1 1 0 - - -",
  ],
  [refused, "%PROTOCOL% %UPSTREAM_PROTOCOL% %UPSTREAM_CONNECTION_ID%", "HTTP/1.1 - 0"],
  [refused, "100%% %UPSTREAM_LOCAL_ADDRESS% %CONNECTION_TERMINATION_DETAILS%", "100% - -"],
  [malformed, "%RESPONSE_CODE% %RESPONSE_CODE_DETAILS% %RESPONSE_FLAGS%", "400 http1.codec_error DPE"],
  [malformed, "%REQ(:PATH)% %REQ(host)% %REQ(:SCHEME)% %REQ(:METHOD)% %PATH% %STREAM_ID%", "- - - - - -"],
  [malformed, "%UPSTREAM_HOST% %UPSTREAM_CLUSTER% %UPSTREAM_REQUEST_ATTEMPT_COUNT%", "- - 0"],
  [malformed, "%DURATION% %REQUEST_DURATION%", "0 -"],
  [mutualTls, "%DOWNSTREAM_TLS_VERSION% %DOWNSTREAM_TLS_CIPHER%", "TLSv1.3 TLS_AES_256_GCM_SHA384"],
  [mutualTls, "%DOWNSTREAM_LOCAL_URI_SAN% %DOWNSTREAM_LOCAL_SUBJECT%", "spiffe://t/ns/a/sa/srv CN=srv"],
  [mutualTls, "%DOWNSTREAM_PEER_URI_SAN%", "spiffe://t/ns/a/sa/b,spiffe://t/x"],
  [mutualTls, "%DOWNSTREAM_PEER_DNS_SAN%", "one.example,two.example"],
  [mutualTls, "%DOWNSTREAM_PEER_SUBJECT%", 'CN=cli \\"x\\",OU=a\\+b,O=Acme\\, Inc.,C=DE'],
  [mutualTls, "%DOWNSTREAM_PEER_ISSUER% %DOWNSTREAM_PEER_SERIAL%", "CN=root,O=Test\\, Inc 0a0b0c0d0e"],
  [
    mutualTls,
    "%DOWNSTREAM_PEER_CERT_V_START% %DOWNSTREAM_PEER_CERT_V_START(%Y-%m)% %DOWNSTREAM_PEER_CERT_V_END%",
    "2026-11-21T10:35:14.000Z 2026-11 2026-12-21T10:35:14.000Z",
  ],
  [mutualTls, "%DOWNSTREAM_PEER_CERT%", "-----BEGIN%20CERTIFICATE-----%0AA%2B%2F%3D%0A-----END%20CERTIFICATE-----%0A"],
  [serverTls, "%DOWNSTREAM_PEER_URI_SAN% %DOWNSTREAM_PEER_CERT% %DOWNSTREAM_PEER_CERT_V_END%", "- - -"],
  [serverTls, "%DOWNSTREAM_TLS_CIPHER% %REQUESTED_SERVER_NAME%", "ECDHE-ECDSA-AES128-GCM-SHA256 localhost"],
];

for (const [request, template, envoy] of RECORDED) {
  test(`${request.name}: ${template}`, () => {
    assert.equal(compileFormat(template)(request()), envoy);
  });
}

test("an intercepted connection has the address that was called, and the socket's own", () => {
  const { info } = context({ ...CONNECTION, restored: true, direct: { address: "::1", port: 15001 } }, () => {});
  const template =
    "%DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_DIRECT_LOCAL_ADDRESS% %DOWNSTREAM_DIRECT_LOCAL_ADDRESS_WITHOUT_PORT% %DOWNSTREAM_DIRECT_LOCAL_PORT%";
  assert.equal(compileFormat(template)({ ...forwarded(), info }), "127.0.0.1:36759 [::1]:15001 ::1 15001");
});

test("of a host with several addresses the one that was connected to is the remote end", () => {
  const c = forwarded();
  c.info.upstreamRemoteAddress = "[fd77::3]:80";
  const template = "%UPSTREAM_HOST% %UPSTREAM_REMOTE_ADDRESS% %UPSTREAM_REMOTE_PORT%";
  assert.equal(compileFormat(template)(c), "127.0.0.1:45077 [fd77::3]:80 80");
});

/** With the messages of Envoy, where it refuses a template; null where it takes it. */
const CHECKED: readonly [template: string, refused: RegExp | null][] = [
  ["%FOO%\n", /FOO is not supported at position 0/],
  ["abc %FOO(", /couldn't find a valid command at position 4/],
  ["abc %", /couldn't find a valid command at position 4/],
  ["%START_TIME(%s.%3f)%", null],
  ["%START_TIME:3%", /START_TIME does not allow length to be specified/],
  ["%START_TIME(%H%n%M)%", /contains a newline/],
  ["%REQ(A?B?C)%", /more than one alternative header/],
  ["%REQ()%", /REQ requires parameters/],
  ["%REQ%", /REQ requires parameters/],
  ["%REQ(A)B%", /couldn't find a valid command at position 0/],
  ["%req(x)%", /couldn't find a valid command at position 0/],
  ["%PROTOCOL(x)%", /PROTOCOL does not take any parameters or length/],
  ["%PROTOCOL:3%", /PROTOCOL does not take any parameters or length/],
  ["%DOWNSTREAM_PEER_URI_SAN:5%", /does not take any parameters or length/],
  ["%RESPONSE_CODE:abc%", /couldn't find a valid command at position 0/],
  ["%DYNAMIC_METADATA(a:b):3%", null],
  ["%DYNAMIC_METADATA()%", /DYNAMIC_METADATA requires parameters/],
  ["%ENVIRONMENT%", /ENVIRONMENT requires parameters/],
  ["%PATH(WQ:PATH_OR_ORIG)%", /PATH takes PATH, ORIG or ORIG_OR_PATH/],
  ["100%% %PROTOCOL%", null],
  ["%constructor%", /couldn't find a valid command/],
];

for (const [template, refusal] of CHECKED) {
  test(`checked: ${JSON.stringify(template)}`, () => {
    const problem = checkFormat(template);
    if (refusal === null) assert.equal(problem, null);
    else assert.match(problem ?? "accepted", refusal);
  });
}

test("a missing value is empty in header values", () => {
  const template = "[%REQ(nope)%][%UPSTREAM_HOST%][%TRACE_ID%]";
  assert.equal(compileFormat(template, { missing: "" })(malformed()), "[][][]");
  assert.equal(compileFormat(template)(malformed()), "[-][-][-]");
});

test("a header value in front of the upstream reads as in Envoy", () => {
  const c = forwarded();
  c.info.upstreamHost = "";
  c.info.responseCode = 0;
  const value = compileFormat("[%REQ(nope)%][%UPSTREAM_HOST%][%RESPONSE_CODE%][%PROTOCOL%]", { missing: "" })(c);
  assert.equal(value, "[][][0][HTTP/1.1]");
});

const JSON_TEMPLATE: JsonTemplate = {
  z: "%RESPONSE_CODE%",
  a: "%DURATION%",
  m: "%UPSTREAM_HOST%",
  mix: "x%RESPONSE_CODE%:%UPSTREAM_HOST%",
  n: { b: "%BYTES_SENT%", a: ["%PROTOCOL%", "%REQ(nope)%", 3, true, null] },
  num: 1.5,
  port: "%DOWNSTREAM_LOCAL_PORT%",
  conn: "%CONNECTION_ID%",
  att: "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
  md: "%DYNAMIC_METADATA(a)%",
  up: "%UPSTREAM_REMOTE_PORT%",
  cut: "%REQ(x-a):1%",
  st: "%START_TIME(%s)%",
  rs: "%RESP(:status)%",
  empty: "%REQ(x-e)%",
  rd: "%RESPONSE_DURATION%",
  lit: "hello",
  pc: "%%",
  esc: "%REQ(x-q)%",
  rf: "%RESPONSE_FLAGS%",
  cid: "%CONNECTION_ID%%%",
  two: "%RESPONSE_CODE%%RESPONSE_CODE%",
  nothing: { nope: "%TRACE_ID%" },
  list: ["%TRACE_ID%"],
  "9": 2,
  "10": 1,
};

test("JSON keeps types and sorts keys as Envoy does", () => {
  assert.equal(
    compileJsonFormat(JSON_TEMPLATE)(forwarded()),
    '{"10":1,"9":2,"a":28,"att":1,"cid":"1%","conn":1,"cut":"o","empty":"","esc":"say \\"hi\\"\\\\","list":[null],' +
      '"lit":"hello","m":"127.0.0.1:45077","md":null,"mix":"x200:127.0.0.1:45077",' +
      '"n":{"a":["HTTP/1.1",null,3,true,null],"b":7},"nothing":{"nope":null},"num":1.5,"pc":"%","port":36759,' +
      '"rd":28,"rf":"-","rs":"200","st":"1795257186","two":"200200","up":45077,"z":200}',
  );
});

test("JSON stays JSON whatever bytes a peer sends: what is no UTF-8 is escaped, as Envoy does it", () => {
  const write = compileJsonFormat({ a: "%REQ(x-bytes)%" });
  const line = (bytes: string): string => {
    const c = forwarded();
    c.request.headers = HeaderMap.of({ "x-bytes": bytes });
    return write(c);
  };
  assert.equal(line('a"b\\c\t\xe9'), '{"a":"a\\u0022b\\u005cc\\u0009\\u00e9"}');
  assert.equal(line('"\xc3\xa9'), '{"a":"\\"\xc3\xa9"}');
});

test("JSON without empty values leaves out what is missing, as Envoy does", () => {
  assert.equal(
    compileJsonFormat(JSON_TEMPLATE, { omitEmpty: true })(refused()),
    '{"10":1,"9":2,"a":1,"att":2,"cid":"1%","conn":1,"list":[],"lit":"hello","m":"127.0.0.1:1",' +
      '"mix":"x503:127.0.0.1:1","n":{"a":["HTTP/1.1",3,true],"b":121},"num":1.5,"pc":"%","port":36759,' +
      '"rf":"URX,UF","rs":"503","st":"1795257186","two":"503503","z":503}',
  );
});

test("dynamic metadata prints strings bare and namespaces as objects", () => {
  const c = forwarded();
  c.info.metadata = { rbac: { policy: "deny-all", clause: "2" } };
  assert.equal(compileFormat("%DYNAMIC_METADATA(rbac:policy)% %DYNAMIC_METADATA(rbac:policy):4%")(c), "deny-all deny");
  assert.equal(compileFormat("%DYNAMIC_METADATA(rbac)%")(c), '{"policy":"deny-all","clause":"2"}');
  assert.equal(compileJsonFormat({ m: "%DYNAMIC_METADATA(rbac)%" })(c), '{"m":{"policy":"deny-all","clause":"2"}}');
});

test("the status of a gRPC call comes from trailers, else from the HTTP status, as in Envoy", () => {
  const c = forwarded();
  c.request.headers = HeaderMap.of({ "content-type": "application/grpc+proto" });
  const format = compileFormat("%GRPC_STATUS% %GRPC_STATUS(SNAKE_STRING)% %GRPC_STATUS_NUMBER%");
  assert.equal(format(c), "Unknown UNKNOWN 2");
  c.info.responseCode = 0;
  assert.equal(format(c), "- - -");
  c.info.responseCode = 503;
  assert.equal(format(c), "Unavailable UNAVAILABLE 14");
  c.responseTrailers = HeaderMap.of({ "grpc-status": "4" });
  assert.equal(format(c), "DeadlineExceeded DEADLINE_EXCEEDED 4");
  c.responseTrailers = HeaderMap.of({ "grpc-status": "abc" });
  assert.equal(format(c), "-1 -1 -1");
  c.request.headers = HeaderMap.of({ "content-type": "application/grpc-web" });
  assert.equal(format(c), "- - -");
});

test("the numbers of a gRPC call's messages are Envoy's filter state, where its filter emits it", () => {
  const c = forwarded();
  const name = "envoy.filters.http.grpc_stats";
  const format = compileFormat(`%FILTER_STATE(${name})% %FILTER_STATE(${name}:PLAIN)% %FILTER_STATE(${name}:FIELD:x)%`);
  assert.equal(format(c), "- - -");
  c.info.grpc = { status: 0, requestMessages: 3, responseMessages: 0 };
  assert.equal(format(c), "- - -");
  c.info.showsGrpcMessages = true;
  assert.equal(format(c), '{"requestMessageCount":"3"} 3,0 -');
  c.info.grpc = { status: 0, requestMessages: 0, responseMessages: 2 };
  assert.equal(format(c), '{"responseMessageCount":"2"} 0,2 -');
  c.info.grpc = { status: 0, requestMessages: 0, responseMessages: 0 };
  assert.equal(format(c), "- - -");
});

test("a peer's bytes pass unchanged and text of our own is UTF-8", () => {
  const c = forwarded();
  c.request.headers = HeaderMap.of({ "x-u": Buffer.from("café", "utf8").toString("latin1") });
  c.info.routeName = "größe";
  const line = compileFormat("ÿ %REQ(x-u)% %ROUTE_NAME%")(c);
  assert.equal(Buffer.from(line, "latin1").toString("utf8"), "ÿ café größe");
});

test("no text can smuggle a newline into a line", () => {
  const format = compileFormat("%DOWNSTREAM_PEER_SUBJECT%");
  const json = compileJsonFormat({ subject: "%DOWNSTREAM_PEER_SUBJECT%", all: "%DYNAMIC_METADATA(a)%" });
  fc.assert(
    fc.property(
      fc.string({ unit: "binary" }).filter((text) => !/[\r\n]/.test(text)),
      (subject) => {
        const c = context({ ...CONNECTION, tls: { ...TLS, peer: { ...PEER, subject } } }, () => {});
        c.info.metadata = { a: { subject } };
        assert.doesNotMatch(Buffer.from(format(c), "latin1").toString("latin1"), /[\r\n]/);
        assert.doesNotMatch(Buffer.from(json(c), "latin1").toString("latin1"), /[\r\n]/);
      },
    ),
    // U+010A, written as latin1, would be a line feed.
    { examples: [["\u010a"], ["\u010d"]] },
  );
});

test("any template either compiles and runs, or is refused with a position inside it", () => {
  const piece = fc.constantFrom("%", "%%", "REQ", "(", "A?B", ")", ":1", "%PROTOCOL%", "%REQ(x-a)%", "é", " ");
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      const template = pieces.join("");
      const problem = checkFormat(template);
      if (problem === null) assert.equal(typeof compileFormat(template)(forwarded()), "string");
      else assert.ok(Number(/at position (\d+)$/.exec(problem)?.[1]) < template.length, problem);
    }),
  );
});
