/** Bytes through a mesh of processes on loopback addresses: routes, access, modes of mutual TLS, protocols found out. */
import assert from "node:assert/strict";
import net from "node:net";
import { after, before, describe, test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import tls from "node:tls";
import { certificate } from "./envoy/harness/certificates.ts";
import { LiveMesh } from "./support/live-mesh.ts";

const WAIT_MS = 10_000;

const SERVICES = ["db", "db-v1", "db-v2"]
  .map(
    (name) =>
      `---\napiVersion: v1\nkind: Service\nmetadata: { name: ${name} }\nspec: { ports: [{ name: tcp, port: 5432 }] }\n`,
  )
  .concat("---\napiVersion: v1\nkind: Service\nmetadata: { name: any }\nspec: { ports: [{ port: 7000 }] }\n")
  .join("");

function route(kind: "TCPRoute" | "TLSRoute", name: string, spec: string): string {
  return `apiVersion: gateway.networking.k8s.io/v1\nkind: ${kind}\nmetadata: { name: ${name} }\nspec: { parentRefs: [{ kind: Service, name: db }], ${spec} }\n`;
}

function weighted(first: number, second: number): string {
  const refs = `[{ name: db-v1, port: 5432, weight: ${first} }, { name: db-v2, port: 5432, weight: ${second} }]`;
  return route("TCPRoute", "db", `rules: [{ backendRefs: ${refs} }]`);
}

function byName(name: string): string {
  const rules = `rules: [{ backendRefs: [{ name: ${name}, port: 5432 }] }]`;
  return route("TLSRoute", name, `hostnames: [${name}.test], ${rules}`);
}

function policy(kind: string, spec: string): string {
  return `apiVersion: outrigger.dev/v1alpha1\nkind: ${kind}\nmetadata: { name: p }\nspec: ${spec}\n`;
}

/** A program that greets whoever calls, and says back what it is told; in TLS of its own for a caller that speaks TLS. */
function greeter(name: string): net.Server {
  const { chain: cert, key } = certificate("alpha");
  return net.createServer((socket) => {
    socket.on("error", () => undefined);
    const greeting = setTimeout(() => talk(socket, null), 100);
    socket.once("readable", () => {
      clearTimeout(greeting);
      const first: Buffer | null = socket.read();
      if (first === null) return;
      socket.unshift(first);
      talk(first[0] === 0x16 ? new tls.TLSSocket(socket, { isServer: true, cert, key }) : socket, first);
    });
  });

  function talk(socket: net.Socket, first: Buffer | null): void {
    socket.on("error", () => undefined);
    if (first?.toString("latin1").startsWith("GET ")) {
      socket.end(`HTTP/1.1 200 OK\r\ncontent-length: ${name.length}\r\nconnection: close\r\n\r\n${name}`);
      return;
    }
    socket.write(`${name} `);
    socket.pipe(socket);
  }
}

async function listen(server: net.Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as net.AddressInfo).port;
}

/** All that comes until the connection ends, or until it has at least `bytes`. */
function received(socket: net.Socket, bytes: number): Promise<string> {
  return new Promise((resolve) => {
    let text = "";
    const end = (): void => {
      clearTimeout(limit);
      socket.destroy();
      resolve(text);
    };
    const limit = setTimeout(end, WAIT_MS);
    socket.on("data", (chunk) => {
      text += chunk.toString();
      if (text.length >= bytes) end();
    });
    socket.on("error", end);
    socket.on("close", end);
  });
}

function connect(address: string): net.Socket {
  const colon = address.lastIndexOf(":");
  return net.connect({ host: address.slice(0, colon), port: Number(address.slice(colon + 1)) });
}

/** Says `text` at once, or waits for the greeting first ("" ); "" where the connection is cut. */
function call(address: string, text: string): Promise<string> {
  const socket = connect(address);
  if (text !== "") socket.write(text);
  return received(socket, "v1 ".length + text.length);
}

function callTls(address: string, servername: string): Promise<string> {
  const socket = tls.connect({ socket: connect(address), servername, rejectUnauthorized: false });
  socket.on("secureConnect", () => socket.write("tls"));
  return received(socket, "v1 tls".length);
}

