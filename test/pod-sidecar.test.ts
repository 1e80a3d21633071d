/** A sidecar as the injector starts it in a pod: the program's health for the kubelet, and the mode without any right. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { intercept, Mesh } from "./interception/mesh.ts";
import { Network } from "./interception/network.ts";
import { requirePrograms, serviceAddress, serviceManifest } from "./interception/pair.ts";

/** Answers HTTP requests with whom it takes for the caller. */
const SERVER = `
require("http").createServer((request, response) => {
  response.end(request.headers["x-forwarded-client-cert"] ?? "nobody");
}).listen(8080, "::");
`;
const curl = (...args: readonly string[]): string[] => ["curl", "-sS", "-m", "30", ...args];

test("without rules peers come by the inbound port, and the program goes by its HTTP proxy, both with mutual TLS", async (t) => {
  if (!requirePrograms(t)) return;
  const network = new Network(t);
  const [client, server, stranger] = [network.host("client"), network.host("server"), network.host("stranger")];
  const mesh = await Mesh.start(network, { services: serviceManifest("server", { port: 8080, protocol: "http" }, 0) });
  server.serve("server", process.execPath, "-e", SERVER);
  const address = server.addresses.mesh[4];
  const bare = {
    host: server,
    service: "server",
    port: 8080,
    labels: ["app=server"],
    sidecar: ["--interception", "none", "--address", address, "--app-health", "tcp/8080"],
  };
  const ruled = { host: client, service: "client", port: 1 };
  await Promise.all([mesh.sidecar(bare), mesh.sidecar(ruled), intercept(client)]);
  await mesh.untilServing([bare, ruled]);

  const called = await client.ask(curl(`http://${serviceAddress(0)[4]}:8080/`));
  assert.match(called, /URI=spiffe:\/\/cluster\.local\/ns\/default\/sa\/client/);
  const own = await server.ask(curl("-x", "http://127.0.0.1:15001", "http://server:8080/"));
  assert.match(own, /URI=spiffe:\/\/cluster\.local\/ns\/default\/sa\/server/);
  // What is no call by proxy passes the sidecar by, and so does who calls the program's own port.
  assert.equal(await stranger.ask(curl(`http://${address}:8080/`)), "nobody");
  assert.notEqual((await stranger.call(curl(`http://${address}:15006/`))).code, 0);
  assert.equal(await stranger.ask(curl(`http://${address}:15021/app-health/tcp/8080`)), "healthy\n");
});

test("the kubelet is told of the program's health, where every port takes its connections", async (t) => {
  if (!requirePrograms(t)) return;
  const network = new Network(t);
  const [node, pod] = [network.host("node"), network.host("pod")];
  const mesh = await Mesh.start(network, { services: serviceManifest("server", { port: 8080, protocol: "http" }, 0) });
  pod.serve("server", process.execPath, "-e", SERVER);
  const { 4: four, 6: six } = pod.addresses.mesh;
  await mesh.join({
    host: pod,
    service: "server",
    port: 8080,
    labels: ["app=server"],
    sidecar: ["--app-health", "tcp/8080", "--app-health", "tcp/8081", "--address", four],
  });
  const status = (url: string): Promise<string> => node.ask(curl("-o", "/dev/null", "-w", "%{http_code}", url));
  for (const host of [four, `[${six}]`]) {
    assert.equal(await status(`http://${host}:15021/app-health/tcp/8080`), "200");
    assert.equal(await status(`http://${host}:15021/app-health/tcp/8081`), "503");
    // Nobody finds out by it what else listens here.
    assert.equal(await status(`http://${host}:15021/app-health/tcp/15000`), "404");
  }
});
