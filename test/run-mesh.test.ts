/** `outrigger run` in a mesh: what a program in a network of its own reaches, by which names, and who reaches it. */
import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import net, { type AddressInfo } from "node:net";
import { networkInterfaces } from "node:os";
import { type TestContext, test } from "node:test";
import { firstAddresses } from "../cli/sidecar/intercepted.ts";
import { requireNamespaces } from "./support/network-namespace.ts";
import { RunMesh } from "./support/run-mesh.ts";

const TOOLS = ["iptables", "nsenter", "curl", "getent"];

const WEB = `
apiVersion: v1
kind: Service
metadata: { name: web }
spec: { selector: { app: web }, ports: [{ name: http, port: 80, targetPort: 8080 }] }
`;
const LINES = `
apiVersion: v1
kind: Service
metadata: { name: lines }
spec: { selector: { app: lines }, ports: [{ port: 7000 }] }
`;

/** Says to each HTTP request for whom it was. */
const WEB_PROGRAM = `
require("http").createServer((request, response) => response.end("web for " + request.headers.host)).listen(8080);
`;
/** Greets first, then sends back what it gets. */
const LINES_PROGRAM = `
require("net").createServer({ allowHalfOpen: true }, (socket) => {
  socket.write("hello\\n");
  socket.pipe(socket);
}).listen(7000, "127.0.0.1");
`;
/** Waits for the greeting, answers, ends its side and prints what it heard. */
const LINES_CLIENT = `
const socket = require("net").connect({ host: "lines", port: 7000, allowHalfOpen: true });
socket.once("data", () => socket.end("a\\nb\\n"));
socket.pipe(process.stdout);
`;

function node(script: string): readonly string[] {
  return [process.execPath, "-e", script];
}

test("a program calls services by name, HTTP and a server that speaks first, whoever they are run by", async (t) => {
  if (!requireNamespaces(t, ...TOOLS)) return;
  const mesh = await RunMesh.start(t, { web: WEB, lines: LINES });
  // One in a network of its own, the other on loopback addresses, as without interception.
  await mesh.run("web", 8080, ["--concurrency", "2"], node(WEB_PROGRAM)).serving();
  await mesh.sidecar("lines", 7000, node(LINES_PROGRAM)).serving();
  const script = `
    curl -sS -m 30 http://web/; echo
    curl -sS -m 30 http://web.default.svc.cluster.local/; echo
    curl -sS -m 30 "http://$WEB_SERVICE_HOST:$WEB_SERVICE_PORT/"; echo
    "${process.execPath}" -e '${LINES_CLIENT}'
    exit 7`;
  const client = mesh.run("client", 1, ["--concurrency", "2"], ["sh", "-c", script]);
  assert.equal(await client.ended(), 7, client.said());
  const [byName, byFullName, byVariable, ...lines] = client.output().split("\n");
  assert.equal(byName, "web for web");
  assert.equal(byFullName, "web for web.default.svc.cluster.local");
  assert.match(byVariable ?? "", /^web for 240\./);
  assert.deepEqual(lines, ["hello", "a", "b", ""]);
});

test("a program in a network of its own is called by one on loopback addresses, and by nobody past the mesh", async (t) => {
  if (!requireNamespaces(t, ...TOOLS)) return;
  const mesh = await RunMesh.start(t, { web: WEB });
  await mesh.run("web", 8080, [], node(WEB_PROGRAM)).serving();
  const client = mesh.sidecar("client", 1, [
    "sh",
    "-c",
    'curl -sS -m 30 "http://$WEB_SERVICE_HOST:$WEB_SERVICE_PORT/"; curl -s -m 2 http://127.0.0.1:8080/ || echo " nobody"',
  ]);
  assert.equal(await client.ended(), 0, client.said());
  assert.match(client.output(), /^web for web\.default\.svc\.cluster\.local nobody\n$/);
});

test("names come and go with services, in /etc/hosts and for programs that ask a name server", async (t) => {
  if (!requireNamespaces(t, ...TOOLS)) return;
  const mesh = await RunMesh.start(t, {});
  const asks = `
    require("dns").promises.resolve4("web.default").then((all) => console.log("dns", all.join()), (e) => console.log("dns", e.code));`;
  const script = `while read -r line; do echo "hosts $(getent ahostsv4 web | head -n 1)"; ${process.execPath} -e '${asks}'; done`;
  const client = mesh.run("client", 1, [], ["sh", "-c", script]);
  await client.serving();
  const look = async (): Promise<readonly string[]> => {
    const before = client.output().length;
    client.tell("\n");
    await client.until(() => /^hosts.*\ndns.*\n/m.test(client.output().slice(before)));
    return client.output().slice(before).trim().split("\n");
  };
  await mesh.apply("web", WEB);
  const [hosts = "", dns = ""] = await look();
  const address = /^hosts (240\.\S+)/.exec(hosts)?.[1];
  assert.ok(address, hosts);
  assert.equal(dns, `dns ${address}`);
  await mesh.apply("web", null);
  const [gone = ""] = await look();
  assert.equal(gone, "hosts ");
});

