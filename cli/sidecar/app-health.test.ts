import assert from "node:assert/strict";
import https from "node:https";
import net, { type AddressInfo } from "node:net";
import { after, test } from "node:test";
import { Server, ServerCredentials, type ServiceDefinition } from "@grpc/grpc-js";
import { InvalidArgumentError } from "commander";
import { testAuthority } from "../../control-client/testing/certificates.ts";
import { systemClock } from "../../core/clock.ts";
import { appHealth } from "./app-health.ts";
import { appHealthCheck } from "./app-health-check.ts";

const closers: (() => void)[] = [];
after(() => {
  for (const close of closers) close();
});

const listening = (server: net.Server): Promise<number> =>
  new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port));
    closers.push(() => server.close());
  });

async function ask(check: string): Promise<{ status: number; body: string }> {
  const answer = appHealth(appHealthCheck(check, []), "127.0.0.1", "127.0.0.1")(`/app-health/${check}`);
  const { status, body } = (await answer) ?? assert.fail(`${check} is not known`);
  return { status, body: String(body) };
}

test("a port that takes connections is healthy, one that does not is not", async () => {
  const server = net.createServer((socket) => socket.resume());
  const port = await listening(server);
  assert.deepEqual(await ask(`tcp/${port}`), { status: 200, body: "healthy\n" });
  await new Promise((resolve) => server.close(resolve));
  const { status, body } = await ask(`tcp/${port}`);
  assert.equal(status, 503);
  assert.match(body, /ECONNREFUSED/);
});

test("HTTPS with whatever certificate: any status from 200 to 399", async () => {
  const { chain, key } = testAuthority(systemClock.wallTime()).issue({ type: "dns", value: "orders" });
  const server = https.createServer({ cert: chain, key }, (request, response) => {
    response.statusCode = Number(new URL(request.url ?? "", "https://x").searchParams.get("status"));
    response.end();
  });
  const port = await listening(server);
  for (const [status, healthy] of [
    [200, 200],
    [302, 200],
    [399, 200],
    [400, 503],
    [500, 503],
  ] as const) {
    assert.equal((await ask(`https/${port}/health?status=${status}`)).status, healthy, String(status));
  }
});

test("gRPC: the service must be SERVING, and is asked for by name", async () => {
  const raw = (bytes: Buffer) => bytes;
  const check = {
    path: "/grpc.health.v1.Health/Check",
    requestStream: false,
    responseStream: false,
    requestSerialize: raw,
    requestDeserialize: raw,
    responseSerialize: raw,
    responseDeserialize: raw,
  } as const;
  const asked: string[] = [];
  const server = new Server();
  server.addService({ check } satisfies ServiceDefinition, {
    check: ({ request }: { request: Buffer }, callback: (error: object | null, answer?: Buffer) => void) => {
      const name = request.subarray(2).toString();
      asked.push(name);
      if (name === "unknown") callback({ code: 5, details: "no such service" });
      else callback(null, Buffer.from([0x08, name === "down" ? 2 : 1]));
    },
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  closers.push(() => server.forceShutdown());
  assert.equal((await ask(`grpc/${port}/`)).status, 200);
  assert.equal((await ask(`grpc/${port}/shop.v1.Orders`)).status, 200);
  assert.equal((await ask(`grpc/${port}/a%2Fb`)).status, 200);
  assert.match((await ask(`grpc/${port}/down`)).body, /not SERVING/);
  assert.match((await ask(`grpc/${port}/unknown`)).body, /gRPC status 5/);
  assert.deepEqual(asked, ["", "shop.v1.Orders", "a/b", "down", "unknown"]);
});

test("gRPC of a port that speaks something else is unhealthy", async () => {
  const port = await listening(net.createServer((socket) => socket.end("SSH-2.0\r\n")));
  assert.equal((await ask(`grpc/${port}/`)).status, 503);
});

test("only what the flags name is looked at", () => {
  const answer = appHealth(["tcp/80"], "127.0.0.1");
  for (const path of ["/app-health/tcp/81", "/app-health/", "/app-health/tcp/80/", "/app-health/tcp/80?x", "/"]) {
    assert.equal(answer(path), null, path);
  }
});

test("what is no check is refused", () => {
  assert.deepEqual(appHealthCheck("grpc/1/", ["tcp/80"]), ["tcp/80", "grpc/1/"]);
  for (const wrong of [
    "",
    "tcp",
    "tcp/0",
    "tcp/65536",
    "tcp/80/x",
    "grpc/80",
    "https/443",
    "https/443/a b",
    "udp/53",
  ]) {
    assert.throws(() => appHealthCheck(wrong, []), InvalidArgumentError, wrong);
  }
});
