/** A caller that goes away, at whatever stage of its request: the upstream is let go and nothing stays behind. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { CLIENT_TLS, type ProxyConfig, type RunningProxy, startProxy } from "./support/running-proxy.ts";
import { ok, turns, Upstream, until, type Wire } from "./support/wire.ts";

const GET = "GET /a HTTP/1.1\r\nHost: x.test\r\n\r\n";
const POST = "POST /a HTTP/1.1\r\nHost: x.test\r\nContent-Length: 10\r\n\r\n";

interface Stage {
  readonly name: string;
  readonly config?: ProxyConfig;
  /** No request is under way: the upstream's connection is kept. */
  readonly idle?: true;
  /** Brings the request to its stage. */
  readonly reach: (client: Wire, upstream: Upstream, proxy: RunningProxy) => Promise<void>;
}

async function asked(client: Wire, upstream: Upstream, text = GET): Promise<Wire> {
  client.write(text);
  const wire = await upstream.wire();
  await wire.receive("\r\n\r\n");
  return wire;
}

const STAGES: readonly Stage[] = [
  { name: "before its first byte", reach: () => turns(2) },
  {
    name: "in the middle of its head",
    reach: async (client) => {
      client.write("GET /a HTTP/1.1\r\nHos");
      await turns(2);
    },
  },
  {
    name: "while a filter delays it",
    config: {
      manager: {
        http_filters: [
          {
            name: "fault",
            typed_config: {
              "@type": "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault",
              delay: { fixed_delay: "60s", percentage: { numerator: 100 } },
            },
          },
          {
            name: "router",
            typed_config: { "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" },
          },
        ],
      },
    },
    reach: async (client) => {
      client.write(`${POST}some`);
      await turns(3);
    },
  },
  {
    name: "while a connection is being opened for it",
    config: {
      cluster: {
        connect_timeout: "0.2s",
        transport_socket: CLIENT_TLS,
      },
    },
    reach: async (client, _upstream, proxy) => {
      client.write(`${POST}some`);
      await until(() => proxy.cluster().stats.upstream_rq_pending_active === 1);
    },
  },
  {
    name: "while it waits for a busy connection",
    config: { cluster: { circuit_breakers: { thresholds: [{ max_connections: 1 }] } } },
    reach: async (client, upstream, proxy) => {
      const other = await proxy.connect();
      await asked(other, upstream);
      client.write(GET);
      await until(() => proxy.cluster().stats.upstream_rq_pending_active === 1);
    },
  },
  {
    name: "in the middle of its body",
    reach: async (client, upstream) => {
      await asked(client, upstream, `${POST}some`);
    },
  },
  {
    name: "while it waits for the answer",
    reach: async (client, upstream) => {
      await asked(client, upstream);
    },
  },
  {
    name: "with further requests already sent",
    reach: async (client, upstream) => {
      await asked(client, upstream, GET + GET + POST);
    },
  },
  {
    name: "between two attempts",
    config: {
      action: {
        retry_policy: { retry_on: "reset", retry_back_off: { base_interval: "60s", max_interval: "60s" } },
      },
    },
    reach: async (client, upstream, proxy) => {
      (await asked(client, upstream)).reset();
      await until(() => proxy.cluster().stats.upstream_rq_retry === 1);
    },
  },
  {
    name: "in the middle of the answer's head",
    reach: async (client, upstream) => {
      (await asked(client, upstream)).write("HTTP/1.1 200 OK\r\nContent-");
      await turns(3);
    },
  },
  {
    name: "in the middle of the answer's body",
    reach: async (client, upstream) => {
      (await asked(client, upstream)).write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome");
      await client.receive("some");
    },
  },
  {
    name: "in the middle of a chunked answer without reading it",
    reach: async (client, upstream) => {
      client.socket.pause();
      const wire = await asked(client, upstream);
      wire.write(
        `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${`4000\r\n${"x".repeat(0x4000)}\r\n`.repeat(800)}`,
      );
      await turns(10);
    },
  },
  {
    name: "between two requests",
    idle: true,
    reach: async (client, upstream) => {
      (await asked(client, upstream)).write(ok("x"));
      await client.message();
    },
  },
];

for (const how of ["ends", "is reset"] as const) {
  describe(`a caller's connection that ${how}`, () => {
    for (const stage of STAGES) {
      test(stage.name, async (t) => {
        const upstream = await Upstream.start(t);
        upstream.onWire = (wire) => wire.socket.on("end", () => wire.destroy());
        const proxy = await startProxy(t, { ...stage.config, upstreams: [upstream.port] });
        const client = await proxy.connect();
        await stage.reach(client, upstream, proxy);
        if (how === "ends") client.destroy();
        else client.reset();
        await proxy.settled();
        if (stage.idle) assert.ok(upstream.wires.every((wire) => !wire.ended));
        else await until(() => upstream.wires.every((wire) => wire.closed));
      });
    }
  });
}