test("what is not the mesh's leaves by the machine's own network, or is refused where a policy says so", async (t) => {
  if (!requireNamespaces(t, ...TOOLS)) return;
  const [host] = firstAddresses(networkInterfaces());
  if (host === undefined) return t.skip("this machine has no address but loopback ones");
  const server = http.createServer((request, response) => response.end(`outside ${request.headers.host}`));
  server.listen(0, host);
  await once(server, "listening");
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const url = `http://${host.includes(":") ? `[${host}]` : host}:${port}/`;
  const mesh = await RunMesh.start(t, {});
  const script = `while read -r line; do curl -sS -m 30 ${url} 2>&1 | tail -n 1; echo; done`;
  const client = mesh.run("client", 1, [], ["sh", "-c", script]);
  await client.serving();
  client.tell("\n");
  await client.until(() => client.output().includes("outside "));
  await mesh.apply(
    "egress",
    "apiVersion: outrigger.dev/v1alpha1\nkind: MeshPolicy\nmetadata: { name: mesh }\nspec: { egress: { mode: RegistryOnly } }\n",
  );
  const before = client.output().length;
  client.tell("\n");
  await client.until(() => client.output().length > before + 1);
  assert.doesNotMatch(client.output().slice(before), /outside/);
  assert.match(client.output().slice(before), /curl: /);
});

test("a signal reaches the program, whose end ends what it left behind and the namespace", async (t) => {
  if (!requireNamespaces(t, ...TOOLS)) return;
  const mesh = await RunMesh.start(t, {});
  const script = "setsid sleep 1000 & trap 'echo got it; exit 3' TERM; echo started; while :; do sleep 0.1; done";
  const program = mesh.run("client", 1, [], ["sh", "-c", script]);
  await program.until(() => program.output().includes("started"));
  const inside = program.namespace();
  assert.ok(inside.processes().length >= 3);
  program.signal("SIGTERM");
  assert.equal(await program.ended(), 3, program.said());
  assert.match(program.output(), /got it/);
  assert.deepEqual(inside.processes(), []);
  assert.deepEqual(mesh.kept(), [], "a configuration that names the namespace is of no use to the next run");
});

test("a run that is killed leaves nothing behind, and the machine's network as it was", async (t) => {
  if (!requireNamespaces(t, ...TOOLS)) return;
  const mesh = await RunMesh.start(t, {});
  const before = mesh.machineNetwork();
  const program = mesh.run("client", 1, ["--publish", "0:80"], ["sleep", "1000"]);
  assert.equal(await program.ended(), 2, "0 is no port to be published");
  const running = mesh.run("client", 1, [], ["sleep", "1000"]);
  await running.serving();
  const inside = running.namespace();
  running.signal("SIGKILL");
  await running.ended();
  await mesh.until(() => inside.processes().length === 0);
  assert.equal(mesh.machineNetwork(), before);
});

test("a program that can't be run, or may not be, is said in a sentence", async (t) => {
  if (!requireNamespaces(t, ...TOOLS, "setpriv")) return;
  const mesh = await RunMesh.start(t, {});
  const missing = mesh.run("client", 1, [], ["/no/such/program"]);
  assert.equal(await missing.ended(), 127, missing.said());
  assert.match(missing.said(), /\/no\/such\/program: not found/);
  const unable = mesh.run("client", 1, [], ["true"], ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin"]);
  assert.equal(await unable.ended(), 1);
  assert.match(unable.said(), /^outrigger: outrigger run makes a network namespace .* \(without SYS_ADMIN\)$/m);
});

test("a published port is the way in for the machine's own users", async (t: TestContext) => {
  if (!requireNamespaces(t, ...TOOLS)) return;
  const mesh = await RunMesh.start(t, {});
  const probe = net.createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address() as AddressInfo;
  const taken = mesh.run("web", 8080, ["--publish", `${port}:8080`], ["true"]);
  assert.equal(await taken.ended(), 1);
  assert.match(taken.said(), /--publish: cannot listen on 127\.0\.0\.1:\d+: the port is in use/);
  await new Promise((resolve) => probe.close(resolve));
  const web = mesh.run("web", 8080, ["--publish", `${port}:8080`], node(WEB_PROGRAM));
  await web.serving();
  const url = `http://127.0.0.1:${port}/`;
  await web.until(async () => (await fetch(url)).ok);
  assert.match(await (await fetch(url)).text(), /^web for 127\.0\.0\.1:\d+$/);
});