describe("bytes in a mesh on loopback addresses", { timeout: 120_000 }, () => {
  const servers = { v1: greeter("v1"), v2: greeter("v2"), any: greeter("an") };
  let mesh: LiveMesh;
  let db = "";

  before(async () => {
    const ports = { v1: await listen(servers.v1), v2: await listen(servers.v2), any: await listen(servers.any) };
    mesh = await LiveMesh.start({ services: SERVICES, db: weighted(1, 0) }, [
      { name: "client", service: "client", port: 1 },
      { name: "v1", service: "db-v1", port: ports.v1 },
      { name: "v2", service: "db-v2", port: ports.v2 },
      { name: "any", service: "any", port: ports.any },
    ]);
    db = await mesh.addressFor("client", "db");
  });

  after(async () => {
    await mesh?.stop();
    for (const server of Object.values(servers)) server.close();
  });

  test("a TCPRoute leads connections to its backends, by weight", async () => {
    assert.equal(await call(db, "hello"), "v1 hello");
    await mesh.apply("db", weighted(0, 1));
    assert.equal(await call(db, ""), "v2 ");
    await mesh.apply("db", weighted(50, 50));
    const answers = await Promise.all(Array.from({ length: 40 }, () => call(db, "x")));
    assert.deepEqual(new Set(answers), new Set(["v1 x", "v2 x"]));
  });

  test("a share that has no backend is closed", async () => {
    const gone = route("TCPRoute", "db", "rules: [{ backendRefs: [{ name: gone, port: 1 }] }]");
    await mesh.apply("db", gone);
    // What a listener names and is not there may be on its way: its sidecar waits a moment for it.
    for (const end = performance.now() + WAIT_MS; performance.now() < end; ) {
      if ((await call(db, "hello")) === "") return;
      await wait(100);
    }
    assert.fail("connections are still led to an instance");
  });

  test("TLSRoutes lead connections by the name of the server, which alone the mesh sees", async () => {
    await mesh.apply("db", `${byName("db-v1")}---\n${byName("db-v2")}`);
    assert.equal(await callTls(db, "db-v1.test"), "v1 tls");
    assert.equal(await callTls(db, "db-v2.test"), "v2 tls");
    assert.equal(await callTls(db, "other.test"), "");
    assert.equal(await call(db, "plaintext"), "");
    await mesh.apply("db", weighted(1, 0));
  });

  test("an AccessPolicy lets callers in by who they are; what speaks of paths lets nobody in", async () => {
    const rule = (from: string, to = "") =>
      policy("AccessPolicy", `{ targetRefs: [{ kind: Service, name: db-v1 }], rules: [{ from: [${from}]${to} }] }`);
    await mesh.apply("access", rule("{ serviceAccounts: [client] }"));
    assert.equal(await call(db, "hello"), "v1 hello");
    await mesh.apply("access", rule("{ serviceAccounts: [other] }"));
    assert.equal(await call(db, "hello"), "");
    await mesh.apply("access", rule("{ serviceAccounts: [client] }", ", to: [{ paths: [/a] }]"));
    assert.equal(await call(db, "hello"), "");
    await mesh.apply("access", null);
    assert.equal(await call(db, "hello"), "v1 hello");
  });

  test("many connections share few, and rules that change hold for each that is opened then", async () => {
    const access = (from: string) =>
      mesh.apply(
        "access",
        policy("AccessPolicy", `{ targetRefs: [{ kind: Service, name: db-v1 }], rules: [{ from: [${from}] }] }`),
      );
    const many = async () => new Set(await Promise.all(Array.from({ length: 20 }, () => call(db, "hello"))));
    const open = connect(db);
    open.write("before");
    const heard = received(open, "v1 before and after".length);
    assert.deepEqual(await many(), new Set(["v1 hello"]));
    await access("{ serviceAccounts: [other] }");
    assert.deepEqual(await many(), new Set([""]));
    await access("{ serviceAccounts: [client] }");
    assert.deepEqual(await many(), new Set(["v1 hello"]));
    // What was let in before stays.
    open.write(" and after");
    assert.equal(await heard, "v1 before and after");
    await mesh.apply("access", null);
    assert.deepEqual(await many(), new Set(["v1 hello"]));
  });

  test("a port that nothing declares takes HTTP, servers that speak first, and clients that do", async () => {
    const any = await mesh.addressFor("client", "any");
    assert.match(await received(request(any), 1000), /^HTTP\/1\.1 200 OK\r\n.*an$/s);
    assert.equal(await call(any, ""), "an ");
    assert.equal(await call(any, "hello"), "an hello");
    const metrics = await mesh.metrics("client");
    assert.match(metrics, /^outrigger_requests_total\{.*destination="any\.default",.*code="200",.*\} 1$/m);
    assert.match(metrics, /^outrigger_tcp_connections_opened_total\{.*destination="any\.default".*\} 2$/m);
  });

  test("a sidecar takes what the mode of its port says, and its callers send that", async () => {
    const { address, inboundPort } = mesh.sidecar("v1");
    const inbound = `${address}:${inboundPort}`;
    const outcome = async () => [
      await call(db, "mesh"),
      await call(inbound, "plain"),
      await callTls(inbound, "x.test"),
    ];
    assert.deepEqual(await outcome(), ["v1 mesh", "", ""]);
    for (const mode of ["PERMISSIVE", "DISABLE"]) {
      await mesh.apply("mode", policy("MeshPolicy", `{ mtls: { mode: ${mode} } }`));
      assert.deepEqual(await outcome(), ["v1 mesh", "v1 plain", "v1 tls"], mode);
    }
    await mesh.apply("mode", policy("MeshPolicy", "{ mtls: { mode: PERMISSIVE } }"));
    await mesh.apply("mode", null);
    assert.deepEqual(await outcome(), ["v1 mesh", "", ""]);
  });
});

function request(address: string): net.Socket {
  const socket = connect(address);
  socket.write(`GET / HTTP/1.1\r\nhost: any\r\nconnection: close\r\n\r\n`);
  return socket;
}
