import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { credentials } from "@grpc/grpc-js";
import { systemClock } from "../../core/clock.ts";
import { ScriptedServer } from "../testing/grpc-server.ts";
import { jsonResource } from "../testing/json-decoder.ts";
import { WIRES, type Wire } from "../testing/wire.ts";
import { GrpcTransport } from "./grpc-transport.ts";
import { StateOfTheWorld } from "./state-of-the-world.ts";
import type { XdsStream } from "./transport.ts";

const METHOD = "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources";
const wire = WIRES[0] as Wire;
const node = { id: "n", cluster: "c", locality: { region: "", zone: "", subZone: "" }, metadata: {} };

function transport(...addresses: string[]): GrpcTransport {
  return new GrpcTransport({
    clock: systemClock,
    targets: () =>
      addresses.map((address) => ({ address, credentials: () => credentials.createInsecure(), options: {} })),
    method: METHOD,
    metadata: [{ key: "x-token", value: "t" }],
    connectTimeoutMs: 2000,
  });
}

/** Opens a stream; resolves with what happens first. */
function open(from: GrpcTransport, onMessage = (_: Uint8Array): void => {}) {
  let stream: XdsStream | undefined;
  let closed!: Promise<string>;
  const connected = new Promise<string>((resolve) => {
    closed = new Promise((resolveClosed) => {
      stream = from.open({
        connected: () => resolve("connected"),
        message: onMessage,
        closed: (reason) => {
          resolve(`closed: ${reason}`);
          resolveClosed(reason);
        },
      });
    });
  });
  return { stream: stream as XdsStream, connected, closed };
}

test("carries requests and responses, with the initial metadata", async () => {
  const server = await ScriptedServer.start(wire);
  const received: number[] = [];
  const { stream, connected, closed } = open(transport(`127.0.0.1:${server.port}`), (b) => received.push(b.length));
  assert.equal(await connected, "connected");
  const variant = new StateOfTheWorld(node, "0");
  variant.want("cluster", new Set());
  for (const request of variant.open()) stream.send(request);
  const serverStream = await server.stream();
  assert.equal(serverStream.path, METHOD);
  assert.deepEqual(serverStream.metadata.get("x-token"), ["t"]);
  assert.equal((await serverStream.next()).node?.id, "n");
  // More than the 4 MB that gRPC takes by default.
  const big = jsonResource("cluster", "a", { padding: "x".repeat(5_000_000) });
  serverStream.respond({ kind: "cluster", version: "1", nonce: "1", resources: [big] });
  serverStream.end();
  assert.equal(await closed, "the server ended the stream");
  assert.equal(received.length, 1);
  assert.ok((received[0] ?? 0) > 5_000_000);
  server.stop();
});

test("a port that nobody listens on fails at once, with the reason", async () => {
  const begin = systemClock.now();
  const { connected } = open(transport("127.0.0.1:1"));
  assert.match(await connected, /^closed: .*ECONNREFUSED/);
  assert.ok(systemClock.now() - begin < 1500);
});

test("a server that is lost is reported", async () => {
  const server = await ScriptedServer.start(wire);
  const { connected, closed } = open(transport(`127.0.0.1:${server.port}`));
  await connected;
  await server.stream();
  server.stop();
  assert.notEqual(await closed, "");
});

test("the next attempt goes to the next target", async () => {
  const server = await ScriptedServer.start(wire);
  const both = transport("127.0.0.1:1", `127.0.0.1:${server.port}`);
  assert.match(await open(both).connected, /^closed/);
  assert.equal(both.target, "127.0.0.1:1");
  const second = open(both);
  assert.equal(await second.connected, "connected");
  assert.equal(both.target, `127.0.0.1:${server.port}`);
  second.stream.cancel();
  server.stop();
});

test("a cancelled stream ends at the server and says nothing more", async () => {
  const server = await ScriptedServer.start(wire);
  const { stream, connected, closed } = open(transport(`127.0.0.1:${server.port}`));
  await connected;
  const serverStream = await server.stream();
  let heard = false;
  void closed.then(() => {
    heard = true;
  });
  stream.cancel();
  await serverStream.ended;
  assert.equal(heard, false);
  server.stop();
});

test("Unix sockets work", async () => {
  const socket = path.join(tmpdir(), `outrigger-xds-${process.pid}.sock`);
  const server = await ScriptedServer.start(wire, `unix:${socket}`);
  const { stream, connected } = open(transport(`unix:${socket}`));
  assert.equal(await connected, "connected");
  stream.cancel();
  server.stop();
  rmSync(socket, { force: true });
});

test("credentials that cannot be had yet are a failed attempt, not a crash", async () => {
  const broken = new GrpcTransport({
    clock: systemClock,
    targets: () => [
      {
        address: "127.0.0.1:1",
        credentials: () => {
          throw new Error("no certificate yet");
        },
        options: {},
      },
    ],
    method: METHOD,
    metadata: [],
    connectTimeoutMs: 1000,
  });
  assert.equal(await open(broken).connected, "closed: no certificate yet");
});
