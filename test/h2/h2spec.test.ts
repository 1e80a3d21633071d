/** h2spec's 146 cases, strict ones included, against listeners in front of backends of both versions, with and without TLS. */
import assert from "node:assert/strict";
import http from "node:http";
import http2 from "node:http2";
import type { AddressInfo, Server } from "node:net";
import { before, describe, type TestContext, test } from "node:test";
import { goTool } from "../../scripts/go-tools.ts";
import { describeFailures, readReport, runH2spec } from "../../scripts/h2spec.ts";
import { http2Cluster, withAlpn } from "../support/http2-config.ts";
import { type ProxyConfig, secured, startProxy } from "../support/running-proxy.ts";
import { skip } from "../support/tools.ts";

/** Of version 2.2.1. */
const CASES = 146;

const ANSWER = "an answer that is longer than the windows that h2spec opens for it".repeat(4);

function listen(t: TestContext, server: Server): Promise<number> {
  t.after(() => server.close());
  return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port)));
}

const http1Backend = (t: TestContext): Promise<number> =>
  listen(
    t,
    http.createServer((request, response) => {
      request.resume().on("end", () => response.end(ANSWER));
      request.on("error", () => undefined);
    }),
  );

const http2Backend = (t: TestContext): Promise<number> => {
  const server = http2.createServer();
  server.on("stream", (stream: http2.ServerHttp2Stream) => {
    stream.on("error", () => undefined);
    stream.resume().on("end", () => {
      if (stream.destroyed) return;
      stream.respond({ ":status": 200 });
      stream.end(ANSWER);
    });
  });
  return listen(t, server);
};

let program: string | null = null;

describe("h2spec finds nothing wrong with a listener", () => {
  before(() => {
    program = goTool("h2spec");
  });

  const backends = { "an HTTP/1.1": http1Backend, "an HTTP/2": http2Backend };
  for (const [kind, backend] of Object.entries(backends)) {
    for (const tls of [false, true]) {
      test(`${tls ? "with TLS" : "in plaintext"} in front of ${kind} backend`, async (t) => {
        if (program === null) return void skip(t, "h2spec could not be built, which needs Go");
        const port = await backend(t);
        const config: ProxyConfig = {
          upstreams: [port],
          cluster: kind === "an HTTP/2" ? http2Cluster() : {},
          // Whether the listener is told what comes or finds out by itself.
          manager: { codec_type: kind === "an HTTP/2" ? "HTTP2" : "AUTO" },
        };
        const proxy = await startProxy(t, tls ? withAlpn(secured(config)) : config);
        const cases = await runH2spec(program, { port: proxy.port, tls });
        assert.equal(describeFailures(cases), "");
        assert.equal(cases.length, CASES);
        await proxy.settled();
      });
    }
  }
});

test("a report is read with all that XML escapes in it", () => {
  const xml = `<testsuite><testcase package="http2/6.9" classname="A &#34;b&#34;" time="1"></testcase>
    <testcase package="hpack/2" classname="c" time="2"><failure>Expected: &lt;x&gt; &amp; y</failure></testcase></testsuite>`;
  assert.deepEqual(readReport(xml), [
    { name: 'http2/6.9: A "b"', failure: null },
    { name: "hpack/2: c", failure: "Expected: <x> & y" },
  ]);
});
