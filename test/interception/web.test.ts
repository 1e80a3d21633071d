/** The web in the mesh: `curl` with either version of HTTP, in plaintext and over the application's own TLS, and WebSockets. */
import assert from "node:assert/strict";
import path from "node:path";
import { test } from "node:test";
import type { Host } from "./network.ts";
import { type Conversation, holdAll, makePair, requirePrograms } from "./pair.ts";
import { PORTS, selfSigned, startApp, startNginx } from "./servers.ts";

const SERVICES = {
  web: { port: PORTS.http },
  h2c: { port: PORTS.h2c },
  secure: { port: PORTS.https },
  socket: { port: PORTS.websocket, protocol: "kubernetes.io/ws" },
};

let roots = "";

/** `url` without its authority. */
function curl(
  client: Host,
  service: keyof typeof SERVICES,
  address: string,
  where: string,
  ...args: readonly string[]
) {
  const { port } = SERVICES[service];
  const resolve = `${service}:${port}:${address.includes(":") ? `[${address}]` : address}`;
  const scheme = service === "secure" ? "https" : "http";
  const url = `${scheme}://${service}:${port}${where}`;
  return client.ask([
    "curl",
    "-sS",
    "--fail",
    "--max-time",
    "20",
    "--cacert",
    roots,
    "--resolve",
    resolve,
    ...args,
    url,
  ]);
}

const CONVERSATIONS: readonly Conversation[] = [
  {
    name: "curl: HTTP/1.1",
    service: "web",
    clear: true,
    ipv6: true,
    async hold(client, address, marker) {
      const answer = await curl(client, "web", address, `/${marker}`, "-H", `x-marker: ${marker}`);
      assert.equal(answer, `HTTP/1.1 /${marker} ${marker}\n`);
    },
  },
  {
    name: "curl: bodies of megabytes over HTTP/1.1",
    service: "web",
    clear: true,
    async hold(client, address, marker) {
      const args = ["-H", `x-marker: ${marker}`, "-o", "/dev/null", "-w", "%{size_download}"];
      assert.equal(await curl(client, "web", address, "/big", ...args), `${3 << 20}`);
    },
  },
  {
    name: "curl: HTTP/2 by prior knowledge",
    service: "h2c",
    clear: false,
    ipv6: true,
    async hold(client, address, marker) {
      const answer = await curl(client, "h2c", address, `/${marker}`, "--http2-prior-knowledge");
      assert.equal(answer, `HTTP/2.0 /${marker} \n`);
    },
  },
  ...(["--http2", "--http1.1"] as const).map(
    (version): Conversation => ({
      name: `curl: the application's own TLS, ${version}`,
      service: "secure",
      clear: false,
      ipv6: version === "--http2",
      async hold(client, address, marker) {
        // Whoever ended TLS in between would not have the server's key.
        const answer = await curl(client, "secure", address, `/${marker}`, version);
        assert.equal(answer, `${version === "--http2" ? "HTTP/2.0" : "HTTP/1.1"} /${marker} \n`);
      },
    }),
  ),
  {
    name: "a WebSocket that echoes",
    service: "socket",
    clear: true,
    async hold(client, address, marker) {
      const script = path.join(import.meta.dirname, "websocket-client.ts");
      const url = `ws://${address.includes(":") ? `[${address}]` : address}:${PORTS.websocket}/`;
      assert.equal(await client.ask([process.execPath, script, url, marker]), `${marker}\n`);
    },
  },
];

test("the web in the mesh", async (t) => {
  if (!requirePrograms(t, "nginx", "openssl")) return;
  const pair = makePair(t);
  const certificate = selfSigned(pair.network.dir, "secure");
  roots = certificate.chain;
  await Promise.all([startNginx(pair.server, certificate), startApp(pair.server, `websocket:${PORTS.websocket}`)]);
  await pair.join(SERVICES);
  await holdAll(t, pair, Object.keys(SERVICES), CONVERSATIONS);
});
